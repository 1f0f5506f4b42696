use std::sync::Mutex;

use futures::executor::block_on;

use super::super::support::locked;
use super::super::tests::{away, fails, faulty, get, is_away, key, poll, put};
use super::*;
use crate::testing::{Fault, FaultyStore};
use crate::{DiskOptions, DiskStore, MemoryStore, Operation, Placement};

/// Work that waits until the test runs it.
#[derive(Clone, Default)]
struct Later(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Later {
    fn spawner(&self) -> Spawner {
        let later = self.clone();
        Spawner::new(move |work| locked(&later.0).push(work))
    }

    fn take(&self) -> Vec<BoxFuture<'static, ()>> {
        std::mem::take(&mut *locked(&self.0))
    }

    fn run(&self) {
        block_on(futures::future::join_all(self.take()));
    }

    /// Runs it while `other` runs.
    fn run_beside<T>(&self, other: impl Future<Output = T>) -> T {
        let work = futures::future::join_all(self.take());
        block_on(futures::future::join(work, other)).1
    }
}

struct Setup {
    fast: Arc<FaultyStore>,
    slow: Arc<FaultyStore>,
    later: Later,
    store: Tiered,
}

fn new() -> Setup {
    let (fast, slow, later) = (faulty(), faulty(), Later::default());
    let store = Tiered::new(fast.clone(), slow.clone(), later.spawner());
    Setup { fast, slow, later, store }
}

fn put_record(store: &dyn Store, bytes: &'static str) {
    block_on(store.put_record(&ANY(), Bytes::from(bytes), Expected::Absent)).unwrap();
}

fn get_record(store: &dyn Store) -> Option<StoredRecord> {
    block_on(store.get_record(&ANY())).unwrap()
}

const ANY: fn() -> RecipeKey = || key("any");

/// Opens a blob, then reads it while the work in the background runs.
fn read(setup: &Setup, digest: &Digest) -> Result<Vec<u8>> {
    let bytes = block_on(setup.store.read_blob(digest))?;
    setup.later.run_beside(super::super::tests::rest(bytes))
}

#[test]
fn what_the_slow_store_has_is_read_and_filled_back() {
    let setup = new();
    let Setup { fast, slow, later, store } = &setup;
    put_record(&**slow, "record");
    let blob: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = put(&**slow, &blob);
    assert_eq!(get_record(store).unwrap().bytes, "record");
    assert!(get_record(&**fast).is_none(), "in the background");
    later.run();
    assert_eq!(get_record(&**fast).unwrap().bytes, "record");
    assert_eq!(block_on(store.contains_blobs(&[digest, ANY().0])).unwrap(), [true, false]);
    assert_eq!(read(&setup, &digest).unwrap(), blob);
    assert_eq!(get(&**fast, &digest).unwrap(), blob);
    let calls = slow.all_calls();
    get_record(store).unwrap();
    get(store, &digest).unwrap();
    assert_eq!(slow.all_calls(), calls, "then the fast one has it");
}

#[test]
fn writes_go_to_the_fast_store_and_are_reported() {
    let (fast, slow) = (faulty(), faulty());
    let written = Arc::new(Mutex::new(Vec::new()));
    let store = Tiered::new(fast.clone(), slow.clone(), Later::default().spawner()).on_written({
        let written = written.clone();
        move |what| locked(&written).push(what)
    });
    let digest = put(&store, b"blob");
    put_record(&store, "record");
    let again = block_on(store.put_record(&ANY(), Bytes::new(), Expected::Absent));
    assert!(matches!(again, Err(StoreError::Conflict)));
    assert_eq!(*locked(&written), [Written::Blob { digest, size: 4 }, Written::Record(ANY())]);
    assert_eq!(slow.all_calls(), 0);
    assert!(get_record(&*fast).is_some());
}

#[test]
fn a_record_of_the_slow_store_can_be_replaced_before_and_after_it_was_filled_back() {
    for filled in [false, true] {
        let Setup { fast, slow, later, store } = new();
        put_record(&*slow, "old");
        let seen = get_record(&store).unwrap();
        if filled {
            later.run();
        }
        let replace = |bytes: &'static str| {
            let expected = Expected::Revision(seen.revision.clone());
            block_on(store.put_record(&ANY(), Bytes::from(bytes), expected))
        };
        let revision = replace("new").unwrap();
        later.run();
        assert_eq!(get_record(&*fast).unwrap().bytes, "new", "filling replaces nothing");
        assert_eq!(get_record(&store).unwrap().revision, revision);
        assert!(matches!(replace("newer"), Err(StoreError::Conflict)));
    }
}

#[test]
fn a_broken_slow_store_is_a_miss_and_counted() {
    let Setup { slow, later, store, .. } = new();
    let digest = put(&*slow, b"blob");
    let own = put(&store, b"own");
    slow.always(fails());
    assert!(get_record(&store).is_none());
    assert!(matches!(get(&store, &digest), Err(StoreError::BlobAbsent(_))));
    assert_eq!(block_on(store.contains_blobs(&[digest, own])).unwrap(), [false, true]);
    assert_eq!(store.slow_errors(), 3);
    put_record(&store, "works");
    assert_eq!(get_record(&store).unwrap().bytes, "works");
    slow.always(None);
    assert!(matches!(get(&store, &ANY().0), Err(StoreError::BlobAbsent(_))));
    assert_eq!(store.slow_errors(), 3, "absent is no error");
    assert!(later.take().is_empty());
}

#[test]
fn a_blob_that_breaks_off_is_an_error_and_not_filled_back() {
    let setup = new();
    let digest = put(&*setup.slow, &[7; 5000]);
    setup.slow.always(Some(Fault::Breaks(away())));
    assert!(is_away(&read(&setup, &digest)));
    for fault in [Fault::CutShort, Fault::WrongBytes] {
        setup.slow.always(Some(fault));
        let _ = read(&setup, &digest);
        assert_eq!(block_on(setup.fast.contains_blobs(&[digest])).unwrap(), [false]);
    }
}

#[test]
fn a_reader_gets_all_though_the_fast_store_takes_nothing() {
    for fault in [Fault::Error(StoreError::Full("on purpose".into())), Fault::ErrorAfter(away())] {
        let setup = new();
        let blob = vec![7; 50_000];
        let digest = put(&*setup.slow, &blob);
        setup
            .fast
            .plan(move |call| (call.operation == Operation::WriteBlob).then(|| fault.clone()));
        assert_eq!(read(&setup, &digest).unwrap(), blob);
    }
}

#[test]
fn a_reader_gets_all_though_the_fast_store_gives_up_while_the_reader_is_behind() {
    let later = Later::default();
    let [fast, slow] = [0, 1].map(|_| Arc::new(Odd { inner: MemoryStore::new(), sized: true }));
    let blob: Vec<u8> = (0..5000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = put(&slow.inner, &blob);
    let store = Tiered::new(fast, slow, later.spawner());
    let bytes = block_on(store.read_blob(&digest)).unwrap();
    let mut work = futures::future::join_all(later.take());
    assert!(poll(&mut work).is_pending(), "the reader is as far behind as it may be");
    let read = futures::future::join(work, super::super::tests::rest(bytes));
    assert_eq!(block_on(read).1.unwrap(), blob);
}

#[test]
fn work_goes_on_without_its_reader_and_ends_with_an_error_without_its_spawner() {
    let setup = new();
    let digest = put(&*setup.slow, &[7; 50_000]);
    drop(block_on(setup.store.read_blob(&digest)).unwrap());
    setup.later.run();
    assert_eq!(get(&*setup.fast, &digest).unwrap(), [7; 50_000]);

    let store = Tiered::new(faulty(), setup.slow.clone(), Spawner::new(drop));
    assert!(matches!(get(&store, &digest), Err(StoreError::Unavailable(_))));
}

#[test]
fn a_blob_of_unknown_length_is_filled_back_if_it_is_small() {
    for (spool, filled) in [(5000, true), (4999, false)] {
        let (fast, later) = (faulty(), Later::default());
        let slow = Arc::new(Odd { inner: MemoryStore::new(), sized: false });
        let digest = put(&slow.inner, &[7; 5000]);
        let mut store = Tiered::new(fast.clone(), slow.clone(), later.spawner());
        Arc::get_mut(&mut store.tiers).unwrap().spool = spool;
        let setup = Setup { fast: fast.clone(), slow: faulty(), later, store };
        assert_eq!(read(&setup, &digest).unwrap(), [7; 5000]);
        assert_eq!(block_on(fast.contains_blobs(&[digest])).unwrap(), [filled]);
    }
}

#[test]
fn what_is_deleted_does_not_come_back() {
    let setup = new();
    let Setup { fast, slow, later, store } = &setup;
    put_record(&**slow, "record");
    let digest = put(&**slow, &[7; 5000]);
    get_record(store).unwrap();
    let bytes = block_on(store.read_blob(&digest)).unwrap();
    block_on(store.delete_record(&ANY())).unwrap();
    block_on(store.delete_blob(&digest)).unwrap();
    let read = later.run_beside(super::super::tests::rest(bytes));
    assert_eq!(read.unwrap(), [7; 5000], "who has begun to read is not disturbed");
    assert!(get_record(store).is_none() && get_record(&**fast).is_none());
    assert_eq!(block_on(store.contains_blobs(&[digest])).unwrap(), [false]);
    assert!(get_record(&**slow).is_none());
}

#[test]
fn listing_gives_each_record_of_both_once() {
    let Setup { fast, slow, store, .. } = new();
    let add = |store: &dyn Store, name: &str| {
        block_on(store.put_record(&key(name), Bytes::new(), Expected::Absent)).unwrap();
    };
    for name in ["a", "b"] {
        add(&*fast, name);
    }
    for name in ["b", "c"] {
        add(&*slow, name);
    }
    let listed: Vec<_> = block_on(async { store.list_records().await.unwrap().collect().await });
    let mut listed: Vec<_> = listed.into_iter().map(Result::unwrap).collect();
    listed.sort();
    let mut all = ["a", "b", "c"].map(key);
    all.sort();
    assert_eq!(listed, all);
}

#[test]
fn files_of_what_only_the_slow_store_has_are_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let disk = DiskStore::open(dir.path().join("store"), DiskOptions::default()).unwrap();
    let (fast, slow, later) = (Arc::new(disk), faulty(), Later::default());
    let store = Tiered::new(fast.clone(), slow.clone(), later.spawner());
    let digest = put(&*slow, &[7; 50_000]);
    put_record(&*slow, "record");
    let files = store.files().unwrap();
    let dest = dir.path().join("out");
    // Inside an executor, where waiting for another would panic.
    block_on(async {
        files.place(&digest, &dest, 0o644, Placement::Private).unwrap();
        assert!(files.pin(&ANY()).unwrap().is_some());
        let absent = files.place(&ANY().0, &dest, 0o644, Placement::Private);
        assert!(matches!(absent, Err(StoreError::BlobAbsent(_))));
        assert!(files.pin(&key("absent")).unwrap().is_none());
    });
    assert_eq!(std::fs::read(&dest).unwrap(), [7; 50_000]);
    assert_eq!(block_on(fast.contains_blobs(&[digest])).unwrap(), [true]);
    slow.always(Some(Fault::Hang));
    files.place(&digest, &dest, 0o644, Placement::Private).unwrap();
    assert!(poll(&mut store.get_record(&ANY())).is_ready(), "the slow one is not asked again");
}

/// A store that gives many pieces, tells no lengths, and takes no blob that does not come at once.
#[derive(Debug)]
struct Odd {
    inner: MemoryStore,
    sized: bool,
}

#[async_trait]
impl Store for Odd {
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
        let whole = super::super::tests::rest(self.inner.read_blob(digest).await?).await?;
        Ok(super::super::tests::stream(&whole))
    }
    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let SizedBlob { size, .. } = self.inner.read_sized_blob(digest).await?;
        let size = size.filter(|_| self.sized);
        Ok(SizedBlob { size, bytes: self.read_blob(digest).await? })
    }
    async fn write_blob(&self, _: &Digest, _: u64, mut bytes: BlobStream<'_>) -> Result<()> {
        let mut patience = 10;
        while patience > 0 {
            match poll(&mut bytes.next()) {
                std::task::Poll::Ready(Some(_)) => patience = 10,
                std::task::Poll::Ready(None) => return Ok(()),
                std::task::Poll::Pending => patience -= 1,
            }
        }
        Err(StoreError::Full("on purpose".into()))
    }
    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.inner.delete_blob(digest).await
    }
}
