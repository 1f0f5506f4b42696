//! A store whose answers are not there at once, as those of a server are not.

use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use cache_storage::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, Store, StoredRecord,
};

/// Each call is polled twice.
#[derive(Debug)]
pub(crate) struct Slow(pub(crate) Arc<dyn Store>);

async fn later() {
    let mut asked = false;
    futures::future::poll_fn(|context| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl Store for Slow {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        later().await;
        self.0.get_record(key).await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        later().await;
        self.0.put_record(key, bytes, expected).await
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        later().await;
        self.0.list_records().await
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        later().await;
        self.0.delete_record(key).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        later().await;
        self.0.contains_blobs(digests).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        later().await;
        self.0.read_blob(digest).await
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        later().await;
        self.0.write_blob(digest, size, bytes).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        later().await;
        self.0.delete_blob(digest).await
    }
}
