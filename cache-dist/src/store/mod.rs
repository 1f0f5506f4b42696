//! A store on the cache of an engine.

mod blobs;
mod entries;
mod names;
mod places;
mod records;
mod seal;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use cache_storage::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::lock::Mutex;

use crate::runtime::Entered;
use crate::{Cas, Client, ReapiConfig};
use places::Places;

/// Writers of this many keys do not wait for each other.
const LOCKS: usize = 64;

/// A [`Store`] on the CAS and the cache of results of an engine.
///
/// # Where things are
///
/// The CAS names a blob by a hash of its own and the blob's length, of which a [`Store`]'s callers
/// know at best one. So there is an entry in the cache of results for each blob, and one for each
/// record, under the digest of an action that has nothing but a salt:
///
/// | salt                                  | result                                          |
/// |---------------------------------------|-------------------------------------------------|
/// | `larder record v1`, 0, the recipe's key | standard output: the sealed record; output files: each blob that the record names, its path the blob's name in hexadecimal |
/// | `larder blob v1`, 0, the blob's digest  | standard output: a seal; output file: the blob |
///
/// So whoever reads a record knows where its blobs are and needs one request for each. The blob's
/// own entry is asked for only when a blob is read by somebody who has not read a record that names
/// it; it costs one small request when a blob is written. The alternative, asking for each blob's
/// entry, would double the requests of a hit. Since the record's result lists the blobs, engines
/// keep them as long as the record, and one that checks results for completeness never gives a
/// record whose blobs are gone.
///
/// A seal is 8 bytes (`89 6C 64 72`, version 1, kind, two of 0), the BLAKE3 digest of what follows,
/// and what follows: for kind 1 a record, for 2 (a blob's place) and 3 (deleted) nothing. Up to
/// 16 KiB are in the result itself, longer ones in the CAS.
///
/// # What an engine's cache cannot do
///
/// - It compares nothing: the store declares [`last_write_wins`](Capabilities::last_write_wins).
///   Within a process writers of one record take turns.
/// - It lists nothing: the store declares [`unlisted`](Capabilities::unlisted).
/// - It deletes nothing: an entry is overwritten by one that says so. That hides it; the room comes
///   back when the engine evicts. A blob comes back into sight for who reads a record that names it.
#[derive(Debug)]
pub struct ReapiStore {
    client: Client,
    cas: Cas,
    places: Places,
    locks: Box<[Mutex<()>]>,
}

impl ReapiStore {
    /// Opens a store. No request is made: what only the engine knows shows at the first one.
    /// Whoever polls the store's futures need not be in the runtime in which it was opened, which
    /// has to live and run.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`], naming the setting; [`StoreError::Io`] outside of a tokio
    /// runtime.
    pub fn open(config: &ReapiConfig) -> Result<Self> {
        Ok(Self::new(Client::open(config)?))
    }

    /// A store on an engine that there is a client for.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let locks = (0..LOCKS).map(|_| Mutex::new(())).collect();
        Self { cas: Cas::new(client.clone()), places: Places::default(), locks, client }
    }

    async fn check_writable(&self) -> Result<()> {
        if self.client.read_only() {
            return Err(StoreError::ReadOnly("the engine's cache is used for reading only".into()));
        }
        if self.client.capabilities().await?.update_results == Some(false) {
            let text = "the engine does not let clients write results into its cache";
            return Err(StoreError::ReadOnly(text.into()));
        }
        Ok(())
    }

    /// A future, polled inside the client's runtime.
    fn enter<'a, T>(&self, future: BoxFuture<'a, T>) -> Entered<BoxFuture<'a, T>> {
        Entered::new(self.client.runtime(), future)
    }
}

#[async_trait]
impl Store for ReapiStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_write(!self.client.read_only())
            .with_remote(true)
            .with_last_write_wins(true)
            .with_unlisted(true)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.enter(Box::pin(self.load_record(key))).await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        self.enter(Box::pin(self.swap_record(key, bytes, expected))).await
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        Err(StoreError::Unsupported("listing records"))
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.enter(Box::pin(self.remove_record(key))).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.enter(Box::pin(self.has_blobs(digests))).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let blob = self.enter(Box::pin(self.open_blob(*digest))).await?;
        let bytes = Entered::new(self.client.runtime(), blob.bytes).boxed();
        Ok(SizedBlob { size: blob.size, bytes })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        self.enter(Box::pin(self.store_blob(*digest, size, bytes))).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.enter(Box::pin(self.remove_blob(*digest))).await
    }
}
