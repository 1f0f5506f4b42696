//! Counts what is asked of a store, and how long it takes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use super::Clock;
use super::support::locked;
use crate::{
    BlobStream, Capabilities, Expected, Operation, RecordKeyStream, Result, Revision, SizedBlob,
    Store, StoreError, StoredRecord,
};

/// How many bins answer times are sorted into.
const BINS: usize = 40;

/// What one operation did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Figures {
    /// Calls that were answered or failed.
    pub calls: u64,
    /// Calls that failed: with any error but [`BlobAbsent`](StoreError::BlobAbsent) and
    /// [`Conflict`](StoreError::Conflict), which are answers. A blob that broke off is one.
    pub failed: u64,
    /// Calls that found nothing: records and blobs that were absent.
    pub absent: u64,
    /// Bytes of records and blobs that passed.
    pub bytes: u64,
    /// Time until the answer, of all calls together: for a blob that is read until its first byte
    /// could be asked for, for one that is written until it was stored.
    pub time: Duration,
    /// Time that readers of blobs waited for bytes after that.
    pub waited: Duration,
    /// Answer times: the bin `n` has those of at least 2^(n-1) and less than 2^n microseconds.
    bins: [u64; BINS],
}

impl Default for Figures {
    fn default() -> Self {
        let (time, waited) = (Duration::ZERO, Duration::ZERO);
        Self { calls: 0, failed: 0, absent: 0, bytes: 0, time, waited, bins: [0; BINS] }
    }
}

impl Figures {
    /// A time that so many percent of the answers did not exceed, rounded up to the next power of
    /// two of microseconds. Zero when there was none.
    #[must_use]
    pub fn percentile(&self, percent: u32) -> Duration {
        let rank = (self.calls * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        for (bin, count) in self.bins.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(1 << bin);
            }
        }
        Duration::ZERO
    }

    fn add(&mut self, took: Duration) {
        self.calls += 1;
        self.time += took;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bin = (u64::BITS - micros.leading_zeros()) as usize;
        self.bins[bin.min(BINS - 1)] += 1;
    }
}

/// What every operation did, by operation; those never called are not there.
pub type MeterSnapshot = BTreeMap<Operation, Figures>;

/// Counts calls, bytes and answer times. Right in front of a backend it counts requests; in front
/// of other layers, what was asked of them.
#[derive(Debug)]
pub struct Metered {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    figures: Mutex<MeterSnapshot>,
}

impl Metered {
    /// `inner`, with all figures zero.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, figures: Mutex::default() }
    }

    /// The figures up to now. They go on.
    #[must_use]
    pub fn snapshot(&self) -> MeterSnapshot {
        locked(&self.figures).clone()
    }

    fn change(&self, operation: Operation, change: impl FnOnce(&mut Figures)) {
        change(locked(&self.figures).entry(operation).or_default());
    }

    /// Counts a call; `see` adds what its answer says.
    async fn call<T>(
        &self,
        operation: Operation,
        answer: impl Future<Output = Result<T>>,
        see: impl FnOnce(&T, &mut Figures) + Send,
    ) -> Result<T> {
        let began = self.clock.now();
        let answer = answer.await;
        let took = self.clock.now().saturating_sub(began);
        self.change(operation, |figures| {
            figures.add(took);
            match &answer {
                Ok(answer) => see(answer, figures),
                Err(StoreError::BlobAbsent(_)) => figures.absent += 1,
                Err(StoreError::Conflict) => {}
                Err(_) => figures.failed += 1,
            }
        });
        answer
    }

    /// Counts the bytes of a stream and the time that they take.
    fn count<'a>(&'a self, bytes: BlobStream<'a>) -> BlobStream<'a> {
        futures::stream::unfold(bytes, move |mut bytes| async move {
            let began = self.clock.now();
            let item = bytes.next().await;
            let took = self.clock.now().saturating_sub(began);
            self.change(Operation::ReadBlob, |figures| {
                figures.waited += took;
                match &item {
                    Some(Ok(piece)) => figures.bytes += piece.len() as u64,
                    Some(Err(_)) => figures.failed += 1,
                    None => {}
                }
            });
            item.map(|item| (item, bytes))
        })
        .boxed()
    }
}

#[async_trait]
impl Store for Metered {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let see = |found: &Option<StoredRecord>, figures: &mut Figures| match found {
            Some(found) => figures.bytes += found.bytes.len() as u64,
            None => figures.absent += 1,
        };
        self.call(Operation::GetRecord, self.inner.get_record(key), see).await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let size = bytes.len() as u64;
        let put = self.inner.put_record(key, bytes, expected);
        self.call(Operation::PutRecord, put, |_, figures| figures.bytes += size).await
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.call(Operation::ListRecords, self.inner.list_records(), |_, _| {}).await
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.call(Operation::DeleteRecord, self.inner.delete_record(key), |(), _| {}).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let contains = self.inner.contains_blobs(digests);
        self.call(Operation::ContainsBlobs, contains, |_, _| {}).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let open = self.inner.read_sized_blob(digest);
        let SizedBlob { size, bytes } = self.call(Operation::ReadBlob, open, |_, _| {}).await?;
        Ok(SizedBlob { size, bytes: self.count(bytes) })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let write = self.inner.write_blob(digest, size, bytes);
        self.call(Operation::WriteBlob, write, |(), figures| figures.bytes += size).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.call(Operation::DeleteBlob, self.inner.delete_blob(digest), |(), _| {}).await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::executor::block_on;

    use super::super::tests::{away, fails, faulty, get, key, poll, put};
    use super::*;
    use crate::testing::{Fault, ManualClock};

    #[test]
    fn calls_bytes_and_failures_are_counted_by_operation() {
        let inner = faulty();
        let store = Metered::new(inner.clone(), Arc::new(ManualClock::new()));
        let digest = put(&store, &[7; 2500]);
        get(&store, &digest).unwrap();
        assert!(get(&store, &Digest::of(b"absent")).is_err());
        inner.always(Some(Fault::Breaks(away())));
        assert!(get(&store, &digest).is_err());
        inner.always(None);
        let put = |expected| block_on(store.put_record(&key("a"), Bytes::from("12345"), expected));
        put(Expected::Absent).unwrap();
        assert!(matches!(put(Expected::Absent), Err(StoreError::Conflict)));
        block_on(store.get_record(&key("a"))).unwrap().unwrap();
        assert!(block_on(store.get_record(&key("b"))).unwrap().is_none());
        inner.always(fails());
        assert!(block_on(store.get_record(&key("b"))).is_err());

        let figures = store.snapshot();
        let row = |operation| {
            let figures: &Figures = &figures[&operation];
            (figures.calls, figures.failed, figures.absent, figures.bytes)
        };
        assert_eq!(row(Operation::WriteBlob), (1, 0, 0, 2500));
        assert_eq!(row(Operation::ReadBlob), (3, 1, 1, 2500 + 1250));
        assert_eq!(row(Operation::PutRecord), (2, 0, 0, 5));
        assert_eq!(row(Operation::GetRecord), (3, 1, 1, 5));
        assert!(!figures.contains_key(&Operation::ListRecords));
    }

    #[test]
    fn answer_times_are_summed_and_sorted() {
        let (inner, clock) = (faulty(), Arc::new(ManualClock::new()));
        let store = Metered::new(inner.clone(), clock.clone());
        let any = key("any");
        inner.always(Some(Fault::Hang));
        let mut slow = store.get_record(&any).boxed();
        assert!(poll(&mut slow).is_pending());
        clock.advance(Duration::from_micros(1000));
        inner.release();
        block_on(slow).unwrap();
        for _ in 0..9 {
            block_on(store.get_record(&any)).unwrap();
        }
        let figures = &store.snapshot()[&Operation::GetRecord];
        assert_eq!(figures.time, Duration::from_micros(1000));
        assert_eq!(figures.percentile(90), Duration::from_micros(1));
        assert_eq!(figures.percentile(91), Duration::from_micros(1024));
        assert_eq!(Figures::default().percentile(50), Duration::ZERO);

        let slow = futures::stream::iter([Ok(Bytes::from("a")), Ok(Bytes::from("b"))])
            .inspect(|_| clock.advance(Duration::from_millis(3)));
        block_on(store.count(slow.boxed()).count());
        assert_eq!(store.snapshot()[&Operation::ReadBlob].waited, Duration::from_millis(6));
    }
}
