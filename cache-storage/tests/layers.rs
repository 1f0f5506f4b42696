//! Every layer keeps the contract of a store, around one in memory and around one on disk.

use std::sync::Arc;

use cache_storage::conformance;
use cache_storage::layers::{
    Breaker, BreakerOptions, Clock, CoalesceOptions, Coalesced, Deadline, DeadlineOptions,
    KnownAbsent, KnownAbsentOptions, LimitOptions, Limited, Metered, ReadOnly, SecretKey, Signed,
    SignedOptions, Spawner, StackOptions, SystemClock, Tiered, Verified,
};
use cache_storage::testing::FaultyStore;
use cache_storage::{DiskOptions, DiskStore, MemoryStore, Store};
use futures::executor::block_on;

/// A store on disk, in memory where there is a file system for it: what is tested are the layers.
fn disk() -> (tempfile::TempDir, DiskStore) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let store = DiskStore::open(dir.path().join("store"), DiskOptions::default()).unwrap();
    (dir, store)
}

/// Runs the suite over the layer around each kind of store.
fn conforms<L: Store>(layer: impl Fn(Arc<dyn Store>, Arc<dyn Clock>) -> L) {
    let (_dir, disk) = disk();
    let inner: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(disk)];
    for inner in inner {
        block_on(conformance::all(&layer(inner, Arc::new(SystemClock::new()))));
    }
}

/// A thread for each piece of work, as a runtime would have tasks.
fn threads() -> Spawner {
    Spawner::new(|work| {
        std::thread::spawn(|| block_on(work));
    })
}

fn signed() -> SignedOptions {
    SignedOptions { signer: Some(SecretKey::from_seed(&[7; 32])), trusted: Vec::new() }
}

#[test]
fn read_only() {
    conforms(|inner, _| ReadOnly::new(inner, "the test says so"));
}

#[test]
fn known_absent() {
    conforms(|inner, clock| KnownAbsent::new(inner, clock, KnownAbsentOptions::default()));
}

#[test]
fn coalesced() {
    conforms(|inner, _| Coalesced::new(inner, CoalesceOptions::default()));
    let share = CoalesceOptions { share: 1000, meeting: None };
    conforms(|inner, _| Coalesced::new(inner, share.clone()));
}

#[test]
fn signed_for_a_writer_and_for_a_reader() {
    conforms(|inner, _| Signed::new(inner, signed()));
    let trusted = vec![SecretKey::from_seed(&[8; 32]).public()];
    let reader = SignedOptions { trusted, signer: None };
    conforms(|inner, _| Signed::new(inner, reader.clone()));
}

#[test]
fn verified() {
    conforms(|inner, _| Verified::new(inner));
}

#[test]
fn limited() {
    conforms(|inner, clock| Limited::new(inner, clock, LimitOptions::default()));
}

#[test]
fn breaker() {
    conforms(|inner, clock| Breaker::new(inner, clock, BreakerOptions::default()));
}

#[test]
fn deadline() {
    let long = std::time::Duration::from_secs(3600);
    let options = DeadlineOptions { answer: long, stall: long };
    conforms(|inner, clock| Deadline::new(inner, clock, options));
}

#[test]
fn metered() {
    conforms(Metered::new);
}

#[test]
fn a_faulty_store_without_faults() {
    conforms(|inner, _| FaultyStore::sound(inner));
}

#[test]
fn tiered_with_either_in_front() {
    conforms(|inner, _| Tiered::new(inner, Arc::new(MemoryStore::new()), threads()));
    conforms(|inner, _| Tiered::new(Arc::new(MemoryStore::new()), inner, threads()));
}

#[test]
fn all_of_them_in_order() {
    let long = std::time::Duration::from_secs(3600);
    let deadline = Some(DeadlineOptions { answer: long, stall: long });
    let options = StackOptions { signed: Some(signed()), deadline, ..StackOptions::default() };
    conforms(|inner, clock| {
        let stack = options.clone().wrap(inner, &clock);
        Tiered::new(Arc::new(MemoryStore::new()), stack.store, threads())
    });
    for read_only in [None, Some("the test says so".to_owned())] {
        let options = StackOptions { read_only, ..options.clone() };
        let (_dir, disk) = disk();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        block_on(conformance::all(&*options.wrap(Arc::new(disk), &clock).store));
    }
}
