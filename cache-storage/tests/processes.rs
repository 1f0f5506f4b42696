//! Many processes at once, some of them killed.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_core::{RecipeKey, Record};
use cache_storage::{DiskOptions, DiskStore, Expected, Placement, Store, StoreError, append_entry};
use common::{
    Process, again, entry, files, given_dir, noise, open, put_blob, put_unit, recipe, restore,
};
use futures::executor::block_on;

/// A number that differs between runs and processes; tests hold for any.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()) << 32)
}

fn next(state: &mut u64) -> u64 {
    *state = u64::from_le_bytes(noise(8, *state).try_into().unwrap());
    *state
}

#[test]
fn many_processes_store_the_same_things() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mut children: Vec<_> =
        (0..6).map(|_| Process::start(again("storing_process", &root))).collect();
    children.iter_mut().for_each(Process::must_succeed);
    let store = open(&root);
    assert!(store.verify(false, &mut |_| {}).unwrap().is_clean());
    let usage = store.usage().unwrap();
    assert_eq!((usage.records, usage.blobs, usage.staged), (21, 40, 0));
    let stored = block_on(store.get_record(&recipe("contended").key())).unwrap().unwrap();
    let record = Record::decode(&stored.bytes).unwrap();
    assert_eq!(record.entries.len(), 12, "two entries of each of six processes");
}

#[test]
#[ignore = "run by many_processes_store_the_same_things as another process"]
fn storing_process() {
    let Some(root) = given_dir() else { return };
    let store = open(&root);
    for n in 0..20 {
        put_unit(&store, &format!("u{n}"), &[noise(20_000, n), noise(100, 1000 + n)]).unwrap();
    }
    for n in 0..2 {
        let tag = u64::from(std::process::id()) * 10 + n;
        loop {
            match block_on(append_entry(&store, &recipe("contended"), entry(tag, &[]))) {
                Err(StoreError::Conflict) => {}
                other => break other.unwrap(),
            }
        }
    }
}

/// How often writers are killed, and how many records they have written at the end.
const ROUNDS: u32 = 25;
const FEW: u64 = 10;

#[test]
fn killed_writers_leave_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mut state = seed();
    let mut seen = 0;
    for round in 0..ROUNDS * 10 {
        // On a machine that has a lot to do, writers are killed before they have come to anything.
        if round >= ROUNDS && seen > FEW {
            break;
        }
        let mut children: Vec<_> =
            (0..2).map(|_| Process::start(again("writing_until_killed", &root))).collect();
        std::thread::sleep(Duration::from_micros(10_000 + next(&mut state) % 90_000));
        children.iter_mut().for_each(Process::kill);
        let store = open(&root);
        let report = store.verify(false, &mut |_| {}).unwrap();
        assert!(report.is_clean(), "after round {round}: {report:?}");
        seen = store.usage().unwrap().records;
        // Every record that is there can be restored.
        let out = tempfile::tempdir().unwrap();
        for key in keys(&store) {
            assert!(restore(&store, &key, out.path(), Placement::MayLink).unwrap().is_some());
        }
    }
    assert!(seen > FEW, "the writers came to write something");
    sweep_takes_all_leftovers(&root);
}

fn keys(store: &DiskStore) -> Vec<RecipeKey> {
    let stream = block_on(store.list_records()).unwrap();
    block_on(futures::TryStreamExt::try_collect(stream)).unwrap()
}

fn sweep_takes_all_leftovers(root: &Path) {
    let old = std::time::SystemTime::now() - Duration::from_secs(120);
    for path in common::tree(&root.join("tmp-v1")) {
        let file = fs::File::open(path).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(old)).unwrap();
    }
    let store = open(root);
    store.gc(u64::MAX).unwrap();
    assert_eq!(store.usage().unwrap().staged, 0);
}

#[test]
#[ignore = "run by killed_writers_leave_nothing_half_done as a process that is killed"]
fn writing_until_killed() {
    let Some(root) = given_dir() else { return };
    // Blobs of another's unfinished unit must not go: a real grace.
    let store = DiskStore::open(&root, DiskOptions::default()).unwrap();
    let mut state = seed();
    let out = tempfile::tempdir_in(root.parent().unwrap()).unwrap();
    loop {
        let n = next(&mut state) % 200;
        let bytes = noise(usize::try_from(n * 1000).unwrap(), n);
        match next(&mut state) % 4 {
            0 => match put_unit(&store, &format!("u{n}"), &[bytes, noise(10, n)]) {
                // The other process is at the same record again and again.
                Err(StoreError::Conflict) => {}
                other => drop(other.unwrap()),
            },
            1 => {
                let from = out.path().join("from");
                let _ = fs::remove_file(&from);
                fs::write(&from, &bytes).unwrap();
                let digest = cache_core::Digest::of(&bytes);
                let size = bytes.len() as u64;
                files(&store).adopt(&digest, size, &from, Placement::MayLink).unwrap();
                loop {
                    let entry = entry(n, &[(digest, size)]);
                    match block_on(append_entry(&store, &recipe(&format!("a{}", n % 7)), entry)) {
                        Err(StoreError::Conflict) => {}
                        other => break other.unwrap(),
                    }
                }
            }
            2 => drop(
                restore(&store, &recipe(&format!("u{n}")).key(), out.path(), Placement::Private)
                    .unwrap(),
            ),
            _ => drop(store.gc(u64::MAX).unwrap()),
        }
    }
}

#[test]
fn eviction_never_takes_what_a_process_is_restoring() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    fill(&open(&root), 0);
    let mut restorers: Vec<_> = (0..3).map(|_| Process::start(again("restoring", &root))).collect();
    let mut evictor = Process::start(again("evicting_and_refilling", &root));
    // Each fails when it finds a blob of a record that it has pinned gone.
    restorers.iter_mut().for_each(Process::must_succeed);
    fs::write(root.join("done"), "").unwrap();
    evictor.must_succeed();
}

const UNITS: u64 = 12;
const RACE: Duration = Duration::from_secs(3);
/// On a machine so busy that nothing met anything by then.
const LONGEST: Duration = Duration::from_secs(60);

fn fill(store: &DiskStore, generation: u64) {
    for n in 0..UNITS {
        let seed = generation * 100 + n;
        let blobs = [noise(30_000, seed), noise(5_000, 50 + seed), noise(100, 7_000_000 + n)];
        let named: Vec<_> = blobs
            .iter()
            .map(|bytes| (put_blob(store, bytes).unwrap(), bytes.len() as u64))
            .collect();
        // Replaces what is there: the old generation's blobs have no name any more.
        let recipe = recipe(&format!("u{n}"));
        let mut record = Record { recipe: recipe.clone(), ..Record::default() };
        record.add(entry(generation, &named));
        let key = recipe.key();
        let expected = match block_on(store.get_record(&key)).unwrap() {
            None => Expected::Absent,
            Some(stored) => Expected::Revision(stored.revision),
        };
        block_on(store.put_record(&key, Bytes::from(record.encode()), expected)).unwrap();
    }
}

#[test]
#[ignore = "run by eviction_never_takes_what_a_process_is_restoring as another process"]
fn restoring() {
    let Some(root) = given_dir() else { return };
    let store = open(&root);
    let out = tempfile::tempdir_in(root.parent().unwrap()).unwrap();
    let (mut state, start, mut hits, mut misses) = (seed(), Instant::now(), 0, 0);
    while start.elapsed() < RACE || (start.elapsed() < LONGEST && (hits < 50 || misses == 0)) {
        let key = recipe(&format!("u{}", next(&mut state) % UNITS)).key();
        let placement = [Placement::MayLink, Placement::Private]
            [usize::from(next(&mut state).is_multiple_of(2))];
        match restore(&store, &key, out.path(), placement).unwrap() {
            Some(placed) => hits += usize::from(placed == 3),
            None => misses += 1,
        }
    }
    assert!(hits >= 50, "{hits} restores");
    assert!(misses > 0, "evictions happened in between");
}

#[test]
#[ignore = "run by eviction_never_takes_what_a_process_is_restoring as another process"]
fn evicting_and_refilling() {
    let Some(root) = given_dir() else { return };
    let store = open(&root);
    let (mut state, start, mut generation) = (seed(), Instant::now(), 1);
    let (mut removed, mut spared) = (0, 0);
    while !root.join("done").exists() && start.elapsed() < 2 * LONGEST {
        let report = store.gc(next(&mut state) % 400_000).unwrap();
        removed += report.blobs_removed;
        spared += report.records_in_use;
        generation += next(&mut state) % 2;
        fill(&store, generation);
        // Old generations have no name, unless somebody has them pinned.
        removed += store.gc(u64::MAX).unwrap().blobs_removed;
    }
    assert!(removed > 100, "{removed} blobs removed");
    assert!(spared > 0, "some records were in use");
}

#[test]
fn a_pin_ends_with_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = open(&root);
    let key = put_unit(&store, "u0", &[noise(1000, 1)]).unwrap();
    let mut child = Process::start(again("pinning_forever", &root));
    while !root.join("pinned").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let report = store.gc(0).unwrap();
    assert_eq!((report.records_evicted, report.records_in_use, report.blobs_removed), (0, 1, 0));
    child.kill();
    let report = store.gc(0).unwrap();
    assert_eq!((report.records_evicted, report.blobs_removed), (1, 1));
    assert!(files(&store).pin(&key).unwrap().is_none());
}

#[test]
#[ignore = "run by a_pin_ends_with_its_process as a process that is killed"]
fn pinning_forever() {
    let Some(root) = given_dir() else { return };
    let _pin = files(&open(&root)).pin(&recipe("u0").key()).unwrap().unwrap();
    fs::write(root.join("pinned"), "").unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
