//! A deadline for each operation.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;
use futures::future::{Either, select};

use super::Clock;
use super::support::locked;
use crate::{
    BlobStream, Capabilities, Expected, Operation, RecordKeyStream, Result, Revision, SizedBlob,
    Store, StoreError, StoredRecord,
};

/// How long a store may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineOptions {
    /// For the answer to a call: a record, a list's or blob's beginning.
    pub answer: Duration,
    /// For progress: the next piece of a blob that is read or key of a list, the next piece to be
    /// taken of a blob that is written, and the answer after its last one.
    pub stall: Duration,
}

impl Default for DeadlineOptions {
    /// Two seconds, and five.
    fn default() -> Self {
        Self { answer: Duration::from_secs(2), stall: Duration::from_secs(5) }
    }
}

/// Gives up what takes too long with [`StoreError::Unavailable`], and drops it. A blob may take as
/// long as it moves; time that its source takes while it is written, or its reader while it is
/// read, is not the store's.
#[derive(Debug)]
pub struct Deadline {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    options: DeadlineOptions,
}

impl Deadline {
    /// `inner` with these deadlines.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>, options: DeadlineOptions) -> Self {
        Self { inner, clock, options }
    }

    async fn within<T>(
        &self,
        operation: Operation,
        answer: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let time = self.options.answer;
        let answer = std::pin::pin!(answer);
        match select(answer, self.clock.sleep(time)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(late(operation, time)),
        }
    }

    /// The stream, its end an error when an item takes too long.
    fn moving<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        items: futures::stream::BoxStream<'a, Result<T>>,
    ) -> futures::stream::BoxStream<'a, Result<T>> {
        let time = self.options.stall;
        futures::stream::unfold(Some(items), move |items| async move {
            let mut items = items?;
            match select(items.next(), self.clock.sleep(time)).await {
                Either::Left((item, _)) => item.map(|item| (item, Some(items))),
                Either::Right(_) => Some((Err(late(operation, time)), None)),
            }
        })
        .boxed()
    }
}

fn late(operation: Operation, time: Duration) -> StoreError {
    StoreError::Unavailable(format!("no answer to {operation} within {time:?}"))
}

/// Since when a write waits for its store.
#[derive(Debug)]
struct Progress {
    /// `None` while the store waits for the source.
    waiting_since: Mutex<Option<Duration>>,
}

impl Progress {
    /// The stream, noting when the store asks for a piece and when it has got one.
    fn follow<'a>(&'a self, clock: &'a dyn Clock, bytes: BlobStream<'a>) -> BlobStream<'a> {
        futures::stream::unfold(bytes, move |mut bytes| async move {
            *locked(&self.waiting_since) = None;
            let piece = bytes.next().await;
            *locked(&self.waiting_since) = Some(clock.now());
            piece.map(|piece| (piece, bytes))
        })
        .boxed()
    }
}

#[async_trait]
impl Store for Deadline {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.within(Operation::GetRecord, self.inner.get_record(key)).await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        self.within(Operation::PutRecord, self.inner.put_record(key, bytes, expected)).await
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        let keys = self.within(Operation::ListRecords, self.inner.list_records()).await?;
        Ok(self.moving(Operation::ListRecords, keys))
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.within(Operation::DeleteRecord, self.inner.delete_record(key)).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.within(Operation::ContainsBlobs, self.inner.contains_blobs(digests)).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let open = self.inner.read_sized_blob(digest);
        let SizedBlob { size, bytes } = self.within(Operation::ReadBlob, open).await?;
        Ok(SizedBlob { size, bytes: self.moving(Operation::ReadBlob, bytes) })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let time = self.options.stall;
        let progress = Progress { waiting_since: Mutex::new(Some(self.clock.now())) };
        let bytes = progress.follow(&*self.clock, bytes);
        let mut write = self.inner.write_blob(digest, size, bytes);
        let mut wait = time;
        loop {
            match select(write, self.clock.sleep(wait)).await {
                Either::Left((answer, _)) => return answer,
                Either::Right(((), unfinished)) => write = unfinished,
            }
            let waited = locked(&progress.waiting_since)
                .map_or(Duration::ZERO, |since| self.clock.now().saturating_sub(since));
            if waited >= time {
                return Err(late(Operation::WriteBlob, time));
            }
            wait = time - waited;
        }
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.within(Operation::DeleteBlob, self.inner.delete_blob(digest)).await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::channel::mpsc;
    use futures::executor::block_on;

    use super::super::tests::{faulty, key, poll, put, rest, stream};
    use super::*;
    use crate::testing::{Fault, FaultyStore, ManualClock};

    fn new() -> (Arc<FaultyStore>, Arc<ManualClock>, Deadline) {
        let (inner, clock) = (faulty(), Arc::new(ManualClock::new()));
        let store = Deadline::new(inner.clone(), clock.clone(), DeadlineOptions::default());
        (inner, clock, store)
    }

    fn is_late<T>(result: std::task::Poll<Result<T>>, operation: &str) -> bool {
        let std::task::Poll::Ready(Err(StoreError::Unavailable(why))) = result else {
            return false;
        };
        why.contains(operation)
    }

    #[test]
    fn a_store_that_hangs_is_given_up() {
        let (inner, clock, store) = new();
        inner.always(Some(Fault::Hang));
        let (any, digest) = (key("any"), Digest::of(b"any"));
        let mut get = store.get_record(&any).boxed();
        let mut read = store.read_blob(&digest).boxed();
        let mut write = store.write_blob(&digest, 3, stream(b"any")).boxed();
        assert!(poll(&mut get).is_pending());
        assert!(poll(&mut read).is_pending());
        assert!(poll(&mut write).is_pending());
        clock.advance(Duration::from_millis(1999));
        assert!(poll(&mut get).is_pending());
        clock.advance(Duration::from_millis(1));
        assert!(is_late(poll(&mut get), "get_record"));
        assert!(is_late(poll(&mut read).map_ok(|_| ()), "read_blob"));
        assert!(poll(&mut write).is_pending());
        clock.advance(Duration::from_secs(3));
        assert!(is_late(poll(&mut write), "write_blob"));
    }

    #[test]
    fn an_answer_in_time_is_passed_on_and_the_timer_dropped() {
        let (inner, clock, store) = new();
        let digest = put(&*inner, b"bytes");
        let bytes = block_on(async { rest(store.read_blob(&digest).await?).await });
        assert_eq!(bytes.unwrap(), b"bytes");
        assert_eq!(clock.sleepers(), 0);
    }

    /// A store whose blob comes by hand.
    #[derive(Debug)]
    struct ByHand {
        inner: crate::MemoryStore,
        pieces: Mutex<Option<mpsc::UnboundedReceiver<Result<Bytes>>>>,
    }

    #[async_trait]
    impl Store for ByHand {
        fn capabilities(&self) -> Capabilities {
            self.inner.capabilities()
        }
        async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
            self.inner.get_record(key).await
        }
        async fn put_record(&self, k: &RecipeKey, b: Bytes, e: Expected) -> Result<Revision> {
            self.inner.put_record(k, b, e).await
        }
        async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
            self.inner.list_records().await
        }
        async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
            self.inner.delete_record(key).await
        }
        async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
            self.inner.contains_blobs(digests).await
        }
        async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
            let pieces = locked(&self.pieces).take();
            Ok(pieces.ok_or(StoreError::BlobAbsent(*digest))?.boxed())
        }
        async fn write_blob(&self, d: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
            self.inner.write_blob(d, size, bytes).await
        }
        async fn delete_blob(&self, digest: &Digest) -> Result<()> {
            self.inner.delete_blob(digest).await
        }
    }

    #[test]
    fn a_blob_may_take_as_long_as_it_moves() {
        let (sender, pieces) = mpsc::unbounded();
        let inner = ByHand { inner: crate::MemoryStore::new(), pieces: Mutex::new(Some(pieces)) };
        let clock = Arc::new(ManualClock::new());
        let store = Deadline::new(Arc::new(inner), clock.clone(), DeadlineOptions::default());
        let digest = Digest::of(b"any");
        let mut bytes = block_on(store.read_blob(&digest)).unwrap();
        for _ in 0..10 {
            // Time between two pieces that nobody waits for is the reader's.
            clock.advance(Duration::from_secs(60));
            let mut next = bytes.next();
            assert!(poll(&mut next).is_pending());
            clock.advance(Duration::from_secs(4));
            sender.unbounded_send(Ok(Bytes::from_static(b"x"))).unwrap();
            assert!(poll(&mut next).is_ready());
        }
        let mut next = bytes.next();
        assert!(poll(&mut next).is_pending());
        clock.advance(Duration::from_secs(5));
        let std::task::Poll::Ready(Some(last)) = poll(&mut next) else { panic!("given up") };
        assert!(matches!(last, Err(StoreError::Unavailable(_))));
        assert!(matches!(poll(&mut bytes.next()), std::task::Poll::Ready(None)));
    }

    #[test]
    fn a_slow_source_is_not_the_stores_fault() {
        let (_, clock, store) = new();
        let (sender, pieces) = mpsc::unbounded();
        let digest = Digest::of(b"abc");
        let mut write = store.write_blob(&digest, 3, pieces.boxed()).boxed();
        for byte in [b"a", b"b", b"c"] {
            for _ in 0..3 {
                assert!(poll(&mut write).is_pending());
                clock.advance(Duration::from_secs(60));
            }
            sender.unbounded_send(Ok(Bytes::from_static(byte))).unwrap();
        }
        drop(sender);
        assert!(matches!(poll(&mut write), std::task::Poll::Ready(Ok(()))));
    }
}
