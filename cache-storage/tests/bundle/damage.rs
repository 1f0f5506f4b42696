//! Packs that break off or have wrong bytes, read through every layer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_storage::bundle::{Depot, Index};
use cache_storage::layers::{Clock, StackOptions, SystemClock};
use cache_storage::testing::{Fault, FaultyStore};
use cache_storage::{DiskOptions, DiskStore, MemoryStore, Operation, Store, StoreError};
use futures::executor::block_on;

use crate::tools::{NOW, build, fetch, outcome, publish, wanted};

/// Whether an error is the right one.
type Right = fn(&StoreError) -> bool;

/// A depot behind all layers, over a store that can fail.
fn behind_layers() -> (Arc<FaultyStore>, Depot, Index) {
    let faulty = Arc::new(FaultyStore::sound(Arc::new(MemoryStore::new())));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let depot = Depot::new(StackOptions::default().wrap(faulty.clone(), &clock).store);
    let local = MemoryStore::new();
    // The second is longer than what the layers keep in memory for all who ask.
    let parcels = [("a", 1000), ("b", 5 << 20)]
        .map(|(name, size)| block_on(outcome(&local, name, size, NOW)));
    let index = block_on(publish(&depot, &local, &parcels, &[build("b")], NOW)).unwrap();
    (faulty, depot, index)
}

/// Fetches the one pack; what became of it, how many of the two blobs are there, and how many were
/// damaged.
fn fetched(depot: &Depot, index: &Index) -> (Result<(), StoreError>, usize, u64) {
    let there = MemoryStore::new();
    let wanted = wanted(index.units.iter().map(|unit| &unit.record));
    let packs = index.places.packs();
    assert_eq!(packs.len(), 1);
    let (fetched, result) = block_on(depot.fetch(&packs[0], &wanted, &there));
    let digests: Vec<_> = wanted.into_keys().collect();
    let there = block_on(there.contains_blobs(&digests)).unwrap();
    let count = there.into_iter().filter(|there| *there).count();
    assert_eq!(fetched.brought.len(), count);
    (result, count, fetched.damaged)
}

#[test]
fn what_goes_wrong_below_is_the_fetchs_error() {
    let away = || StoreError::Unavailable("on purpose".into());
    let is_away = |error: &StoreError| matches!(error, StoreError::Unavailable(_));
    let is_corrupt = |error: &StoreError| matches!(error, StoreError::Corrupt { .. });
    let faults: [(Fault, Right); 4] = [
        (Fault::Error(away()), is_away),
        (Fault::Breaks(away()), is_away),
        (Fault::CutShort, is_corrupt),
        (Fault::WrongBytes, is_corrupt),
    ];
    for (fault, is_right) in faults {
        let (faulty, depot, index) = behind_layers();
        faulty.plan(move |call| (call.operation == Operation::ReadBlob).then(|| fault.clone()));
        let (result, brought, damaged) = fetched(&depot, &index);
        let error = result.unwrap_err();
        assert!(is_right(&error), "{error}");
        assert_eq!(damaged, 0, "the pack broke off: no member is to blame");
        assert!(brought < 2);
        faulty.always(None);
        if is_away(&error) {
            block_on(fetch(&depot, &index)).unwrap();
        }
    }
}

/// The layers' streams may not be asked again after their end, and neither may those of a store.
#[test]
fn a_pack_that_ends_early_is_not_read_further() {
    for layered in [false, true] {
        let remote = Arc::new(MemoryStore::new());
        let faulty = Arc::new(FaultyStore::sound(remote));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metered = cache_storage::layers::Metered::new(faulty.clone(), clock);
        let store: Arc<dyn Store> = if layered { Arc::new(metered) } else { faulty.clone() };
        let (depot, local) = (Depot::new(store), MemoryStore::new());
        let parcels = [("a", 1000), ("b", 90_000)]
            .map(|(name, size)| block_on(outcome(&local, name, size, NOW)));
        let index = block_on(publish(&depot, &local, &parcels, &[build("b")], NOW)).unwrap();
        faulty.always(Some(Fault::CutShort));
        let (result, brought, _) = fetched(&depot, &index);
        assert!(matches!(result, Err(StoreError::Refused(_))), "{result:?}");
        assert!(brought < 2);
    }
}

/// Read in pieces, so that a member has begun when the pack ends.
#[test]
fn a_pack_that_is_cut_on_its_disk_keeps_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let open = || DiskStore::open(dir.path().join("remote"), DiskOptions::default()).unwrap();
    let (depot, local) = (Depot::new(Arc::new(open())), MemoryStore::new());
    let parcels = [("a", 1000), ("b", 5 << 20)];
    let parcels = parcels.map(|(name, size)| block_on(outcome(&local, name, size, NOW)));
    let index = block_on(publish(&depot, &local, &parcels, &[build("b")], NOW)).unwrap();
    let size = index.places.packs()[0].size;
    let file = file_of_size(dir.path(), size).unwrap();
    // A store's blobs cannot be written; a copy in its place can.
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let (result, brought, damaged) = fetched(&depot, &index);
    assert!(matches!(result, Err(StoreError::Corrupt { .. })), "{result:?}");
    assert_eq!((brought, damaged), (1, 0));
}

fn file_of_size(dir: &Path, size: u64) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find_map(|path| {
        if path.is_dir() {
            return file_of_size(&path, size);
        }
        (path.metadata().unwrap().len() == size).then_some(path)
    })
}
