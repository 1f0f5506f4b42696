//! Eviction and the usage index.

use std::time::{SystemTime, UNIX_EPOCH};

use cache_core::Digest;
use cache_storage::{RedbOptions, RedbStore, Store};
use futures::executor::block_on;

use crate::common::{get_blob, noise, put_blob, put_unit, recipe};
use crate::{is_sound, open};

/// Whether a unit is there, with its blob.
fn has(store: &RedbStore, n: u64) -> bool {
    let record = block_on(store.get_record(&recipe(&format!("u{n}")).key())).unwrap();
    let blob = get_blob(store, &Digest::of(&noise(50_000, n))).unwrap();
    assert_eq!(record.is_some(), blob.is_some(), "unit {n} whole or gone");
    record.is_some()
}

fn put(store: &RedbStore, n: u64) {
    put_unit(store, &format!("u{n}"), &[noise(50_000, n)]).unwrap();
}

/// Uses are told apart by the millisecond.
fn next_moment() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let before = now();
    while now() <= before {
        std::thread::yield_now();
    }
}

#[test]
fn the_least_recently_used_records_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = open(&path);
    (0..4).for_each(|n| put(&store, n));
    next_moment();
    store.touch(&recipe("u0").key());
    drop(store); // writes the use
    let store = open(&path);
    next_moment();
    put(&store, 9);
    let report = store.gc(110_000).unwrap();
    assert_eq!((report.records_evicted, report.blobs_removed), (3, 3), "{report:?}");
    assert!(report.before > 250_000 && report.after <= 110_000, "{report:?}");
    assert!(has(&store, 0) && has(&store, 9));
    assert!(![1, 2, 3].iter().any(|n| has(&store, *n)));
    is_sound(&store);
}

#[test]
fn blobs_that_no_record_names_go_after_the_grace() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let digest = put_blob(&open(&path), &noise(1000, 1)).unwrap();
    put(&open(&path), 1);
    let patient = RedbStore::open(&path, RedbOptions::default()).unwrap();
    assert_eq!(patient.gc(u64::MAX).unwrap().blobs_removed, 0, "its writer may be at it");
    next_moment();
    assert_eq!(open(&path).gc(u64::MAX).unwrap().blobs_removed, 1);
    assert!(get_blob(&patient, &digest).unwrap().is_none());
    assert!(has(&patient, 1));
}

#[test]
fn a_blob_stays_while_one_of_its_records_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store.redb"));
    let (shared, own) = (noise(50_000, 1), noise(60_000, 2));
    put_unit(&store, "old", &[shared.clone(), own.clone()]).unwrap();
    next_moment();
    put_unit(&store, "new", std::slice::from_ref(&shared)).unwrap();
    next_moment();
    let report = store.gc(60_000).unwrap();
    assert_eq!((report.records_evicted, report.blobs_removed), (1, 1));
    assert!(get_blob(&store, &Digest::of(&shared)).unwrap().is_some());
    assert!(get_blob(&store, &Digest::of(&own)).unwrap().is_none());
}

#[test]
fn freed_room_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = open(&path);
    let mut longest = 0;
    for n in 0..40 {
        put_unit(&store, &format!("u{n}"), &[noise(400_000, n)]).unwrap();
        if n % 4 == 3 {
            next_moment();
            store.gc(0).unwrap();
        }
        longest = longest.max(std::fs::metadata(&path).unwrap().len());
    }
    assert!(longest < 12_000_000, "16 MB went through a file of {longest} bytes");
}
