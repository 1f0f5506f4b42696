//! Remembers for a while what a store does not have.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};

use super::Clock;
use super::support::locked;
use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};

/// How much to remember, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownAbsentOptions {
    /// So many records and blobs; the oldest are forgotten first.
    pub capacity: usize,
    /// What another machine stores is seen after this time at the latest.
    pub expiry: Duration,
}

impl Default for KnownAbsentOptions {
    /// 100,000 (some 10 MB) and two minutes.
    fn default() -> Self {
        Self { capacity: 100_000, expiry: Duration::from_secs(120) }
    }
}

/// Answers for what was absent a moment ago, without asking again. What is written through this
/// layer is there at once; what others write, after [`KnownAbsentOptions::expiry`].
#[derive(Debug)]
pub struct KnownAbsent {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    options: KnownAbsentOptions,
    memo: Mutex<Memo>,
}

/// How many writes may begin or end while a question is open, before its answer is not trusted.
const WRITES_KEPT: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Name {
    Record(RecipeKey),
    Blob(Digest),
}

#[derive(Debug, Default)]
struct Memo {
    /// Until when.
    absent: HashMap<Name, Duration>,
    /// In the order they expire, some of them forgotten since.
    order: VecDeque<(Duration, Name)>,
    /// How many writes have begun or ended.
    writes: u64,
    /// The names of the last of them, newest at the back.
    written: VecDeque<Name>,
    spared: u64,
}

impl KnownAbsent {
    /// `inner` with a memory.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>, options: KnownAbsentOptions) -> Self {
        Self { inner, clock, options, memo: Mutex::default() }
    }

    /// How many records and blobs were not asked for because they were known to be absent.
    #[must_use]
    pub fn spared(&self) -> u64 {
        locked(&self.memo).spared
    }

    fn is_absent(&self, name: Name) -> bool {
        let now = self.clock.now();
        let mut memo = locked(&self.memo);
        let absent = memo.absent.get(&name).is_some_and(|until| now < *until);
        memo.spared += u64::from(absent);
        absent
    }

    /// How many writes there were, to be given to [`Self::learn`].
    fn writes(&self) -> u64 {
        locked(&self.memo).writes
    }

    /// Remembers an answer to a question that was asked after `writes` writes. One since may have
    /// made the answer old.
    fn learn(&self, name: Name, writes: u64) {
        let now = self.clock.now();
        let until = now + self.options.expiry;
        let mut memo = locked(&self.memo);
        let since = usize::try_from(memo.writes - writes).unwrap_or(usize::MAX);
        let overtaken = since > memo.written.len()
            || memo.written.iter().rev().take(since).any(|written| *written == name);
        if overtaken || self.options.capacity == 0 {
            return;
        }
        while let Some((old, name)) = memo.order.front().copied() {
            let expired = old <= now || memo.order.len() >= self.options.capacity;
            if !expired {
                break;
            }
            memo.order.pop_front();
            if memo.absent.get(&name) == Some(&old) {
                memo.absent.remove(&name);
            }
        }
        memo.absent.insert(name, until);
        memo.order.push_back((until, name));
    }

    /// Around a write, before and after it.
    fn forget(&self, name: Name) {
        let mut memo = locked(&self.memo);
        memo.writes += 1;
        memo.absent.remove(&name);
        if memo.written.len() >= WRITES_KEPT {
            memo.written.pop_front();
        }
        memo.written.push_back(name);
    }
}

#[async_trait]
impl Store for KnownAbsent {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let name = Name::Record(*key);
        if self.is_absent(name) {
            return Ok(None);
        }
        let writes = self.writes();
        let found = self.inner.get_record(key).await?;
        if found.is_none() {
            self.learn(name, writes);
        }
        Ok(found)
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let name = Name::Record(*key);
        self.forget(name);
        let result = self.inner.put_record(key, bytes, expected).await;
        // After a conflict too: then it is there.
        self.forget(name);
        result
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.inner.list_records().await
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.inner.delete_record(key).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let open: Vec<_> =
            digests.iter().copied().filter(|digest| !self.is_absent(Name::Blob(*digest))).collect();
        if open.is_empty() {
            return Ok(vec![false; digests.len()]);
        }
        let writes = self.writes();
        let answers = self.inner.contains_blobs(&open).await?;
        let answers: HashMap<_, _> = open.into_iter().zip(answers).collect();
        for (digest, there) in &answers {
            if !there {
                self.learn(Name::Blob(*digest), writes);
            }
        }
        Ok(digests.iter().map(|digest| answers.get(digest).copied().unwrap_or(false)).collect())
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let name = Name::Blob(*digest);
        if self.is_absent(name) {
            return Err(StoreError::BlobAbsent(*digest));
        }
        let writes = self.writes();
        let found = self.inner.read_sized_blob(digest).await;
        if matches!(found, Err(StoreError::BlobAbsent(_))) {
            self.learn(name, writes);
        }
        found
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let name = Name::Blob(*digest);
        self.forget(name);
        let result = self.inner.write_blob(digest, size, bytes).await;
        self.forget(name);
        result
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.inner.delete_blob(digest).await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::executor::block_on;

    use super::super::tests::{fails, faulty, get, key, poll, put};
    use super::*;
    use crate::Operation;
    use crate::testing::{Fault, FaultyStore, ManualClock};

    fn new(capacity: usize) -> (Arc<FaultyStore>, Arc<ManualClock>, KnownAbsent) {
        let (inner, clock) = (faulty(), Arc::new(ManualClock::new()));
        let options = KnownAbsentOptions { capacity, expiry: Duration::from_secs(60) };
        let store = KnownAbsent::new(inner.clone(), clock.clone(), options);
        (inner, clock, store)
    }

    fn get_record(store: &dyn Store, name: &str) -> Option<StoredRecord> {
        block_on(store.get_record(&key(name))).unwrap()
    }

    #[test]
    fn what_is_absent_is_asked_for_once_until_it_expires() {
        let (inner, clock, store) = new(100);
        let (absent, there) = (Digest::of(b"absent"), put(&*inner, b"there"));
        for _ in 0..3 {
            assert!(get_record(&store, "a").is_none());
            assert!(matches!(get(&store, &absent), Err(StoreError::BlobAbsent(_))));
            let answers = block_on(store.contains_blobs(&[absent, there, absent])).unwrap();
            assert_eq!(answers, [false, true, false]);
        }
        assert_eq!(inner.calls(Operation::GetRecord), 1);
        assert_eq!(inner.calls(Operation::ReadBlob), 1);
        assert_eq!(block_on(store.contains_blobs(&[absent, absent])).unwrap(), [false, false]);
        assert_eq!(inner.calls(Operation::ContainsBlobs), 3, "only what is not known to be absent");
        // Another machine stores it.
        block_on(inner.put_record(&key("a"), Bytes::new(), Expected::Absent)).unwrap();
        clock.advance(Duration::from_millis(59_999));
        assert!(get_record(&store, "a").is_none());
        clock.advance(Duration::from_millis(1));
        assert!(get_record(&store, "a").is_some());
    }

    #[test]
    fn what_is_written_is_there_at_once() {
        let (inner, _, store) = new(100);
        let digest = Digest::of(b"blob");
        assert!(get(&store, &digest).is_err());
        put(&store, b"blob");
        assert_eq!(get(&store, &digest).unwrap(), b"blob");
        assert!(get_record(&store, "a").is_none());
        block_on(store.put_record(&key("a"), Bytes::new(), Expected::Absent)).unwrap();
        assert!(get_record(&store, "a").is_some());
        // Another writer was first.
        assert!(get_record(&store, "b").is_none());
        block_on(inner.put_record(&key("b"), Bytes::new(), Expected::Absent)).unwrap();
        let again = block_on(store.put_record(&key("b"), Bytes::new(), Expected::Absent));
        assert!(matches!(again, Err(StoreError::Conflict)));
        assert!(get_record(&store, "b").is_some(), "a conflict says that it is there");
    }

    #[test]
    fn an_answer_that_a_write_overtook_is_not_remembered() {
        let (inner, _, store) = new(100);
        let name = key("a");
        inner.always(Some(Fault::Hang));
        let mut asked = store.get_record(&name).boxed();
        assert!(poll(&mut asked).is_pending());
        inner.always(None);
        block_on(store.put_record(&name, Bytes::new(), Expected::Absent)).unwrap();
        block_on(inner.delete_record(&name)).unwrap();
        inner.release();
        assert!(block_on(asked).unwrap().is_none());
        block_on(inner.put_record(&name, Bytes::new(), Expected::Absent)).unwrap();
        assert!(get_record(&store, "a").is_some());
    }

    #[test]
    fn absence_that_was_learned_during_a_write_ends_with_it() {
        let (inner, _, store) = new(100);
        let name = key("a");
        inner.plan(|call| (call.number == 0).then_some(Fault::Hang));
        let mut put = store.put_record(&name, Bytes::new(), Expected::Absent);
        assert!(poll(&mut put).is_pending());
        assert!(get_record(&store, "a").is_none());
        inner.release();
        block_on(put).unwrap();
        assert!(get_record(&store, "a").is_some());
    }

    #[test]
    fn other_writes_do_not_keep_an_answer_from_being_remembered() {
        let (inner, _, store) = new(100);
        for (writes, asked) in [(WRITES_KEPT / 2, 1), (WRITES_KEPT / 2 + 1, 2)] {
            let name = key(&format!("after {writes}"));
            let before = store.writes();
            for n in 0..writes {
                put(&store, &n.to_le_bytes());
            }
            store.learn(Name::Record(name), before);
            let calls = inner.calls(Operation::GetRecord);
            assert!(block_on(store.get_record(&name)).unwrap().is_none());
            assert_eq!(inner.calls(Operation::GetRecord) - calls, asked - 1, "{writes} writes");
        }
    }

    #[test]
    fn errors_are_no_absence_and_memory_is_bounded() {
        let (inner, _, store) = new(2);
        inner.always(fails());
        assert!(block_on(store.get_record(&key("a"))).is_err());
        inner.always(None);
        for name in ["a", "b", "c", "b", "c"] {
            assert!(get_record(&store, name).is_none());
        }
        assert_eq!(inner.calls(Operation::GetRecord), 4);
        assert_eq!(store.spared(), 2);
        assert!(get_record(&store, "a").is_none());
        assert_eq!(inner.calls(Operation::GetRecord), 5, "the oldest was forgotten");
        assert!(locked(&store.memo).order.len() <= 2 && locked(&store.memo).absent.len() <= 2);
    }
}
