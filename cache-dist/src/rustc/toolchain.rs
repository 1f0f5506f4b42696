//! What a compile needs of a toolchain.

use std::fs;
use std::path::{Path, PathBuf};

use cache_rustc::engine::{Job, Toolchain};

use crate::content::blocking;
use crate::{RemoteError, Result};

/// The driver with its libraries and code generators, the standard library of the target, and for a
/// link the toolchain's own linkers.
///
/// # Errors
/// [`RemoteError::Local`] for what cannot be read.
pub(super) async fn files(toolchain: &Toolchain) -> Result<Vec<PathBuf>> {
    let toolchain = toolchain.clone();
    blocking(move || {
        let mut all = vec![toolchain.rustc.clone()];
        let lib = toolchain.home.join("lib");
        flat(&lib, &mut all)?;
        let host = lib.join("rustlib").join(&toolchain.host);
        let target = lib.join("rustlib").join(&toolchain.target);
        deep(&target.join("lib"), &mut all)?;
        deep(&host.join("codegen-backends"), &mut all)?;
        if toolchain.links {
            deep(&host.join("bin"), &mut all)?;
            if target != host {
                deep(&target.join("bin"), &mut all)?;
            }
        }
        Ok(all)
    })
    .await
}

/// Links that the system's own programs are found by and that lie where no sandbox has them:
/// Debian's `/etc/alternatives`.
pub(super) async fn alternatives(job: &Job) -> Vec<(PathBuf, String)> {
    if !job.toolchain.links {
        return Vec::new();
    }
    let names = ["cc", "c++", "ld", "gcc", "g++"];
    let found = blocking(move || {
        let link = |name: &&str| {
            let path = Path::new("/etc/alternatives").join(name);
            Some((path.clone(), fs::read_link(&path).ok()?.to_str()?.to_owned()))
        };
        Ok(names.iter().filter_map(link).collect())
    });
    found.await.unwrap_or_default()
}

fn flat(dir: &Path, all: &mut Vec<PathBuf>) -> Result<()> {
    for path in list(dir)?.into_iter().filter(|path| path.is_file()) {
        all.push(path);
    }
    Ok(())
}

fn deep(dir: &Path, all: &mut Vec<PathBuf>) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for path in list(dir)? {
        if path.is_dir() {
            deep(&path, all)?;
        } else if path.is_file() {
            all.push(path);
        }
    }
    Ok(())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| RemoteError::local(dir.display(), &e);
    let entries = fs::read_dir(dir).map_err(failed)?;
    entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}
