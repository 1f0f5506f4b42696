//! A store that nobody writes through.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};

use crate::{
    BlobFiles, BlobStream, Capabilities, Expected, Pin, Placed, Placement, RecordKeyStream, Result,
    Revision, SizedBlob, Store, StoreError, StoredRecord,
};

/// Reads pass; each write fails with [`StoreError::ReadOnly`] and asks nobody.
#[derive(Debug)]
pub struct ReadOnly {
    inner: Arc<dyn Store>,
    reason: String,
}

impl ReadOnly {
    /// `inner` without writes. `reason` says who wants it so, and becomes the error's text.
    pub fn new(inner: Arc<dyn Store>, reason: impl Into<String>) -> Self {
        Self { inner, reason: reason.into() }
    }

    fn refused<T>(&self) -> Result<T> {
        Err(StoreError::ReadOnly(self.reason.clone()))
    }
}

#[async_trait]
impl Store for ReadOnly {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_write(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.inner.get_record(key).await
    }

    async fn put_record(&self, _: &RecipeKey, _: Bytes, _: Expected) -> Result<Revision> {
        self.refused()
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.inner.list_records().await
    }

    async fn delete_record(&self, _: &RecipeKey) -> Result<()> {
        self.refused()
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.inner.contains_blobs(digests).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        self.inner.read_blob(digest).await
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        self.inner.read_sized_blob(digest).await
    }

    async fn write_blob(&self, _: &Digest, _: u64, _: BlobStream<'_>) -> Result<()> {
        self.refused()
    }

    async fn delete_blob(&self, _: &Digest) -> Result<()> {
        self.refused()
    }

    fn files(&self) -> Option<&dyn BlobFiles> {
        self.inner.files().is_some().then_some(self)
    }
}

impl ReadOnly {
    fn files_of_inner(&self) -> Result<&dyn BlobFiles> {
        self.inner.files().ok_or(StoreError::Unsupported("files"))
    }
}

impl BlobFiles for ReadOnly {
    fn pin(&self, key: &RecipeKey) -> Result<Option<Box<dyn Pin>>> {
        self.files_of_inner()?.pin(key)
    }

    fn place(
        &self,
        digest: &Digest,
        dest: &Path,
        mode: u32,
        placement: Placement,
    ) -> Result<Placed> {
        self.files_of_inner()?.place(digest, dest, mode, placement)
    }

    fn adopt(&self, _: &Digest, _: u64, _: &Path, _: Placement) -> Result<Placed> {
        self.refused()
    }

    fn digest_file(&self, path: &Path) -> std::io::Result<Digest> {
        match self.inner.files() {
            Some(files) => files.digest_file(path),
            None => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    fn remember(&self, path: &Path, digest: &Digest) {
        if let Some(files) = self.inner.files() {
            files.remember(path, digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::super::tests::{get, put, stream};
    use super::*;
    use crate::testing::FaultyStore;
    use crate::{MemoryStore, Operation};

    #[test]
    fn writes_are_refused_without_asking_and_reads_pass() {
        let inner = Arc::new(FaultyStore::sound(Arc::new(MemoryStore::new())));
        let there = put(&*inner, b"there");
        let calls = inner.calls(Operation::WriteBlob);
        let store = ReadOnly::new(inner.clone(), "the test says so");
        assert_eq!(get(&store, &there).unwrap(), b"there");
        let refused = block_on(store.write_blob(&Digest::of(b"x"), 1, stream(b"x")));
        assert!(matches!(&refused, Err(StoreError::ReadOnly(why)) if why == "the test says so"));
        assert!(matches!(block_on(store.delete_blob(&there)), Err(StoreError::ReadOnly(_))));
        assert_eq!(inner.calls(Operation::WriteBlob), calls);
        assert_eq!(inner.calls(Operation::DeleteBlob), 0);
    }
}
