//! A store in memory: for tests, and as a cache of nothing but this process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};

/// A store in memory. Nothing is evicted.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<RecipeKey, StoredRecord>,
    blobs: BTreeMap<Digest, Bytes>,
    writes: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing panics while holding the lock, and every change is one call: the state is whole
    /// even if a panic poisoned it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob(&self, digest: &Digest) -> Result<Bytes> {
        self.state().blobs.get(digest).cloned().ok_or(StoreError::BlobAbsent(*digest))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_write(true)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        Ok(self.state().records.get(key).cloned())
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let mut state = self.state();
        let found = state.records.get(key).map(|record| &record.revision);
        match (found, &expected) {
            (None, Expected::Absent) => {}
            (Some(found), Expected::Revision(expected)) if found == expected => {}
            _ => return Err(StoreError::Conflict),
        }
        state.writes += 1;
        let revision = Revision(Bytes::copy_from_slice(&state.writes.to_le_bytes()));
        let record = StoredRecord { bytes, revision: revision.clone() };
        state.records.insert(*key, record);
        Ok(revision)
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        let keys: Vec<_> = self.state().records.keys().copied().map(Ok).collect();
        Ok(futures::stream::iter(keys).boxed())
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.state().records.remove(key);
        Ok(())
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let state = self.state();
        Ok(digests.iter().map(|digest| state.blobs.contains_key(digest)).collect())
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(futures::stream::iter([Ok(self.blob(digest)?)]).boxed())
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let bytes = self.blob(digest)?;
        let size = Some(bytes.len() as u64);
        Ok(SizedBlob { size, bytes: futures::stream::iter([Ok(bytes)]).boxed() })
    }

    async fn write_blob(
        &self,
        digest: &Digest,
        size: u64,
        mut bytes: BlobStream<'_>,
    ) -> Result<()> {
        let mut whole = BytesMut::new();
        while let Some(piece) = bytes.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() as u64 > size {
                break;
            }
        }
        crate::check_blob(digest, size, &Digest::of(&whole), whole.len() as u64)?;
        self.state().blobs.entry(*digest).or_insert_with(|| whole.freeze());
        Ok(())
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.state().blobs.remove(digest);
        Ok(())
    }
}
