//! One request for all who ask for the same thing at once.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::{FutureExt, StreamExt};

use super::flights::Flights;
use super::owned::owned_blob;
use super::support::locked;
use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoredRecord,
};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Wanted {
    /// A record.
    Record(RecipeKey),
    /// A blob.
    Blob(Digest),
}

/// A turn at asking for something.
pub struct Turn {
    /// Whether somebody else had it before.
    pub waited: bool,
    /// Ends the turn when dropped.
    pub guard: Box<dyn Send>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("waited", &self.waited).finish_non_exhaustive()
    }
}

/// Lets one process at a time ask for a thing; a kernel's file lock, for example. Not having a turn
/// costs a request, never an answer.
#[async_trait]
pub trait Turns: Send + Sync + fmt::Debug {
    /// Waits for a turn. `None` when there are none to be had.
    async fn turn(&self, wanted: Wanted) -> Option<Turn>;
}

/// Where processes of one machine find what one of them has fetched.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// Whose turn it is.
    pub turns: Arc<dyn Turns>,
    /// A store that all of them share, usually the local one. Whoever has the turn leaves there
    /// what it fetched; whoever had to wait looks there first.
    pub store: Arc<dyn Store>,
}

/// How much to share.
#[derive(Clone, Debug)]
pub struct CoalesceOptions {
    /// Blobs of up to so many bytes are kept in memory while they come, for all who ask meanwhile.
    pub share: usize,
    /// Other processes on this machine.
    pub meeting: Option<Meeting>,
}

impl Default for CoalesceOptions {
    /// 4 MiB; this process alone.
    fn default() -> Self {
        Self { share: 4 << 20, meeting: None }
    }
}

/// Whoever asks for a record or blob that is being asked for already gets the same answer, or the
/// same error. The request goes on as long as one of them waits.
///
/// With a [`Meeting`] this holds for all processes of the machine, and blobs of any size. Without
/// one, a blob longer than [`CoalesceOptions::share`] goes to the first who asked as it comes, and
/// each of the others makes a request of its own: they may read at their own pace, and nothing long
/// is kept in memory.
///
/// An answer that is on its way when something is written through this layer is not given to those
/// who ask later.
#[derive(Debug)]
pub struct Coalesced {
    inner: Arc<dyn Store>,
    options: CoalesceOptions,
    records: Flights<RecipeKey, Result<Option<StoredRecord>>>,
    blobs: Flights<Digest, Result<Fetched>>,
}

impl<K, V: Clone> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

/// What became of a blob that was asked for.
#[derive(Clone)]
enum Fetched {
    Whole(Arc<Vec<Bytes>>),
    /// Too long to share: for whoever takes it first.
    Long(Arc<Mutex<Option<SizedBlob<'static>>>>),
    /// It is in the store where processes meet.
    Left,
}

impl Coalesced {
    /// `inner`, with equal requests made one.
    pub fn new(inner: Arc<dyn Store>, options: CoalesceOptions) -> Self {
        Self { inner, options, records: Flights::default(), blobs: Flights::default() }
    }

    async fn own_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        self.inner.read_sized_blob(digest).await
    }
}

async fn fetch_record(
    inner: Arc<dyn Store>,
    meeting: Option<Meeting>,
    key: RecipeKey,
) -> Result<Option<StoredRecord>> {
    let Some(Meeting { turns, store }) = meeting else { return inner.get_record(&key).await };
    let turn = turns.turn(Wanted::Record(key)).await;
    if turn.as_ref().is_some_and(|turn| turn.waited)
        && let Ok(Some(StoredRecord { bytes, .. })) = store.get_record(&key).await
    {
        // Of another store: it matches no state of this one.
        let revision = Revision(Bytes::from_static(b"\0met\0"));
        return Ok(Some(StoredRecord { bytes, revision }));
    }
    let found = inner.get_record(&key).await;
    if let Ok(Some(StoredRecord { bytes, .. })) = &found {
        // There already, or no room: then the next who had to wait asks too.
        let _ = store.put_record(&key, bytes.clone(), Expected::Absent).await;
    }
    found
}

async fn fetch_blob(
    inner: Arc<dyn Store>,
    options: CoalesceOptions,
    digest: Digest,
) -> Result<Fetched> {
    let Some(Meeting { turns, store }) = options.meeting else {
        return gather(owned_blob(inner, digest).await?, options.share).await;
    };
    let turn = turns.turn(Wanted::Blob(digest)).await;
    if turn.as_ref().is_some_and(|turn| turn.waited)
        && matches!(store.contains_blobs(&[digest]).await.as_deref(), Ok([true]))
    {
        return Ok(Fetched::Left);
    }
    let blob = owned_blob(inner, digest).await?;
    match blob.size {
        Some(size) => {
            // What is wrong with the stream or the store, each finds out for himself.
            let _ = store.write_blob(&digest, size, blob.bytes).await;
            Ok(Fetched::Left)
        }
        None => gather(blob, options.share).await,
    }
}

/// Takes in a blob of up to `share` bytes.
async fn gather(blob: SizedBlob<'static>, share: usize) -> Result<Fetched> {
    let SizedBlob { size, mut bytes } = blob;
    let (mut pieces, mut length) = (Vec::new(), 0);
    let long = size.is_some_and(|size| size > share as u64);
    while length <= share && !long {
        let Some(piece) = bytes.next().await else { return Ok(Fetched::Whole(pieces.into())) };
        let piece = piece?;
        length += piece.len();
        pieces.push(piece);
    }
    let head = futures::stream::iter(pieces.into_iter().map(Ok));
    let blob = SizedBlob { size, bytes: head.chain(bytes).boxed() };
    Ok(Fetched::Long(Arc::new(Mutex::new(Some(blob)))))
}

#[async_trait]
impl Store for Coalesced {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let begin = || fetch_record(self.inner.clone(), self.options.meeting.clone(), *key).boxed();
        self.records.join(*key, begin).0.await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let result = self.inner.put_record(key, bytes, expected).await;
        self.records.part(key);
        result
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.inner.list_records().await
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        let result = self.inner.delete_record(key).await;
        self.records.part(key);
        result
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.inner.contains_blobs(digests).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let begin = || fetch_blob(self.inner.clone(), self.options.clone(), *digest).boxed();
        let flight = self.blobs.join(*digest, begin).0;
        match flight.await? {
            Fetched::Whole(pieces) => {
                let size = pieces.iter().map(|piece| piece.len() as u64).sum();
                let pieces = (0..pieces.len()).map(move |at| Ok(pieces[at].clone()));
                Ok(SizedBlob { size: Some(size), bytes: futures::stream::iter(pieces).boxed() })
            }
            Fetched::Long(blob) => {
                let first = locked(&blob).take();
                match first {
                    Some(blob) => Ok(blob),
                    None => self.own_blob(digest).await,
                }
            }
            Fetched::Left => {
                let met = self.options.meeting.as_ref().map(|meeting| &meeting.store);
                if let Some(store) = met
                    && let Ok(blob) = store.read_sized_blob(digest).await
                {
                    return Ok(blob);
                }
                self.own_blob(digest).await
            }
        }
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let result = self.inner.write_blob(digest, size, bytes).await;
        self.blobs.part(digest);
        result
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let result = self.inner.delete_blob(digest).await;
        self.blobs.part(digest);
        result
    }
}
