//! A store in a page: a directory with a file for each record and blob, such as a network share.
//!
//! `tests/conformance.rs` is all that it takes to know that it keeps the contract. It is a start, not
//! a rival of `cache_storage::DiskStore`: nothing is evicted, synced to disk, or linked.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cache_core::{Digest, Hasher, RecipeKey};
use cache_storage::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, Store, StoreError,
    StoredRecord,
};
use futures::{StreamExt, stream};

/// A directory that processes and machines may share, if its file system has locks.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Opens the store at `path`, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let store = Self(path.into());
        for part in ["records", "blobs", "new"] {
            fs::create_dir_all(store.0.join(part)).map_err(writing)?;
        }
        Ok(store)
    }

    fn record(&self, key: &RecipeKey) -> PathBuf {
        self.0.join("records").join(key.0.to_hex())
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs").join(digest.to_hex())
    }

    fn load(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let bytes = match fs::read(self.record(key)) {
            Ok(bytes) => Bytes::from(bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::read("reading a record", e)),
        };
        let revision = Revision(Bytes::copy_from_slice(Digest::of(&bytes).as_bytes()));
        Ok(Some(StoredRecord { bytes, revision }))
    }
}

fn writing(error: std::io::Error) -> StoreError {
    StoreError::write("writing to the folder", error)
}

/// A file that nobody sees before it is whole.
struct New(PathBuf, File);

impl New {
    fn create(folder: &Folder) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.0.join("new").join(format!("{}-{count}", std::process::id()));
        let file = File::create(&path).map_err(writing)?;
        Ok(Self(path, file))
    }

    fn publish(self, path: PathBuf) -> Result<()> {
        fs::rename(&self.0, path).map_err(writing)
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // Gone already when it was published; a write that was dropped leaves nothing.
        let _ = fs::remove_file(&self.0);
    }
}

#[async_trait::async_trait]
impl Store for Folder {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_write(true)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.load(key)
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let revision = Revision(Bytes::copy_from_slice(Digest::of(&bytes).as_bytes()));
        let mut new = New::create(self)?;
        new.1.write_all(&bytes).map_err(writing)?;
        // Compare and swap: held until the file is closed.
        let lock = File::create(self.0.join("lock")).map_err(writing)?;
        lock.lock().map_err(writing)?;
        let found = self.load(key)?.map(|record| record.revision);
        if found.map_or(Expected::Absent, Expected::Revision) != expected {
            return Err(StoreError::Conflict);
        }
        new.publish(self.record(key))?;
        Ok(revision)
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        let names = fs::read_dir(self.0.join("records"))
            .map_err(|e| StoreError::read("listing records", e))?;
        let keys: Vec<_> = names
            .filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok())
            .map(|digest| Ok(RecipeKey(digest)))
            .collect();
        Ok(stream::iter(keys).boxed())
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        remove(self.record(key))
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        Ok(digests.iter().map(|digest| self.blob(digest).exists()).collect())
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        let file = File::open(self.blob(digest)).map_err(|e| match e.kind() {
            ErrorKind::NotFound => StoreError::BlobAbsent(*digest),
            _ => StoreError::read("opening a blob", e),
        })?;
        let (digest, state) = (*digest, (file, Hasher::blob()));
        let pieces = stream::try_unfold(state, move |(mut file, mut hasher)| async move {
            let mut piece = vec![0; 64 << 10];
            let length =
                file.read(&mut piece).map_err(|e| StoreError::read("reading a blob", e))?;
            piece.truncate(length);
            hasher.update(&piece);
            let found = hasher.finish();
            match length {
                0 if found == digest => Ok(None),
                0 => Err(StoreError::Corrupt { digest, found }),
                _ => Ok(Some((Bytes::from(piece), (file, hasher)))),
            }
        });
        Ok(pieces.boxed())
    }

    async fn write_blob(
        &self,
        digest: &Digest,
        size: u64,
        mut bytes: BlobStream<'_>,
    ) -> Result<()> {
        let (mut new, mut hasher, mut length) = (New::create(self)?, Hasher::blob(), 0);
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            hasher.update(&piece);
            length += piece.len() as u64;
            new.1.write_all(&piece).map_err(writing)?;
        }
        if (hasher.finish(), length) != (*digest, size) {
            return Err(StoreError::Refused(format!("blob {digest}: other bytes than announced")));
        }
        new.publish(self.blob(digest))
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        remove(self.blob(digest))
    }
}

fn remove(path: PathBuf) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(writing(e)),
        _ => Ok(()),
    }
}
