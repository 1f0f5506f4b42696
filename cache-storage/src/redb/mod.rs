//! A store in one file, by [redb](https://docs.rs/redb).

mod backing;
mod blobs;
#[cfg(test)]
mod crashes;
mod gc;
mod memo;
mod records;
mod shared;
mod tables;
mod trouble;
mod uses;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use rustix::fs::{Access, access};

use self::backing::{MakeBacking, plain_file};
use self::memo::Learnt;
use self::shared::Shared;
use self::uses::Uses;
use crate::disk::check_can_be_made;
use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};

/// How a [`RedbStore`] is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedbOptions {
    /// Never write, even where that would be allowed.
    pub read_only: bool,
    /// How long [`RedbStore::gc`] keeps a blob that no record names: its writer may be about to
    /// store the record.
    pub grace: Duration,
    /// How long to wait for other processes that have the file locked, before an operation fails.
    pub patience: Duration,
}

impl Default for RedbOptions {
    /// Writable, ten minutes of grace, ten seconds of patience.
    fn default() -> Self {
        Self {
            read_only: false,
            grace: Duration::from_secs(600),
            patience: Duration::from_secs(10),
        }
    }
}

/// A store in one file, which many processes read and write at once.
///
/// For records and blobs of moderate size, in processes that live long: a change is synced to disk
/// before it is reported as done, so it survives a power cut, and costs some milliseconds. Opening
/// to read takes a tenth of a millisecond, opening to write a few syncs. One process writes at a
/// time; readers wait for nobody and see the file as it was when they began.
///
/// A process may be killed at any instant. The next writer, or the next reader that could write,
/// puts the file right; a process that may only read cannot, and gets [`StoreError::Io`] until
/// then.
///
/// A file that is damaged or of another format is renamed, to its name and `.corrupt` or
/// `.incompatible` (one of each is kept), and the store goes on with a new one. redb may panic
/// over damaged bytes. Such a panic is caught, but the process's panic hook has run by then, which
/// by default writes to standard error.
///
/// Needs byte-range locks of the system (Linux, Apple, Windows); not for network file systems. The
/// methods of [`Store`] do their work on the calling thread.
#[derive(Debug)]
pub struct RedbStore {
    file: Shared,
    grace: Duration,
    memo: Learnt,
    uses: Uses,
}

impl RedbStore {
    /// The longest record, in bytes.
    pub const MAX_RECORD: u64 = 64 << 20;
    /// The longest blob, in bytes; longer ones are [`StoreError::Refused`]. A blob is held in
    /// memory while it is written.
    pub const MAX_BLOB: u64 = 64 << 20;

    /// Opens the store in the file `path`, which is made when it is first written to. Reads and
    /// changes nothing yet.
    ///
    /// A file without write permission, or on a file system that is mounted read-only, is a store
    /// that can be read.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when `path` is not a regular file, or does not exist and cannot be
    /// made.
    pub fn open(path: impl Into<PathBuf>, options: RedbOptions) -> Result<Self> {
        Self::open_on(&path.into(), &options, Box::new(plain_file))
    }

    fn open_on(path: &Path, options: &RedbOptions, backing: MakeBacking) -> Result<Self> {
        let unusable = |reason: String| StoreError::Unusable { path: path.to_owned(), reason };
        let absolute = std::path::absolute(path).map_err(|e| unusable(e.to_string()))?;
        let mut read_only = options.read_only.then(|| "opened for reading only".to_owned());
        match fs::metadata(&absolute) {
            Ok(meta) if !meta.is_file() => return Err(unusable("not a regular file".into())),
            Ok(_) if read_only.is_some() => {}
            Ok(_) => read_only = refused_change(&absolute),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if read_only.is_none() {
                    check_can_be_made(&absolute).map_err(unusable)?;
                }
            }
            Err(e) => return Err(unusable(e.to_string())),
        }
        Ok(Self {
            file: Shared::new(absolute, read_only, options.patience, backing),
            grace: options.grace,
            memo: Learnt::default(),
            uses: Uses::default(),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The new name of the last file that this process has set aside, and what was wrong with it.
    #[must_use]
    pub fn last_set_aside(&self) -> Option<String> {
        self.file.last_set_aside()
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        let _ = self.flush();
        self.file.forget();
    }
}

/// Why the file cannot be written, if it cannot.
fn refused_change(path: &Path) -> Option<String> {
    match access(path, Access::WRITE_OK) {
        Ok(()) => None,
        Err(rustix::io::Errno::ROFS) => Some("the file system is mounted read-only".into()),
        Err(_) => Some("no write permission".into()),
    }
}

#[async_trait]
impl Store for RedbStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_write(self.file.is_writable())
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.load_record(key)
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        self.swap_record(key, &bytes, &expected)
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.stream_records()
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.remove_record(key)
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.has_blobs(digests)
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.stream_blob(digest)?.1)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let (size, bytes) = self.stream_blob(digest)?;
        Ok(SizedBlob { size: Some(size), bytes })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        self.take_stream(digest, size, bytes).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.remove_blob(digest)
    }
}
