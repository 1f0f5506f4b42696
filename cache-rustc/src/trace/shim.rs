//! The preload object: embedded bytes, and putting them where the dynamic loader can map them.

use super::error::Unavailable;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The object built by `build.rs`; empty where the tracer is not supported.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/larder-trace.so"));
/// A hash of it, for its file name.
const ID: &str = env!("CACHE_RUSTC_TRACE_ID");

/// Makes sure that the object lies in `dir`, or near it, and gives its path.
pub(super) fn install(dir: &Path) -> Result<PathBuf, Unavailable> {
    if OBJECT.is_empty() {
        return Err(Unavailable::NotBuilt);
    }
    let dir =
        std::path::absolute(dir).map_err(|source| Unavailable::Io { path: dir.into(), source })?;
    let dir = if can_be_listed(&dir) { dir } else { private_dir()? };
    let path = dir.join(format!("larder-trace-{ID}.so"));
    let failed = |source| Unavailable::Io { path: path.clone(), source };
    if !fs::read(&path).is_ok_and(|there| there == OBJECT) {
        fs::create_dir_all(&dir).map_err(failed)?;
        write(&dir, &path).map_err(failed)?;
    }
    if forbids_execution(&dir) {
        return Err(Unavailable::NoExec { dir });
    }
    Ok(path)
}

/// Whether a path in `dir` can stand in `LD_PRELOAD`: spaces and colons separate its entries, and `$` begins
/// a token that is replaced (ld.so(8)).
fn can_be_listed(dir: &Path) -> bool {
    !dir.as_os_str().as_encoded_bytes().iter().any(|b| b" :$\t\n".contains(b))
}

/// Under a new name first: another process may be loading what is there.
fn write(dir: &Path, path: &Path) -> io::Result<()> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let new = dir.join(format!(".larder-trace-{ID}.{}.{n}", std::process::id()));
    let done = fs::write(&new, OBJECT).and_then(|()| fs::rename(&new, path));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

/// A directory of this user's with a plain name, for when the wanted one has no plain name.
#[cfg(unix)]
fn private_dir() -> Result<PathBuf, Unavailable> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let uid = rustix::process::getuid().as_raw();
    let dir = PathBuf::from(format!("/tmp/larder-{uid}"));
    let failed = |source| Unavailable::Io { path: dir.clone(), source };
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
        _ => {}
    }
    // Anybody may have made it: it must be ours, a real directory, and closed to others.
    let meta = fs::symlink_metadata(&dir).map_err(failed)?;
    if !meta.is_dir() || meta.uid() != uid || meta.mode() & 0o022 != 0 {
        return Err(failed(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not a private directory",
        )));
    }
    Ok(dir)
}

#[cfg(not(unix))]
fn private_dir() -> Result<PathBuf, Unavailable> {
    Err(Unavailable::NotBuilt)
}

/// Whether files in `dir` cannot be mapped as code.
#[cfg(unix)]
fn forbids_execution(dir: &Path) -> bool {
    rustix::fs::statvfs(dir)
        .is_ok_and(|vfs| vfs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

#[cfg(not(unix))]
fn forbids_execution(_: &Path) -> bool {
    false
}
