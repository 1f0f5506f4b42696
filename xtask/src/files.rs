//! Copying trees, and scratch directories that go away.

use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

use anyhow::{Context, Result};

/// A directory for one task's work, removed when dropped unless it is to be kept.
pub(crate) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes `larder-xtask-<task>-<process id>` in the system's temporary directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new(task: &str, keep: bool) -> Result<Self> {
        Self::below(&env::temp_dir(), task, keep)
    }

    /// The same in another directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn below(directory: &Path, task: &str, keep: bool) -> Result<Self> {
        let path = directory.join(format!("larder-xtask-{task}-{}", process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        // cargo names the real path in what it writes, so work with that one.
        Ok(Self { path: path.canonicalize()?, keep })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("kept: {}", self.path.display());
        } else if let Err(error) = remove_tree(&self.path) {
            eprintln!("cannot remove {}: {error:#}", self.path.display());
        }
    }
}

/// Copies the directory `from` to `to`, leaving out top-level entries named in `skip`. Symbolic
/// links are followed.
///
/// # Errors
/// When a file cannot be read or written; the message names it.
pub(crate) fn copy_tree(from: &Path, to: &Path, skip: &[&str]) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if skip.iter().any(|skipped| name == *skipped) {
            continue;
        }
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to.join(name), &[])?;
        } else {
            copy_file(&entry.path(), &to.join(name))?;
        }
    }
    Ok(())
}

/// Copies one file, making the directories above it.
///
/// # Errors
/// When it cannot be read or written; the message names it.
pub(crate) fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Removes a file, a link or a whole tree; what is absent is fine.
///
/// # Errors
/// When something is there and stays.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
