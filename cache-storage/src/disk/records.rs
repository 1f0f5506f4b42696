//! Records: small files replaced by compare-and-swap.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use super::DiskStore;
use super::blobs::remove;
use super::layout::{digest_of, unique};
use super::lock::Lock;
use super::stage::Staged;
use crate::{Expected, RecordKeyStream, Result, Revision, StoreError, StoredRecord};

/// Longer record files are garbage; they are read this far, which no decoder accepts.
const MAX_RECORD: u64 = 64 << 20;

impl DiskStore {
    pub(super) fn load_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let bytes = read_record(&self.layout.record(key))
            .map_err(|e| StoreError::read(format!("reading record {key}"), e))?;
        Ok(bytes
            .map(|bytes| StoredRecord { revision: revision(&bytes), bytes: Bytes::from(bytes) }))
    }

    pub(super) fn swap_record(
        &self,
        key: &RecipeKey,
        bytes: &[u8],
        expected: &Expected,
    ) -> Result<Revision> {
        self.check_writable()?;
        if bytes.len() as u64 > MAX_RECORD {
            return Err(StoreError::Refused(format!(
                "record {key} has {} bytes; the most is {MAX_RECORD}",
                bytes.len()
            )));
        }
        let failed = |e| StoreError::write(format!("writing record {key}"), e);
        let path = self.layout.record(key);
        let lock = Lock::Record(key).exclusive(&self.layout).map_err(failed)?;
        let old = self.load_record(key)?;
        match (&old, expected) {
            (None, Expected::Absent) => {}
            (Some(old), Expected::Revision(expected)) if old.revision == *expected => {}
            _ => return Err(StoreError::Conflict),
        }
        let mut staged = Staged::in_store(&self.layout).map_err(failed)?;
        staged.file().write_all(bytes).map_err(failed)?;
        let length = old.as_ref().map(|old| old.bytes.len() as u64);
        let _unpinned = self.retire(key, old).map_err(failed)?;
        staged.publish_in(&self.layout, &path).map_err(failed)?;
        drop(lock);
        if let Some(length) = length {
            self.usage.removed(length);
        }
        self.usage.added(bytes.len() as u64);
        self.usage.flush(&self.layout);
        Ok(revision(bytes))
    }

    pub(super) fn remove_record(&self, key: &RecipeKey) -> Result<()> {
        self.check_writable()?;
        let failed = |e| StoreError::write(format!("removing record {key}"), e);
        let path = self.layout.record(key);
        let _lock = Lock::Record(key).exclusive(&self.layout).map_err(failed)?;
        let old = self.load_record(key)?;
        let length = old.as_ref().map_or(0, |old| old.bytes.len() as u64);
        let _unpinned = self.retire(key, old).map_err(failed)?;
        if remove(&path, |path| self.layout.set_aside(path)).map_err(failed)? {
            self.usage.removed(length);
        }
        Ok(())
    }

    /// Prepares for the old record to go. If somebody has it pinned, keeps a copy that names the
    /// blobs they may be restoring; else gives a lock that keeps new pins out until the record is
    /// replaced.
    fn retire(&self, key: &RecipeKey, old: Option<StoredRecord>) -> io::Result<Option<File>> {
        let Some(old) = old else { return Ok(None) };
        if let Some(lock) = Lock::Pin(key).try_exclusive(&self.layout)? {
            return Ok(Some(lock));
        }
        let mut staged = Staged::in_store(&self.layout)?;
        staged.file().write_all(&old.bytes)?;
        let name = format!("{}.{}", key.0, unique());
        staged.publish_in(&self.layout, &self.layout.retired().join(name))?;
        Ok(None)
    }

    pub(super) fn stream_records(&self) -> Result<RecordKeyStream<'_>> {
        let shards =
            list(&self.layout.records()).map_err(|e| StoreError::read("listing records", e))?;
        let keys = shards.into_iter().flat_map(|(shard, dir)| {
            let (names, error) = match list(&dir) {
                Ok(names) => (names, None),
                Err(e) => (Vec::new(), Some(StoreError::read("listing records", e))),
            };
            let keys = names
                .into_iter()
                .filter_map(move |(rest, _)| digest_of(&shard, &rest).map(RecipeKey));
            keys.map(Ok).chain(error.map(Err))
        });
        Ok(futures::stream::iter(keys).boxed())
    }
}

/// The bytes of a record's file; `None` where there is no file.
pub(super) fn read_record(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let read = || -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        file.take(MAX_RECORD + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Names and paths in a directory, names that are not UTF-8 left out (they are not ours). What is
/// no directory, or gone, has none.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push((name, entry.path()));
        }
    }
    Ok(names)
}

fn revision(bytes: &[u8]) -> Revision {
    Revision(Bytes::copy_from_slice(Digest::of(bytes).as_bytes()))
}
