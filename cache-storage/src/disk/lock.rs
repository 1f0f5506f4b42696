//! Kernel locks between processes.
//!
//! All are flock(2) locks on empty files of a fixed set, so they are released however their holder
//! ends, and never need to be swept. Lock order, where one thread holds two: gc, record, pin, sweep.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;

use cache_core::{Digest, RecipeKey};

use super::layout::Layout;

/// Which lock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock<'a> {
    /// One garbage collection at a time.
    Gc,
    /// Shared while a blob is published or found present; exclusive while blobs are removed.
    Sweep,
    /// Compare-and-swap of the records of a shard.
    Record(&'a RecipeKey),
    /// Shared while a record is in use; exclusive while it is taken away. One of 4096: an
    /// unrelated record of the shard is skipped by an eviction, which does no harm.
    Pin(&'a RecipeKey),
    /// The usage counter.
    Usage,
}

impl Lock<'_> {
    fn path(self, layout: &Layout) -> PathBuf {
        let locks = layout.locks();
        match self {
            Lock::Gc => locks.join("gc"),
            Lock::Sweep => locks.join("sweep"),
            Lock::Usage => locks.join("usage"),
            Lock::Record(key) => locks.join("record").join(shard(&key.0, 2)),
            Lock::Pin(key) => locks.join("pin").join(shard(&key.0, 3)),
        }
    }

    fn open(self, layout: &Layout) -> io::Result<File> {
        let path = self.path(layout);
        // For writing, because NFS emulates flock by byte-range locks, which ask for it.
        let open = || OpenOptions::new().read(true).append(true).create(true).open(&path);
        match layout.making(&path, open) {
            Err(_) if path.is_dir() => {
                layout.set_aside(&path)?;
                open()
            }
            other => other,
        }
    }

    pub(super) fn shared(self, layout: &Layout) -> io::Result<File> {
        let file = self.open(layout)?;
        file.lock_shared()?;
        Ok(file)
    }

    /// A shared lock if its file is there already; for stores that are not to be written.
    pub(super) fn shared_if_there(self, layout: &Layout) -> io::Result<File> {
        let file = File::open(self.path(layout))?;
        file.lock_shared()?;
        Ok(file)
    }

    pub(super) fn exclusive(self, layout: &Layout) -> io::Result<File> {
        let file = self.open(layout)?;
        file.lock()?;
        Ok(file)
    }

    /// Without waiting: `None` when somebody else has it.
    pub(super) fn try_exclusive(self, layout: &Layout) -> io::Result<Option<File>> {
        let file = self.open(layout)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}

fn shard(digest: &Digest, digits: usize) -> String {
    let mut hex = digest.to_hex();
    hex.truncate(digits);
    hex
}
