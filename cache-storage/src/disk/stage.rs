//! Files being written: complete before anyone can see them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::layout::{Layout, unique};

/// A new file under a temporary name, removed when dropped unless it was published.
///
/// Files below the store are locked (flock) while their writer lives: the sweep of a later
/// garbage collection tells leftovers of killed writers by that, across containers and
/// regardless of process numbers.
///
/// Nothing is synced to disk. A power cut may leave a published file with wrong or no bytes;
/// digests are checked when bytes are read, and the memo that could vouch for them forgets at
/// every boot. Syncing would cost each miss more than all else that storing does.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
    file: File,
    published: bool,
}

impl Staged {
    /// A staged file in the store.
    pub(super) fn in_store(layout: &Layout) -> io::Result<Self> {
        let dir = layout.staging();
        let path = dir.join(unique());
        let file = layout.making(&path, || create(&path, 0o666))?;
        // A lock that cannot be had only makes the leftover live for a day.
        let _ = file.try_lock();
        Ok(Self::at(path, file))
    }

    /// A staged file beside `dest`, under a hidden name that no tool looks for.
    pub(super) fn beside(dest: &Path, mode: u32) -> io::Result<Self> {
        let path = beside(dest);
        let file = create(&path, mode | 0o200)?;
        Ok(Self::at(path, file))
    }

    fn at(path: PathBuf, file: File) -> Self {
        Self { path, file, published: false }
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(fs::Permissions::from_mode(mode))
    }

    /// Renames onto `dest`, outside the store.
    pub(super) fn publish(mut self, dest: &Path) -> io::Result<()> {
        fs::rename(&self.path, dest)?;
        self.published = true;
        Ok(())
    }

    /// Renames onto `dest` in the store, making its directory.
    pub(super) fn publish_in(mut self, layout: &Layout, dest: &Path) -> io::Result<()> {
        layout.rename_onto(&self.path, dest)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A temporary name in the directory of `dest`.
pub(super) fn beside(dest: &Path) -> PathBuf {
    dest.with_file_name(format!(".larder-{}", unique()))
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    let create = |path: &Path| {
        OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)
    };
    match create(path) {
        // Left by a process of the same number; its name will not come a third time.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create(path)
        }
        other => other,
    }
}
