//! Walking what there is.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use cache_core::Digest;

use super::DiskStore;
use super::layout::digest_of;
use super::records::list;
use super::usage::on_disk;
use crate::{Result, StoreError};

/// What a store holds, counted by walking it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of records.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Number of blobs.
    pub blobs: u64,
    /// Their bytes. Blobs that are hard links or reflinks of files in target directories take no
    /// room of their own as long as those live.
    pub blob_bytes: u64,
    /// Records and blobs in whole 4 KiB blocks: what the budget is about.
    pub disk_bytes: u64,
    /// Damaged or foreign things that were set aside.
    pub quarantined: u64,
    /// Their bytes.
    pub quarantined_bytes: u64,
    /// Files in buckets whose names are none that the store gives.
    pub foreign: u64,
    /// Unfinished writes, of living or killed processes.
    pub staged: u64,
}

/// A file in a sharded bucket.
pub(super) struct Found {
    /// `None`: it has no business there.
    pub(super) digest: Option<Digest>,
    pub(super) path: PathBuf,
    pub(super) meta: Metadata,
}

/// Visits every file of a sharded bucket. Files that vanish meanwhile are left out.
pub(super) fn walk(bucket: &Path, mut visit: impl FnMut(Found)) -> io::Result<()> {
    for (shard, dir) in list(bucket)? {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                if let Ok(meta) = fs::symlink_metadata(&dir) {
                    visit(Found { digest: None, path: dir, meta });
                }
                continue;
            }
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            let Ok(meta) = entry.metadata() else { continue };
            let name = entry.file_name();
            let digest =
                name.to_str().filter(|_| meta.is_file()).and_then(|rest| digest_of(&shard, rest));
            visit(Found { digest, path: entry.path(), meta });
        }
    }
    Ok(())
}

impl DiskStore {
    /// Counts what there is. Walks everything: for people who ask, not for the hot path.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a directory cannot be read.
    pub fn usage(&self) -> Result<Usage> {
        let failed = |e| StoreError::read(format!("walking {}", self.root().display()), e);
        let mut usage = Usage::default();
        walk(&self.layout.records(), |found| {
            count(&found, &mut usage, |usage, bytes| {
                usage.records += 1;
                usage.record_bytes += bytes;
            });
        })
        .map_err(failed)?;
        walk(&self.layout.blobs(), |found| {
            count(&found, &mut usage, |usage, bytes| {
                usage.blobs += 1;
                usage.blob_bytes += bytes;
            });
        })
        .map_err(failed)?;
        for (_, path) in list(&self.layout.quarantine()).map_err(failed)? {
            usage.quarantined += 1;
            usage.quarantined_bytes += fs::symlink_metadata(path).map_or(0, |meta| meta.len());
        }
        usage.staged = list(&self.layout.staging()).map_err(failed)?.len() as u64;
        Ok(usage)
    }
}

fn count(found: &Found, usage: &mut Usage, known: impl FnOnce(&mut Usage, u64)) {
    if found.digest.is_some() {
        usage.disk_bytes += on_disk(found.meta.len());
        known(usage, found.meta.len());
    } else {
        usage.foreign += 1;
    }
}
