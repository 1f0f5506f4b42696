//! A publisher that is cut off anywhere, and several at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_storage::bundle::{CollectOptions, Depot, PACK_SIZE};
use cache_storage::testing::{Fault, FaultyStore};
use cache_storage::{DiskOptions, DiskStore, MemoryStore, Operation, Store, StoreError};
use futures::executor::block_on;

use crate::tools::{NOW, build, fetch, nothing_leads_astray, outcome, publish};

fn away() -> StoreError {
    StoreError::Unavailable("on purpose".into())
}

fn is_write(operation: Operation) -> bool {
    matches!(operation, Operation::PutRecord | Operation::WriteBlob)
}

/// Everything fails from one write on, which is done or not.
fn publisher_ends(after: u64, done: bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let remote = Arc::new(DiskStore::open(dir.path().join("r"), DiskOptions::default()).unwrap());
    let faulty = Arc::new(FaultyStore::sound(remote.clone()));
    let writes = AtomicU64::new(0);
    faulty.plan(move |call| {
        let add = u64::from(is_write(call.operation));
        let before = writes.fetch_add(add, Ordering::SeqCst);
        let now =
            if done && before == after { Fault::ErrorAfter(away()) } else { Fault::Error(away()) };
        (before >= after).then_some(now)
    });
    let local = MemoryStore::new();
    let large = usize::try_from(PACK_SIZE).unwrap() + 1;
    let parcels = [("a", large), ("b", 100)]
        .map(|(name, length)| block_on(outcome(&local, name, length, NOW)));
    let keys = [build("exact"), build("near")];
    let through = Depot::new(faulty.clone());
    let result = block_on(publish(&through, &local, &parcels, &keys, NOW));
    let when =
        format!("cut off at write {after}, which was {}", if done { "done" } else { "not done" });
    let leading = block_on(nothing_leads_astray(remote.clone(), &when));
    assert!(result.is_err() || leading == 4, "{when}: {leading}");

    // Whatever is left of it, cleaning finds.
    let direct = Depot::new(remote.clone());
    let all = CollectOptions { before: u64::MAX, orphans_before: u64::MAX, dry_run: false };
    block_on(direct.collect(all)).unwrap();
    let usage = remote.usage().unwrap();
    assert_eq!((usage.blobs, usage.records), (0, 0), "{when}: something is left for ever");
    // And whoever tries again succeeds.
    let index = block_on(publish(&direct, &local, &parcels, &keys, NOW)).unwrap();
    block_on(fetch(&direct, &index)).unwrap();
    result.is_ok()
}

#[test]
fn whenever_a_publisher_is_cut_off_nothing_leads_to_what_is_not_there() {
    for done in [false, true] {
        let whole = (0..100).find(|after| publisher_ends(*after, done));
        // For each of two packs and the index a registration and the bytes, two records, two builds.
        assert_eq!(whole, Some(10), "every write was tried");
    }
}

#[test]
fn who_publishes_again_over_a_part_completes_it() {
    // For the pack and the index a registration and the bytes, two records, a build.
    for after in 0..7 {
        let remote = Arc::new(MemoryStore::new());
        let faulty = Arc::new(FaultyStore::sound(remote.clone()));
        let writes = AtomicU64::new(0);
        faulty.plan(move |call| {
            let add = u64::from(is_write(call.operation));
            let before = writes.fetch_add(add, Ordering::SeqCst);
            (before == after && add == 1).then(|| Fault::ErrorAfter(away()))
        });
        let local = MemoryStore::new();
        let parcels = ["a", "b"].map(|name| block_on(outcome(&local, name, 1000, NOW)));
        let depot = Depot::new(faulty);
        let _ = block_on(publish(&depot, &local, &parcels, &[build("exact")], NOW));
        let index = block_on(publish(&depot, &local, &parcels, &[build("exact")], NOW)).unwrap();
        assert_eq!(block_on(depot.find_index(&build("exact"))).unwrap(), Some(index.clone()));
        block_on(fetch(&depot, &index)).unwrap();
        assert_eq!(block_on(nothing_leads_astray(remote, "after two tries")), 3);
    }
}

#[test]
fn several_publishers_of_one_key_lose_nothing_of_each_other() {
    const MANY: usize = 8;
    let remote: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keys = [build("exact")];
    std::thread::scope(|scope| {
        for n in 0..MANY {
            let remote = remote.clone();
            scope.spawn(move || {
                let (local, depot) = (MemoryStore::new(), Depot::new(remote));
                let name = n.to_string();
                let mut one = block_on(outcome(&local, &name, 1000 + n, NOW));
                // All under one key, with observations of their own.
                one.record.recipe = cache_core::Recipe::new();
                one.key = one.record.recipe.key();
                block_on(publish(&depot, &local, &[one], &keys, NOW)).unwrap();
            });
        }
    });
    let depot = Depot::new(remote.clone());
    let located = block_on(depot.find(&cache_core::Recipe::new().key())).unwrap().unwrap();
    assert_eq!(located.record.entries.len(), MANY);
    assert_eq!(located.places.iter().count(), MANY);
    assert_eq!(block_on(nothing_leads_astray(remote, "after all")), 2);
    let index = block_on(depot.find_index(&keys[0])).unwrap().unwrap();
    assert_eq!(index.units.len(), 1, "the last build stays");
    block_on(fetch(&depot, &index)).unwrap();
}
