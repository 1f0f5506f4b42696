//! Pins: a record in use is not evicted.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use cache_core::RecipeKey;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

use super::DiskStore;
use super::lock::Lock;
use crate::{Pin, Result, StoreError};

/// A shared lock on the pin lock of the record's shard, until dropped.
#[derive(Debug)]
struct DiskPin {
    _lock: Option<File>,
}

impl Pin for DiskPin {}

impl DiskStore {
    /// See [`BlobFiles::pin`](crate::BlobFiles::pin).
    ///
    /// The lock comes first, then the look at the record: an eviction takes the lock for itself
    /// before it removes the record. A reader that pins and then reads the record finds every blob
    /// that it names, for as long as the pin lives.
    pub(super) fn pin_record(&self, key: &RecipeKey) -> Result<Option<Box<dyn Pin>>> {
        let record = self.layout.record(key);
        // Without a lock (no write permission, no lock support) a blob may vanish: a miss.
        let (lock, there) = if self.writable {
            let lock = Lock::Pin(key).shared(&self.layout);
            (lock, touch(&record).or_else(|_| exists(&record)))
        } else {
            let lock = Lock::Pin(key).shared_if_there(&self.layout);
            (lock, exists(&record))
        };
        let lock = lock.ok();
        match there {
            Ok(()) => Ok(Some(Box::new(DiskPin { _lock: lock }))),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(e) => Err(StoreError::read(format!("looking for record {key}"), e)),
        }
    }
}

fn exists(path: &Path) -> io::Result<()> {
    fs::symlink_metadata(path).map(|_| ())
}

/// The mtime of a record's file is the time of its last use. The inode is private to the store.
fn touch(path: &Path) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    utimensat(CWD, path, &times, AtFlags::empty())?;
    Ok(())
}
