//! A fast store in front of a slow one.

mod files;
mod fill;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;
use futures::future::BoxFuture;

use super::owned::owned_blob;
use crate::{
    BlobFiles, BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob,
    Store, StoreError, StoredRecord,
};

/// Runs work in the background, to its end: a runtime's `spawn`, or threads. Work that it drops
/// ends as an error for whoever waits for it.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl Spawner {
    /// A spawner that calls `spawn`, which must return at once.
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        (self.0)(Box::pin(work));
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}

/// What was written to the fast store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// A record, now in some state of which the fast store has the bytes.
    Record(RecipeKey),
    /// A blob.
    Blob {
        /// Its name.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
}

type OnWritten = dyn Fn(Written) + Send + Sync;

/// Two stores as one.
///
/// - **Reads** ask the fast store, and the slow one for what is not there. What the slow one has is
///   handed on as it comes and brought to the fast one in the background. Its errors are misses,
///   counted in [`slow_errors`](Self::slow_errors): a slow store that is broken or away leaves the
///   fast one as it was.
/// - **Writes** go to the fast store alone, and are reported to
///   [`on_written`](Self::on_written): whether, when and in what order they reach the slow one is
///   the caller's to decide. A compare-and-swap is one of the fast store; a record that only the
///   slow one has is absent to [`Expected::Absent`], and its revision as read here replaces it.
/// - **Deletes** go to both, or where the slow one cannot be written, to the fast one alone; then
///   what the slow one has comes back.
/// - A record in the fast store hides the slow one's of the same key, which may have other entries;
///   a caller that finds none that holds can ask [`slow`](Self::slow).
/// - **Files** are the fast store's. Placing a blob, or pinning a record, that only the slow one
///   has, fetches it first; this waits, on a thread of its own.
///
/// Put [`Verified`](super::Verified) around a slow store that is not trusted; the fast one checks
/// what it is brought as well.
#[derive(Debug)]
pub struct Tiered {
    tiers: Arc<Tiers>,
    spawner: Spawner,
    written: Report,
}

/// Who is told of writes.
#[derive(Clone, Default)]
struct Report(Option<Arc<OnWritten>>);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}

/// The two stores, as work in the background needs them.
#[derive(Debug)]
struct Tiers {
    fast: Arc<dyn Store>,
    slow: Arc<dyn Store>,
    /// A blob whose length is not known is filled back if it has at most so many bytes.
    spool: usize,
    slow_errors: AtomicU64,
    /// Grows with each delete. What was read before the last one is not brought back.
    deletes: AtomicU64,
    /// Held for each delete, and while something is brought back for good.
    order: futures::lock::Mutex<()>,
}

impl Tiered {
    /// Blobs of unknown length are filled back up to this many bytes.
    pub const SPOOL: usize = 16 << 20;

    /// `fast` in front of `slow`; what is read from `slow` is brought to `fast` by `spawner`.
    pub fn new(fast: Arc<dyn Store>, slow: Arc<dyn Store>, spawner: Spawner) -> Self {
        let tiers = Tiers {
            fast,
            slow,
            spool: Self::SPOOL,
            slow_errors: AtomicU64::new(0),
            deletes: AtomicU64::new(0),
            order: futures::lock::Mutex::new(()),
        };
        Self { tiers: Arc::new(tiers), spawner, written: Report::default() }
    }

    /// The same, with `written` called after each write. It must return at once.
    #[must_use]
    pub fn on_written(mut self, written: impl Fn(Written) + Send + Sync + 'static) -> Self {
        self.written = Report(Some(Arc::new(written)));
        self
    }

    /// The store in front.
    #[must_use]
    pub fn fast(&self) -> &Arc<dyn Store> {
        &self.tiers.fast
    }

    /// The store behind it.
    #[must_use]
    pub fn slow(&self) -> &Arc<dyn Store> {
        &self.tiers.slow
    }

    /// How many errors of the slow store were taken for misses.
    #[must_use]
    pub fn slow_errors(&self) -> u64 {
        self.tiers.slow_errors.load(Ordering::Relaxed)
    }

    fn report(&self, written: Written) {
        if let Some(report) = &self.written.0 {
            report(written);
        }
    }

    /// Swaps a record that was read from the slow store, and may have come to the fast one since.
    async fn swap_slow(&self, key: &RecipeKey, bytes: Bytes, seen: &[u8]) -> Result<Revision> {
        let fast = &self.tiers.fast;
        match fast.put_record(key, bytes.clone(), Expected::Absent).await {
            Err(StoreError::Conflict) => {}
            other => return other,
        }
        match fast.get_record(key).await? {
            Some(found) if Digest::of(&found.bytes).as_bytes() == seen => {
                fast.put_record(key, bytes, Expected::Revision(found.revision)).await
            }
            _ => Err(StoreError::Conflict),
        }
    }
}

impl Tiers {
    /// An answer of the slow store; an error counts and is none.
    fn of_slow<T>(&self, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(StoreError::BlobAbsent(_)) => None,
            Err(_) => {
                self.slow_errors.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

/// A state of the fast store's record.
fn fast_revision(revision: &Revision) -> Revision {
    Revision([b"f", &revision.0[..]].concat().into())
}

/// A state of the slow store's record: its bytes.
fn slow_revision(bytes: &Bytes) -> Revision {
    Revision([b"s", &Digest::of(bytes).as_bytes()[..]].concat().into())
}

#[async_trait]
impl Store for Tiered {
    fn capabilities(&self) -> Capabilities {
        let can = self.tiers.fast.capabilities();
        can.with_remote(can.remote || self.tiers.slow.capabilities().remote)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let deletes = self.tiers.deletes.load(Ordering::SeqCst);
        let fast = self.tiers.fast.get_record(key).await;
        if let Ok(Some(StoredRecord { bytes, revision })) = fast {
            return Ok(Some(StoredRecord { bytes, revision: fast_revision(&revision) }));
        }
        let slow = self.tiers.of_slow(self.tiers.slow.get_record(key).await).flatten();
        let Some(StoredRecord { bytes, .. }) = slow else { return fast };
        let (tiers, key, filling) = (self.tiers.clone(), *key, bytes.clone());
        self.spawner.spawn(async move { tiers.fill_record(&key, filling, deletes).await });
        let revision = slow_revision(&bytes);
        Ok(Some(StoredRecord { bytes, revision }))
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let revision = match &expected {
            Expected::Absent => self.tiers.fast.put_record(key, bytes, expected).await?,
            Expected::Revision(Revision(seen)) => match seen.first() {
                Some(b'f') => {
                    let expected = Expected::Revision(Revision(seen.slice(1..)));
                    self.tiers.fast.put_record(key, bytes, expected).await?
                }
                Some(b's') => self.swap_slow(key, bytes, &seen[1..]).await?,
                _ => return Err(StoreError::Conflict),
            },
        };
        self.report(Written::Record(*key));
        Ok(fast_revision(&revision))
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        let mut listed = HashSet::new();
        let mut keys = self.tiers.fast.list_records().await?;
        while let Some(key) = keys.next().await {
            listed.insert(key?);
        }
        let slow = self.tiers.slow.list_records().await?;
        let fast: Vec<_> = listed.iter().copied().map(Ok).collect();
        let more = slow.filter(move |key| {
            let known = key.as_ref().is_ok_and(|key| listed.contains(key));
            std::future::ready(!known)
        });
        Ok(futures::stream::iter(fast).chain(more).boxed())
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        let _order = self.tiers.order.lock().await;
        self.tiers.deletes.fetch_add(1, Ordering::SeqCst);
        self.tiers.fast.delete_record(key).await?;
        if self.tiers.slow.capabilities().write {
            self.tiers.slow.delete_record(key).await?;
        }
        Ok(())
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let mut there = self.tiers.fast.contains_blobs(digests).await?;
        let asked = digests.iter().zip(&there);
        let open: Vec<_> = asked.filter(|(_, there)| !**there).map(|(digest, _)| *digest).collect();
        if open.is_empty() {
            return Ok(there);
        }
        if let Some(slow) = self.tiers.of_slow(self.tiers.slow.contains_blobs(&open).await) {
            let answers = there.iter_mut().filter(|there| !**there);
            answers.zip(slow).for_each(|(there, slow)| *there = slow);
        }
        Ok(there)
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let deletes = self.tiers.deletes.load(Ordering::SeqCst);
        let absent = match self.tiers.fast.read_sized_blob(digest).await {
            Ok(blob) => return Ok(blob),
            Err(error) => error,
        };
        let slow = owned_blob(self.tiers.slow.clone(), *digest).await;
        let Some(blob) = self.tiers.of_slow(slow) else { return Err(absent) };
        if !self.tiers.fast.capabilities().write {
            return Ok(blob);
        }
        let (work, blob) = fill::through(self.tiers.clone(), *digest, blob, deletes);
        self.spawner.spawn(work);
        Ok(blob)
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        self.tiers.fast.write_blob(digest, size, bytes).await?;
        self.report(Written::Blob { digest: *digest, size });
        Ok(())
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let _order = self.tiers.order.lock().await;
        self.tiers.deletes.fetch_add(1, Ordering::SeqCst);
        self.tiers.fast.delete_blob(digest).await?;
        if self.tiers.slow.capabilities().write {
            self.tiers.slow.delete_blob(digest).await?;
        }
        Ok(())
    }

    fn files(&self) -> Option<&dyn BlobFiles> {
        self.tiers.fast.files().is_some().then_some(self)
    }
}
