//! Which files make a compiler.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Compiler, Error};

/// What a file matters for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Every unit.
    Compiler,
    /// Linked units only.
    Linkers,
}

/// A file of the compiler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) part: Part,
    /// Its name in the identity: `home/`, `sysroot/` or `wrapper-home/` and the path below.
    pub(super) label: Vec<u8>,
    pub(super) path: PathBuf,
}

/// The files, and what must stay as it is for the list to stay right.
#[derive(Default)]
pub(super) struct Listing {
    /// Sorted by part and label, each label once.
    pub(super) files: Vec<Source>,
    /// Directories that were listed, and places where there was nothing.
    pub(super) watched: Vec<PathBuf>,
}

/// Where libraries of a toolchain lie: rustc takes `lib64` or `lib`, whichever has `rustlib`
/// (`rustc_target::find_relative_libdir`).
const LIB_DIRS: &[&str] = &["lib", "lib64"];

/// No sysroot nests deeper; a cycle of links does.
const MAX_DEPTH: usize = 8;

/// Lists what `compiler` is made of. `host` is its own target, `target` the `--target` it is
/// given, a name or the path of a specification.
pub(super) fn list(
    compiler: &Compiler,
    host: &str,
    target: Option<&str>,
) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let target = target.map_or(host, target_name);
    listing.program(b"program", &compiler.binary, &compiler.home, b"home");
    listing.optional(Part::Compiler, &compiler.home, "bin/rustc", b"home")?;
    listing.libraries(&compiler.home, b"home")?;
    if let Some(wrapper) = &compiler.wrapper {
        let home = wrapper.home.as_deref();
        match home.filter(|home| *home != compiler.home) {
            Some(home) => {
                listing.program(b"wrapper", &wrapper.binary, home, b"wrapper-home");
                listing.libraries(home, b"wrapper-home")?;
            }
            None => listing.program(b"wrapper", &wrapper.binary, &compiler.home, b"home"),
        }
    }
    for (root, name) in [(&compiler.home, &b"home"[..]), (&compiler.sysroot, b"sysroot")] {
        for lib in LIB_DIRS {
            let host_dir = format!("{lib}/rustlib/{host}");
            listing.tree(Part::Compiler, root, &format!("{host_dir}/codegen-backends"), name)?;
            if name == b"sysroot" || compiler.home != compiler.sysroot {
                listing.tree(Part::Linkers, root, &format!("{host_dir}/bin"), name)?;
            }
        }
    }
    for lib in LIB_DIRS {
        listing.standard_library(&compiler.sysroot, &format!("{lib}/rustlib"), target)?;
    }
    listing.files.sort();
    listing.files.dedup_by(|a, b| a.label == b.label);
    listing.watched.sort();
    listing.watched.dedup();
    Ok(listing)
}

/// rustc names the directory of a target that a file specifies after the file.
fn target_name(target: &str) -> &str {
    match target.strip_suffix(".json") {
        Some(path) => path.rsplit('/').next().unwrap_or(path),
        None => target,
    }
}

/// The shared objects that are part of a compiler, among others in a system-wide `lib`.
fn is_compiler_library(name: &OsStr) -> bool {
    const PREFIXES: &[&str] =
        &["librustc", "libLLVM", "libstd-", "libtest-", "libproc_macro", "libgccjit"];
    let bytes = name.as_bytes();
    let shared =
        [&b".so"[..], b".dylib"].iter().any(|kind| memchr::memmem::find(bytes, kind).is_some());
    shared && PREFIXES.iter().any(|prefix| bytes.starts_with(prefix.as_bytes()))
}

impl Listing {
    fn push(&mut self, part: Part, label: Vec<u8>, path: PathBuf) {
        self.files.push(Source { part, label, path });
    }

    /// An executable: by its place when it lies in the toolchain, else by its role.
    fn program(&mut self, role: &[u8], binary: &Path, home: &Path, root: &[u8]) {
        let label = match binary.strip_prefix(home) {
            Ok(relative) => label(root, relative.as_os_str().as_bytes()),
            Err(_) => role.to_vec(),
        };
        self.push(Part::Compiler, label, binary.to_owned());
    }

    fn optional(
        &mut self,
        part: Part,
        root: &Path,
        relative: &str,
        name: &[u8],
    ) -> Result<(), Error> {
        let path = root.join(relative);
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => self.push(part, label(name, relative.as_bytes()), path),
            Ok(_) => self.watched.push(path),
            Err(error) if is_absence(&error) => self.watched.push(path),
            Err(error) => return Err(Error::io(path, error)),
        }
        Ok(())
    }

    /// The compiler's shared objects: in `lib`, `lib64`, and Debian's `lib/<arch>-linux-gnu`.
    fn libraries(&mut self, home: &Path, name: &[u8]) -> Result<(), Error> {
        for lib in LIB_DIRS {
            for entry in self.entries(&home.join(lib))? {
                let relative = Path::new(lib).join(&entry);
                if is_compiler_library(&entry) {
                    let label = label(name, relative.as_os_str().as_bytes());
                    self.push(Part::Compiler, label, home.join(relative));
                } else if memchr::memmem::find(entry.as_bytes(), b"-linux-").is_some() {
                    self.multiarch(home, &relative, name)?;
                }
            }
        }
        Ok(())
    }

    fn multiarch(&mut self, home: &Path, relative: &Path, name: &[u8]) -> Result<(), Error> {
        if !home.join(relative).is_dir() {
            return Ok(());
        }
        for entry in self.entries(&home.join(relative))? {
            if is_compiler_library(&entry) {
                let relative = relative.join(&entry);
                self.push(
                    Part::Compiler,
                    label(name, relative.as_os_str().as_bytes()),
                    home.join(relative),
                );
            }
        }
        Ok(())
    }

    fn standard_library(
        &mut self,
        sysroot: &Path,
        rustlib: &str,
        target: &str,
    ) -> Result<(), Error> {
        let name = b"sysroot";
        self.tree(Part::Compiler, sysroot, &format!("{rustlib}/{target}/lib"), name)?;
        self.optional(Part::Compiler, sysroot, &format!("{rustlib}/{target}/target.json"), name)?;
        // With these files there, paths into the standard library lead into the sysroot, and
        // diagnostics quote it (`rustc_session::filesearch`, `try_to_translate_virtual_to_real`).
        for marker in
            ["src/rust/library/std/src/lib.rs", "rustc-src/rust/compiler/rustc/src/main.rs"]
        {
            self.optional(Part::Compiler, sysroot, &format!("{rustlib}/{marker}"), name)?;
        }
        if memchr::memmem::find(target.as_bytes(), b"-msvc").is_some() {
            self.tree(Part::Linkers, sysroot, &format!("{rustlib}/etc"), name)?;
        }
        Ok(())
    }

    /// Everything in a directory and below.
    fn tree(&mut self, part: Part, root: &Path, relative: &str, name: &[u8]) -> Result<(), Error> {
        self.subtree(part, root, Path::new(relative), name, MAX_DEPTH)
    }

    fn subtree(
        &mut self,
        part: Part,
        root: &Path,
        relative: &Path,
        name: &[u8],
        depth: usize,
    ) -> Result<(), Error> {
        for entry in self.entries(&root.join(relative))? {
            let relative = relative.join(entry);
            let path = root.join(&relative);
            let meta = fs::metadata(&path).map_err(|error| Error::io(&path, error))?;
            if !meta.is_dir() {
                self.push(part, label(name, relative.as_os_str().as_bytes()), path);
            } else if let Some(depth) = depth.checked_sub(1) {
                self.subtree(part, root, &relative, name, depth)?;
            } else {
                return Err(Error::io(path, std::io::ErrorKind::QuotaExceeded.into()));
            }
        }
        Ok(())
    }

    /// The names in a directory that may be missing.
    fn entries(&mut self, dir: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
        self.watched.push(dir.to_owned());
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(dir, error)),
        };
        let names =
            entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>();
        names.map_err(|error| Error::io(dir, error))
    }
}

fn label(root: &[u8], relative: &[u8]) -> Vec<u8> {
    [root, b"/", relative].concat()
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
