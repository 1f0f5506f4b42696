//! The trait that every backend and layer implements.

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, Entry, RecipeKey, Record};
use futures::stream::BoxStream;

use crate::{BlobFiles, Capabilities, Result, StoreError};

/// The bytes of a blob, in pieces of any size.
pub type BlobStream<'a> = BoxStream<'a, Result<Bytes>>;

/// Keys of records, in any order.
pub type RecordKeyStream<'a> = BoxStream<'a, Result<RecipeKey>>;

/// A blob being read.
pub struct SizedBlob<'a> {
    /// Its length in bytes, where the store knows it before it has read them all.
    pub size: Option<u64>,
    /// The bytes.
    pub bytes: BlobStream<'a>,
}

impl std::fmt::Debug for SizedBlob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SizedBlob").field("size", &self.size).finish_non_exhaustive()
    }
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
/// A *record* is a short value under a [`RecipeKey`] that is replaced by compare-and-swap. A *blob*
/// is bytes named by their own digest. The store looks into neither.
///
/// # What every store promises
///
/// - **At once.** Methods may be called from many tasks and threads at once, and where the store is
///   shared, from many processes and machines. None of them may block the others for longer than
///   its own input and output take.
/// - **Atomic.** A reader sees a record or blob whole, or not at all, whatever other writers do and
///   whenever one of them is killed.
/// - **At once visible.** What a write has reported as done is seen by each call that begins after
///   it, through the same store; through another handle or machine as soon as the backend can.
/// - **Absent is an answer**, not an error, except where a method says otherwise; deleting what is
///   absent succeeds. Absent means no more than "not here now": another writer may bring it, an
///   eviction may take away what was here.
/// - **Blobs are immutable.** Writing one that is there already is a success and changes nothing.
/// - **Futures and streams may be dropped** at any point. A write that was dropped has happened
///   whole or not at all, and later calls are not disturbed.
/// - **Errors say what to do** ([`StoreError`]); none of them may fail a build, and no method
///   panics.
///
/// # Limits
///
/// A store takes records of up to 1 MiB and blobs of up to 5 MB at least. What is beyond a limit of
/// its own it refuses with [`StoreError::Refused`], and nothing is stored. Blobs are streams in both
/// directions: their length need not fit into memory, and a store that keeps them whole in memory
/// says so.
///
/// # Writing a store
///
/// The eight methods that have no default, and [`capabilities`](Self::capabilities), are all that is
/// needed; then run [`conformance`](crate::conformance). `examples/custom-backend` in the repository
/// is a whole backend in a page. The trait uses [`macro@async_trait`], so that it can be used as
/// `dyn Store`.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// What this store can do. Constant for a store's life, and answered without asking anybody.
    fn capabilities(&self) -> Capabilities;

    /// The record of this key, or `None`.
    ///
    /// While another writer replaces it, the answer is the record before or after.
    ///
    /// # Errors
    /// Any [`StoreError`] that reading can meet; a caller goes on as if the record were absent.
    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>>;

    /// Writes a record if the state is as `expected`, and gives the new state.
    ///
    /// Of several writers that expect the same state exactly one succeeds (but see
    /// [`Capabilities::last_write_wins`]). The bytes may be any, none included.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the state is another: read again, decide again, and retry
    /// ([`append_entry`] does). [`StoreError::ReadOnly`], [`StoreError::Full`] and
    /// [`StoreError::Refused`] (too long): go on without storing. After any other error the record
    /// may have been written or not; it is whole either way.
    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision>;

    /// Every key once, in any order. A record written or deleted meanwhile may or may not be seen;
    /// one that is there from the listing's beginning to its end is.
    ///
    /// For maintenance: its cost grows with the store, and nothing that a build waits for calls it.
    ///
    /// # Errors
    /// What the backend meets, here or within the stream; what was listed before it is right.
    /// [`StoreError::Unsupported`] where [`Capabilities::unlisted`] is declared.
    async fn list_records(&self) -> Result<RecordKeyStream<'_>>;

    /// Removes a record, whatever its state. Absent is success.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], and what the backend meets.
    async fn delete_record(&self, key: &RecipeKey) -> Result<()>;

    /// Whether each blob is there, in the order asked, repeats included. No promise that it still
    /// is a moment later. Any number may be asked for: a backend splits what is too much for one
    /// request.
    ///
    /// # Errors
    /// What the backend meets; a caller goes on as if all were absent.
    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>>;

    /// The bytes of a blob, in pieces of any size. When they are not those of the digest, the
    /// stream ends with an error, never early without one; so what has come is to be used only once
    /// the stream has ended well. A reader that has begun gets all of it though the blob is deleted
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError::BlobAbsent`]; [`StoreError::Corrupt`], possibly from within the stream. A
    /// caller treats every error as a miss, at whichever piece it comes.
    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>>;

    /// As [`read_blob`](Self::read_blob), with the length where the store knows it without another
    /// request. A length that is given is the right one, or the stream ends with an error.
    ///
    /// The default knows no lengths. A store that does saves [`layers::Tiered`](crate::layers)
    /// from keeping a blob in memory until it has seen its end.
    ///
    /// # Errors
    /// As [`read_blob`](Self::read_blob).
    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        Ok(SizedBlob { size: None, bytes: self.read_blob(digest).await? })
    }

    /// Writes a blob of `size` bytes. The store checks length and digest before anyone can see it.
    /// Any number may write the same blob at once, and all succeed.
    ///
    /// The stream need not be read when the blob is there already.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when length or digest do not match, or the blob is too long for this
    /// store; an error of the stream itself is passed on. Nothing is stored then.
    /// [`StoreError::ReadOnly`], [`StoreError::Full`]: go on without storing.
    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()>;

    /// Removes a blob. Absent is success. Readers that have it open are not disturbed.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], and what the backend meets.
    async fn delete_blob(&self, digest: &Digest) -> Result<()>;

    /// Blobs as local files, for stores that have them: saves copies on the hot path. `Some` if and
    /// only if [`Capabilities::files`] is declared.
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
