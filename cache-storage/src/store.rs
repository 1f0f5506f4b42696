//! The trait that every backend and layer implements.

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, Entry, RecipeKey, Record};
use futures::stream::BoxStream;

use crate::{BlobFiles, Result, StoreError};

/// The bytes of a blob, in pieces of any size.
pub type BlobStream<'a> = BoxStream<'a, Result<Bytes>>;

/// Keys of records, in any order.
pub type RecordKeyStream<'a> = BoxStream<'a, Result<RecipeKey>>;

/// What a store can do beyond the trait's minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Writes are accepted.
    pub write: bool,
    /// Blobs are local files ([`Store::files`] gives access).
    pub files: bool,
    /// Requests cross a network.
    pub remote: bool,
}

/// Which state of a record a writer has seen: an opaque tag that changes whenever the bytes do (it
/// may come back with the same bytes).
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Revision(pub Bytes);

/// A record's bytes and the state they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredRecord {
    /// The encoded record ([`cache_core::wire`]), or an envelope that a layer put around it.
    pub bytes: Bytes,
    /// The state, for [`Expected::Revision`].
    pub revision: Revision,
}

/// What a writer believes is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// No record: the write fails with [`StoreError::Conflict`] when there is one.
    Absent,
    /// A record in this state: the write fails with [`StoreError::Conflict`] when it is another or
    /// none.
    Revision(Revision),
}

/// Records and blobs.
///
/// Methods may be called from many tasks, threads and processes at once. What each promises:
///
/// - **Atomic**: a reader sees a record or blob whole, or not at all.
/// - **Absent** is an answer, not an error, except where a method says otherwise; deleting what is
///   absent succeeds.
/// - **Blobs are immutable**: writing one that is there already is a success and changes nothing.
/// - Errors say what to do ([`StoreError`]); none of them may fail a build.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// What this store can do. Constant for a store's life.
    fn capabilities(&self) -> Capabilities;

    /// The record of this key, or `None`.
    ///
    /// # Errors
    /// Any [`StoreError`]; a caller treats each as absent.
    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>>;

    /// Writes a record if the state is as `expected`, and gives the new state.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not; [`StoreError::ReadOnly`], [`StoreError::Full`].
    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision>;

    /// Every key, in any order. A record written or deleted meanwhile may or may not be seen.
    async fn list_records(&self) -> Result<RecordKeyStream<'_>>;

    /// Removes a record. Absent is success.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] and what the backend meets.
    async fn delete_record(&self, key: &RecipeKey) -> Result<()>;

    /// Whether each blob is there, in the order asked. No promise that it still is a moment later.
    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>>;

    /// The bytes of a blob. The stream ends with an error, never early without one, when the
    /// bytes are not those of the digest.
    ///
    /// # Errors
    /// [`StoreError::BlobAbsent`]; [`StoreError::Corrupt`], possibly from within the stream.
    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>>;

    /// Writes a blob of `size` bytes. The store checks length and digest before anyone can see it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when they do not match (nothing is stored); an error of the stream
    /// itself is passed on; [`StoreError::ReadOnly`], [`StoreError::Full`].
    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()>;

    /// Removes a blob. Absent is success. Readers that have it open are not disturbed.
    async fn delete_blob(&self, digest: &Digest) -> Result<()>;

    /// Blobs as local files, for stores that have them: saves copies on the hot path.
    fn files(&self) -> Option<&dyn BlobFiles> {
        None
    }
}

/// Adds an entry to the record of `record.recipe`'s key by compare-and-swap, retrying on conflict.
///
/// A stored record that does not decode (corrupt, or of an unknown version) is replaced.
///
/// # Errors
/// What the store meets; [`StoreError::Conflict`] after many lost races.
pub async fn append_entry(
    store: &dyn Store,
    recipe: &cache_core::Recipe,
    entry: Entry,
) -> Result<()> {
    let key = recipe.key();
    for _ in 0..32 {
        let stored = store.get_record(&key).await?;
        let (mut record, expected) = match stored {
            None => (Record::default(), Expected::Absent),
            Some(stored) => (
                Record::decode(&stored.bytes).unwrap_or_default(),
                Expected::Revision(stored.revision),
            ),
        };
        if record.recipe != *recipe {
            // Nothing of another recipe's record is ours, however it came under this key.
            record = Record { recipe: recipe.clone(), entries: Vec::new() };
        }
        record.add(entry.clone());
        match store.put_record(&key, Bytes::from(record.encode()), expected).await {
            Err(StoreError::Conflict) => {}
            other => return other.map(|_| ()),
        }
    }
    Err(StoreError::Conflict)
}

/// Refuses bytes that are not those announced. Every backend says it with the same words.
pub(crate) fn check_blob(digest: &Digest, size: u64, found: &Digest, length: u64) -> Result<()> {
    if length != size {
        let relation = if length > size { "more than" } else { "only" };
        let given = if length > size { size } else { length };
        return Err(StoreError::Refused(format!(
            "blob {digest}: {size} bytes announced, {relation} {given} given"
        )));
    }
    if found != digest {
        return Err(StoreError::Refused(format!("blob {digest}: the bytes are those of {found}")));
    }
    Ok(())
}
