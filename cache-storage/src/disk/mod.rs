//! A store of plain files that many processes share without a server.

mod adopt;
mod blobs;
mod copy;
mod gc;
mod layout;
mod lock;
pub(crate) mod memo;
mod options;
mod pin;
mod place;
mod records;
mod stage;
pub(crate) mod stamp;
mod sweep;
mod usage;
mod verify;
mod walk;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use rustix::fs::{Access, access};

pub use gc::GcReport;
pub use memo::MemoTable;
pub use options::{Budget, DiskOptions};
pub use verify::{Progress, VerifyReport};
pub use walk::Usage;

use self::copy::Reflinks;
use self::layout::Layout;
use self::usage::Counter;
use crate::{
    BlobFiles, BlobStream, Capabilities, Expected, Pin, Placed, Placement, RecordKeyStream, Result,
    Revision, SizedBlob, Store, StoreError, StoredRecord,
};

/// A store of plain files.
///
/// Any number of processes use one directory at once, with no process in the background: writes
/// are made under temporary names and renamed, records are swapped under kernel locks, and a
/// process may be killed at any instruction. The files are the truth; whatever else is there (the
/// digest memo, the usage counter) may be deleted at any time.
///
/// The methods of [`Store`] do their work on the calling thread.
///
/// Record and blob bytes are not synced to disk: a power cut may lose what was just stored, and
/// damaged bytes are found by their digests when they are read.
#[derive(Debug)]
pub struct DiskStore {
    layout: Layout,
    options: DiskOptions,
    /// Why not, if it is not.
    read_only: Option<&'static str>,
    writable: bool,
    memo: MemoTable,
    usage: Counter,
    reflinks: Reflinks,
}

impl DiskStore {
    /// Opens the store at `path`, which is made when it is first written to.
    ///
    /// Costs two system calls and reads nothing, so that a wrapper can do it for every compile.
    ///
    /// A directory without write permission, or on a file system that is mounted read-only, is a
    /// store that can be read.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when `path` is not a directory, or does not exist and cannot be
    /// made.
    pub fn open(path: impl Into<PathBuf>, options: DiskOptions) -> Result<Self> {
        let path = path.into();
        let unusable = |reason: String| StoreError::Unusable { path: path.clone(), reason };
        let root = std::path::absolute(&path).map_err(|e| unusable(e.to_string()))?;
        let mut read_only = options.read_only.then_some("opened for reading only");
        match fs::metadata(&root) {
            Ok(meta) if !meta.is_dir() => return Err(unusable("not a directory".into())),
            Ok(_) if read_only.is_some() => {}
            Ok(_) => read_only = refused_write(&root),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if read_only.is_none() {
                    check_can_be_made(&root).map_err(unusable)?;
                }
            }
            Err(e) => return Err(unusable(e.to_string())),
        }
        let layout = Layout::new(root);
        Ok(Self {
            memo: MemoTable::new(layout.clone(), read_only.is_none()),
            writable: read_only.is_none(),
            read_only,
            layout,
            options,
            usage: Counter::default(),
            reflinks: Reflinks::default(),
        })
    }

    /// The top directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// A directory for the lock files of actions in flight. Made by whoever first needs it; files
    /// that nobody has locked for a day are swept.
    #[must_use]
    pub fn flights(&self) -> PathBuf {
        self.layout.flights()
    }

    /// The digest memo.
    #[must_use]
    pub fn memo(&self) -> &MemoTable {
        &self.memo
    }

    fn check_writable(&self) -> Result<()> {
        self.read_only.map_or(Ok(()), |reason| {
            Err(StoreError::ReadOnly(format!("{}: {reason}", self.root().display())))
        })
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if self.writable {
            self.usage.flush(&self.layout);
        }
    }
}

fn refused_write(dir: &Path) -> Option<&'static str> {
    match access(dir, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => None,
        Err(rustix::io::Errno::ROFS) => Some("the file system is mounted read-only"),
        Err(_) => Some("no write permission"),
    }
}

/// Whether the nearest directory that exists can take another.
pub(crate) fn check_can_be_made(root: &Path) -> std::result::Result<(), String> {
    for parent in root.ancestors().skip(1) {
        match fs::metadata(parent) {
            Ok(meta) if !meta.is_dir() => {
                return Err(format!("{} is not a directory", parent.display()));
            }
            Ok(_) => {
                return refused_write(parent).map_or(Ok(()), |reason| {
                    Err(format!("cannot be made in {}: {reason}", parent.display()))
                });
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(format!("{}: {e}", parent.display())),
        }
    }
    Err("no directory above it exists".into())
}

#[async_trait]
impl Store for DiskStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_write(self.writable).with_files(true)
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
        Ok(digests.iter().map(|digest| self.has_blob(digest)).collect())
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.stream_blob(digest)?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        self.stream_blob(digest)
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        self.take_stream(digest, size, bytes).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.remove_blob(digest)
    }

    fn files(&self) -> Option<&dyn BlobFiles> {
        Some(self)
    }
}

impl BlobFiles for DiskStore {
    fn pin(&self, key: &RecipeKey) -> Result<Option<Box<dyn Pin>>> {
        self.pin_record(key)
    }

    fn place(
        &self,
        digest: &Digest,
        dest: &Path,
        mode: u32,
        placement: Placement,
    ) -> Result<Placed> {
        self.place_blob(digest, dest, mode, placement)
    }

    fn adopt(
        &self,
        digest: &Digest,
        size: u64,
        from: &Path,
        placement: Placement,
    ) -> Result<Placed> {
        self.adopt_file(digest, size, from, placement)
    }

    fn digest_file(&self, path: &Path) -> io::Result<Digest> {
        self.memo.digest_file(path)
    }

    fn remember(&self, path: &Path, digest: &Digest) {
        self.memo.remember(path, digest);
    }
}
