//! The digest of what makes a compiler.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cache_core::{Digest, Hasher};

use super::files::{self, Listing};
use super::snapshot::{self, Snapshot, Version};
use super::stamp::Stamp;
use super::{Compiler, Error, memo};

/// What a compiler is, wherever it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Over the compiler's program, the wrapper in front of it, its shared objects, its code
    /// generators, and the target's standard library. Belongs in every recipe.
    pub digest: Digest,
    /// Over the linkers that come with the compiler (`rust-lld`, `gcc-ld`): belongs in the
    /// recipes of units that link.
    pub linkers: Digest,
    /// The target that the compiler itself runs on, its default target.
    pub host: String,
    /// The release, such as `1.95.0` or `1.97.0-nightly`.
    pub release: String,
    /// The commit it was built from, when it says so.
    pub commit: Option<String>,
    /// All that `rustc -vV` says, for people to read.
    pub verbose: String,
}

/// The identity of `compiler` when it compiles for `target` (a `--target` value; `None` for its
/// host).
///
/// The first call for a toolchain and target reads some 500 MB and runs `rustc -vV`. It leaves a
/// memo in `memo_dir`, with which later calls make one `stat` for each of the compiler's files and
/// directories and start no process. A memo that is damaged or does not hold any more is replaced;
/// one that cannot be written is done without. Of several processes one does the work.
///
/// # Errors
/// Any [`Error`]: the compiler's identity is then unknown, and nothing may be looked up or stored.
pub fn identity(
    compiler: &Compiler,
    target: Option<&str>,
    memo_dir: &Path,
) -> Result<Identity, Error> {
    identity_with(compiler, target, memo_dir, Trust::AgedStamps)
}

/// Which stamps a memo may stand on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those old enough that a later change must have moved them.
    AgedStamps,
    /// All: for tests, whose files are always young.
    #[cfg(test)]
    AllStamps,
}

/// [`identity`], with the age of stamps to choose.
pub(super) fn identity_with(
    compiler: &Compiler,
    target: Option<&str>,
    memo_dir: &Path,
    trust: Trust,
) -> Result<Identity, Error> {
    let path = memo_path(compiler, target, memo_dir);
    let read =
        || memo::read(&path, &snapshot::MAGIC).and_then(|payload| Snapshot::decode(&payload));
    let current = match read() {
        Some(old) if old.holds() => old,
        _ => {
            // The units of a first build start together; one of them reads the toolchain.
            let _lock = lock(&memo_dir.join("reading.lock"));
            let old = read();
            if let Some(held) = old.as_ref().filter(|old| old.holds()) {
                refuse_shadowing(compiler, held)?;
                return Ok(held.identity.clone());
            }
            let new = compute(compiler, target, old.as_ref())?;
            if trust != Trust::AgedStamps || !new.is_young() {
                memo::write(&path, &snapshot::MAGIC, &new.encode());
            }
            new
        }
    };
    refuse_shadowing(compiler, &current)?;
    Ok(current.identity)
}

/// Holds a lock until dropped. Without one, more than one process does the work.
fn lock(path: &Path) -> Option<File> {
    path.parent().map(std::fs::create_dir_all)?.ok()?;
    let file = File::options().create(true).append(true).open(path).ok()?;
    file.lock().ok()?;
    Some(file)
}

fn memo_path(compiler: &Compiler, target: Option<&str>, memo_dir: &Path) -> PathBuf {
    let mut key = Hasher::keyed("larder 2026 toolchain memo name v1");
    let wrapper = compiler.wrapper.as_ref();
    let wrapper_home = wrapper.and_then(|wrapper| wrapper.home.as_ref());
    for path in [
        Some(&compiler.binary),
        Some(&compiler.home),
        Some(&compiler.sysroot),
        wrapper.map(|w| &w.binary),
        wrapper_home,
    ] {
        key.field(path.map_or(&[], |path| path.as_os_str().as_bytes()));
    }
    key.field(target.unwrap_or_default().as_bytes());
    memo_dir.join(format!("toolchain-{}", &key.finish().to_hex()[..32]))
}

fn compute(
    compiler: &Compiler,
    target: Option<&str>,
    old: Option<&Snapshot>,
) -> Result<Snapshot, Error> {
    let version = version(compiler)?;
    let before = files::list(compiler, &version.host, target)?;
    let stamps = stamps_of(&before)?;
    // Listed again after the directories were stamped, so that the stamps are the list's own.
    let listing = files::list(compiler, &version.host, target)?;
    if listing.watched != before.watched {
        return Err(Error::Changed { path: compiler.home.clone() });
    }
    Snapshot::take(version, listing, stamps, old)
}

fn stamps_of(listing: &Listing) -> Result<Vec<(PathBuf, Option<Stamp>)>, Error> {
    listing.watched.iter().map(|path| Ok((path.clone(), Stamp::of(path)?))).collect()
}

fn version(compiler: &Compiler) -> Result<Version, Error> {
    let own = compiler.home.join("bin/rustc");
    let program = if compiler.script || !own.is_file() { &compiler.program } else { &own };
    let output = Command::new(program)
        .arg("-vV")
        // Both change what is printed without changing what the compiler is.
        .env_remove("RUSTC_FORCE_RUSTC_VERSION")
        .env_remove("RUSTC_LOG")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::io(program, error))?;
    let verbose = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |name: &str| {
        let line = verbose.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    let host = value("host").filter(|host| is_target_name(host));
    match (output.status.success(), host, value("release")) {
        (true, Some(host), Some(release)) => {
            let commit = value("commit-hash").filter(|commit| commit != "unknown");
            Ok(Version { host, release, commit, verbose })
        }
        _ => {
            let detail = format!("-vV: {}", output.status);
            Err(Error::Probe { program: program.clone(), detail })
        }
    }
}

/// The host becomes part of paths.
fn is_target_name(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && host != ".."
}

/// The loader looks in `LD_LIBRARY_PATH` before the compiler's `lib`. A directory there that has
/// the compiler's library under the same name, but another file, makes the identity untrue. (cargo
/// and rustup put the toolchain's own `lib` there, which is no harm.)
fn refuse_shadowing(compiler: &Compiler, snapshot: &Snapshot) -> Result<(), Error> {
    if compiler.loader_path.is_empty() {
        return Ok(());
    }
    for file in &snapshot.files {
        let label = &file.source.label;
        let name = file.source.path.file_name().unwrap_or_default();
        let loaded = name.as_bytes().starts_with(b"librustc_driver")
            || name.as_bytes().starts_with(b"libLLVM");
        if !loaded || !(label.starts_with(b"home/lib") || label.starts_with(b"wrapper-home/lib")) {
            continue;
        }
        for dir in &compiler.loader_path {
            let by = dir.join(name);
            if by != file.source.path
                && Stamp::of(&by)?.is_some_and(|found| found.file() != file.stamp.file())
            {
                return Err(Error::Shadowed { by });
            }
        }
    }
    Ok(())
}
