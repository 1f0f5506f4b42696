//! The names of the files rustc will write.
//!
//! As in `rustc_session::config::OutputFilenames`, `rustc_session::output` and
//! `rustc_interface::util::build_output_filenames`, with their quirks: names other than
//! `lib….rlib` and `lib….rmeta` get their extension by replacing what looks like one, so that
//! `-C extra-filename=-1.2` gives `name-1.d`.

use std::path::{Path, PathBuf};

use super::{CompileArgs, CrateType, EmitKind, Target};

/// A file that a compile will write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PredictedOutput {
    /// The kind that asked for it.
    pub kind: EmitKind,
    /// For [`EmitKind::Link`]: which of the crate types.
    pub crate_type: Option<CrateType>,
    /// Where, joined to the working directory.
    pub path: PathBuf,
}

/// How a target calls what is linked (`rustc_target::spec`: `exe_suffix`, `dll_prefix` and so on).
#[derive(Clone, Copy)]
struct Naming {
    exe_suffix: &'static str,
    dll_prefix: &'static str,
    dll_suffix: &'static str,
}

const UNIX: Naming = Naming { exe_suffix: "", dll_prefix: "lib", dll_suffix: ".so" };
const APPLE: Naming = Naming { exe_suffix: "", dll_prefix: "lib", dll_suffix: ".dylib" };
const WASM: Naming = Naming { exe_suffix: ".wasm", dll_prefix: "", dll_suffix: ".wasm" };

/// The families whose linked outputs are exactly the files named here. Windows is not one of
/// them: there a link also writes import libraries and program databases.
fn naming(target: Option<&Target>) -> Option<Naming> {
    let triple = match target {
        None if cfg!(target_vendor = "apple") => return Some(APPLE),
        None if cfg!(unix) => return Some(UNIX),
        None | Some(Target::Spec(_)) => return None,
        Some(Target::Triple(triple)) => triple,
    };
    let has = |names: &[&str]| triple.split('-').any(|part| names.contains(&part));
    let unix = ["android", "dragonfly", "freebsd", "illumos", "linux", "netbsd", "openbsd"];
    if triple.starts_with("wasm") {
        // Not Emscripten, whose linker writes two files.
        (triple.ends_with("-unknown-unknown") || triple.contains("-wasip")).then_some(WASM)
    } else if has(&["apple"]) {
        Some(APPLE)
    } else {
        has(&unix).then_some(UNIX)
    }
}

impl Target {
    /// Whether it is one of Apple's. `None` is the host.
    pub(super) fn is_apple(target: Option<&Self>) -> bool {
        match target {
            None => cfg!(target_vendor = "apple"),
            Some(Self::Triple(triple)) => triple.split('-').any(|part| part == "apple"),
            Some(Self::Spec(_)) => false,
        }
    }
}

/// Whether the file names of everything these arguments write are known.
pub(super) fn predictable(args: &CompileArgs) -> bool {
    !args.links() || naming(args.target.as_ref()).is_some()
}

/// The parts that file names are made of.
struct Names<'a> {
    dir: &'a Path,
    /// For `lib….rlib`, `lib….rmeta` and the like.
    lib: String,
    /// For all other files.
    stem: String,
    /// `-o`, when it names exactly one file.
    single: Option<&'a Path>,
}

impl<'a> Names<'a> {
    fn new(args: &'a CompileArgs) -> Self {
        let extra = args.extra_filename.as_deref().unwrap_or("");
        let lib = format!("{}{extra}", args.crate_name);
        match &args.output {
            None => Self {
                dir: args.out_dir.as_deref().unwrap_or(Path::new("")),
                stem: lib.clone(),
                lib,
                single: None,
            },
            Some(file) => {
                let unnamed = args.emits.iter().filter(|emit| emit.path.is_none()).count();
                let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                Self {
                    dir: file.parent().unwrap_or(Path::new("")),
                    stem: format!("{stem}{extra}"),
                    lib,
                    single: (unnamed <= 1).then_some(file),
                }
            }
        }
    }

    fn plain(&self, extension: &str) -> PathBuf {
        let mut path = self.dir.join(&self.stem);
        path.set_extension(extension);
        path
    }

    fn default(&self, kind: EmitKind, crate_type: Option<CrateType>, naming: Naming) -> PathBuf {
        let lib = &self.lib;
        match (kind, crate_type) {
            (EmitKind::Metadata, _) => self.dir.join(format!("lib{lib}.rmeta")),
            (EmitKind::Link, Some(CrateType::Rlib)) => self.dir.join(format!("lib{lib}.rlib")),
            (EmitKind::Link, Some(CrateType::Staticlib)) => self.dir.join(format!("lib{lib}.a")),
            (EmitKind::Link, Some(CrateType::Cdylib | CrateType::Dylib | CrateType::ProcMacro)) => {
                self.dir.join(format!("{}{lib}{}", naming.dll_prefix, naming.dll_suffix))
            }
            (EmitKind::Link, _) => match naming.exe_suffix.strip_prefix('.') {
                Some(extension) => self.plain("").with_extension(extension),
                None => self.plain(""),
            },
            _ => self.plain(kind.extension()),
        }
    }
}

impl CompileArgs {
    /// The files rustc will write when the compile succeeds, in the order of
    /// [`emits`](Self::emits) and [`crate_types`](Self::crate_types), no path twice.
    ///
    /// For a target whose conventions are not known, linked outputs are named as on Unix; the
    /// parser refuses such invocations.
    #[must_use]
    pub fn predicted_outputs(&self, cwd: &Path) -> Vec<PredictedOutput> {
        let names = Names::new(self);
        let naming = naming(self.target.as_ref()).unwrap_or(UNIX);
        let mut outputs = Vec::with_capacity(self.emits.len() + self.crate_types.len());
        for emit in &self.emits {
            let mut add = |crate_type| {
                let given = emit.path.as_deref().or(names.single);
                let path = match given {
                    Some(path) => cwd.join(path),
                    None => cwd.join(names.default(emit.kind, crate_type, naming)),
                };
                outputs.push(PredictedOutput { kind: emit.kind, crate_type, path });
            };
            if emit.kind == EmitKind::Link {
                self.crate_types.iter().for_each(|crate_type| add(Some(*crate_type)));
            } else {
                add(None);
            }
        }
        outputs
    }
}
