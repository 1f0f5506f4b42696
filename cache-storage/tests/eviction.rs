//! What goes and what stays when room is made.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_core::{Digest, RecipeKey, Record};
use cache_storage::{Budget, DiskOptions, DiskStore, Expected, Placement, Store, append_entry};
use common::{
    entry, files, get_blob, no_grace, noise, open, put_blob, put_unit, recipe, record_path,
    restore, tree,
};
use futures::executor::block_on;

fn age(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_modified(time)).unwrap();
}

fn has(store: &DiskStore, key: &RecipeKey) -> bool {
    block_on(store.get_record(key)).unwrap().is_some()
}

fn has_blob(store: &DiskStore, bytes: &[u8]) -> bool {
    get_blob(store, &Digest::of(bytes)).unwrap().is_some()
}

#[test]
fn least_recently_used_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys: Vec<_> =
        (0..4).map(|n| put_unit(&store, &format!("u{n}"), &[noise(100_000, n)]).unwrap()).collect();
    for (key, seconds) in keys.iter().zip([400, 300, 200, 100]) {
        age(&record_path(dir.path(), key), seconds);
    }
    // The oldest is used: now it is the newest.
    let out = tempfile::tempdir().unwrap();
    restore(&store, &keys[0], out.path(), Placement::MayLink).unwrap();
    let before = store.usage().unwrap().disk_bytes;
    let report = store.gc(before - 150_000).unwrap();
    assert_eq!((report.records_evicted, report.blobs_removed), (2, 2));
    assert_eq!((report.before, report.after), (before, store.usage().unwrap().disk_bytes));
    let left: Vec<_> = keys.iter().map(|key| has(&store, key)).collect();
    assert_eq!(left, [true, false, false, true]);
    assert!(has_blob(&store, &noise(100_000, 0)) && has_blob(&store, &noise(100_000, 3)));
    assert!(store.verify(false, &mut |_| {}).unwrap().is_clean());
}

#[test]
fn a_blob_that_two_records_name_goes_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let shared = noise(50_000, 1);
    let old = put_unit(&store, "old", &[shared.clone(), noise(50_000, 2)]).unwrap();
    let new = put_unit(&store, "new", std::slice::from_ref(&shared)).unwrap();
    age(&record_path(dir.path(), &old), 100);
    let report = store.gc(store.usage().unwrap().disk_bytes - 1).unwrap();
    assert_eq!((report.records_evicted, report.blobs_removed), (1, 1));
    assert!(has(&store, &new) && has_blob(&store, &shared));
    store.gc(0).unwrap();
    assert!(!has_blob(&store, &shared));
    assert_eq!(store.usage().unwrap().disk_bytes, 0);
}

#[test]
fn a_blob_without_a_record_has_its_grace() {
    let dir = tempfile::tempdir().unwrap();
    let graceful = DiskStore::open(
        dir.path(),
        DiskOptions { budget: Budget::Unlimited, ..DiskOptions::default() },
    )
    .unwrap();
    let bytes = noise(1000, 1);
    // With the mtime of a file compiled long ago.
    let from = dir.path().join("from");
    fs::write(&from, &bytes).unwrap();
    age(&from, 100_000);
    files(&graceful).adopt(&Digest::of(&bytes), 1000, &from, Placement::MayLink).unwrap();
    assert_eq!(
        graceful.gc(0).unwrap().blobs_removed,
        0,
        "its writer may be about to store the record"
    );
    assert_eq!(open(dir.path()).gc(u64::MAX).unwrap().blobs_removed, 1, "after the grace it goes");
    assert_eq!(fs::read(&from).unwrap(), bytes, "the adopted file stays");
}

#[test]
fn finding_a_blob_there_renews_its_grace() {
    let dir = tempfile::tempdir().unwrap();
    let grace = Duration::from_secs(2);
    let store = DiskStore::open(dir.path(), DiskOptions { grace, ..no_grace() }).unwrap();
    let (again, once) = (noise(1000, 1), noise(1000, 2));
    put_blob(&store, &again).unwrap();
    put_blob(&store, &once).unwrap();
    std::thread::sleep(grace + Duration::from_millis(50));
    put_blob(&store, &again).unwrap();
    assert_eq!(store.gc(u64::MAX).unwrap().blobs_removed, 1);
    assert!(has_blob(&store, &again) && !has_blob(&store, &once));
}

#[test]
fn a_record_used_within_the_grace_is_not_evicted_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = DiskStore::open(
        dir.path(),
        DiskOptions { budget: Budget::Unlimited, ..DiskOptions::default() },
    )
    .unwrap();
    let key = put_unit(&store, "u", &[noise(1000, 1)]).unwrap();
    let report = store.gc(0).unwrap();
    assert_eq!((report.records_evicted, report.records_in_use, report.blobs_removed), (0, 1, 0));
    assert!(has(&store, &key));
}

#[test]
fn records_of_a_later_version_keep_their_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = noise(1000, 1);
    let digest = put_blob(&store, &bytes).unwrap();
    let mut record = Record::default();
    record.add(entry(0, &[(digest, 1000)]));
    let mut encoded = record.encode();
    // The payload version, and the checksum over all: see `cache_core::wire`.
    encoded[6..8].copy_from_slice(&999_u16.to_le_bytes());
    let body = encoded.len() - Digest::LEN;
    let checksum = Digest::of(&encoded[..body]);
    encoded[body..].copy_from_slice(checksum.as_bytes());
    assert!(Record::decode(&encoded).unwrap_err().is_foreign());
    let key = recipe("from the future").key();
    block_on(store.put_record(&key, Bytes::from(encoded), Expected::Absent)).unwrap();
    store.gc(u64::MAX).unwrap();
    assert!(has_blob(&store, &bytes));
    assert!(store.verify(true, &mut |_| {}).unwrap().is_clean());
    assert!(has(&store, &key));
}

#[test]
fn a_replaced_record_that_is_pinned_keeps_its_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (old, new) = (noise(1000, 1), noise(1000, 2));
    let key = put_unit(&store, "u", std::slice::from_ref(&old)).unwrap();
    let pin = files(&store).pin(&key).unwrap().unwrap();
    block_on(store.delete_record(&key)).unwrap();
    put_unit(&store, "u", std::slice::from_ref(&new)).unwrap();
    store.gc(u64::MAX).unwrap();
    assert!(has_blob(&store, &old), "somebody may be restoring it");
    drop(pin);
    store.gc(u64::MAX).unwrap();
    assert!(!has_blob(&store, &old) && has_blob(&store, &new));
    assert_eq!(tree(&dir.path().join("retired-v1")).len(), 0);
}

#[test]
fn growing_over_the_budget_evicts_and_growing_within_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = DiskOptions { budget: Budget::Bytes(1_000_000), ..no_grace() };
    let mut evictions = 0;
    for n in 0..60 {
        let store = DiskStore::open(dir.path(), options.clone()).unwrap();
        put_unit(&store, &format!("u{n}"), &[noise(50_000, n)]).unwrap();
        let before = store.usage().unwrap().disk_bytes;
        let report = store.maybe_gc().unwrap();
        assert_eq!(report.is_some(), before > 1_000_000, "at {before}");
        if let Some(report) = report {
            evictions += 1;
            assert!(report.after <= 900_000 && report.after > 800_000, "{report:?}");
        }
        assert!(has(&store, &recipe(&format!("u{n}")).key()), "the newest stays");
    }
    assert!(evictions > 10);
}

#[test]
fn when_little_can_be_freed_eviction_is_not_tried_at_every_write() {
    let dir = tempfile::tempdir().unwrap();
    let options = DiskOptions { budget: Budget::Bytes(1_000_000), ..DiskOptions::default() };
    let store = DiskStore::open(dir.path(), options).unwrap();
    let mut tries = 0;
    for n in 0..60 {
        put_unit(&store, &format!("u{n}"), &[noise(20_000, n)]).unwrap();
        tries += u32::from(store.maybe_gc().unwrap().is_some());
    }
    // All is young. From 1.0 to 1.7 MB there is a try every 50 kB.
    assert!(tries > 5 && tries < 20, "{tries}");
    assert_eq!(store.usage().unwrap().records, 60);
}

#[test]
fn a_wrong_usage_counter_is_set_right() {
    let dir = tempfile::tempdir().unwrap();
    let options = DiskOptions { budget: Budget::Bytes(1_000_000), ..no_grace() };
    let store = DiskStore::open(dir.path(), options).unwrap();
    put_unit(&store, "u", &[noise(50_000, 1)]).unwrap();
    assert_eq!(store.maybe_gc().unwrap(), None);
    for garbage in [vec![0xff; 24], vec![0; 24]] {
        fs::write(dir.path().join("usage-v1"), &garbage).unwrap();
        put_unit(&store, "v", &[noise(50_000, garbage[0].into())]).unwrap();
        let report = store.maybe_gc().unwrap().expect("too high, or never collected: due");
        assert_eq!(report.after, store.usage().unwrap().disk_bytes);
        assert_eq!(report.records_evicted, 0);
        assert_eq!(store.maybe_gc().unwrap(), None);
    }
}

#[test]
fn two_collections_do_not_run_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = DiskOptions { budget: Budget::Bytes(1000), ..no_grace() };
    let store = DiskStore::open(dir.path(), options).unwrap();
    put_unit(&store, "u", &[noise(50_000, 1)]).unwrap();
    let lock =
        fs::File::options().append(true).create(true).open(dir.path().join("locks-v1/gc")).unwrap();
    lock.lock().unwrap();
    assert_eq!(store.maybe_gc().unwrap(), None, "somebody else is at it; nobody waits");
    drop(lock);
    assert!(store.maybe_gc().unwrap().is_some());
}

#[test]
fn leftovers_are_swept_when_nobody_can_want_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put_unit(&store, "u", &[noise(10, 1)]).unwrap();
    let make = |bucket: &str, name: &str, age_seconds: u64| {
        let path = dir.path().join(bucket).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        age(&path, age_seconds);
        path
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let week = 7 * 24 * 3600;
    let stays = [
        make("tmp-v1", "just-made", 1),
        make("tmp-v1", "being-written", 3600),
        make("flights-v1", "recent", 3600),
        make("flights-v1", "held", 90_000),
        make("quarantine-v1", &format!("{}-recent", now - week + 60), 2 * week),
    ];
    let goes = [
        make("tmp-v1", "left", 120),
        make("tmp-v1", "stuck", 90_000),
        make("flights-v1", "left", 90_000),
        make("quarantine-v1", &format!("{}-old", now - week - 60), 1),
        make("quarantine-v1", "no-time", 1),
        make("retired-v1", &format!("{}.1", recipe("x").key()), 1),
    ];
    let locks = [&stays[1], &stays[3], &goes[1]].map(|path| {
        let file = fs::File::open(path).unwrap();
        file.lock().unwrap();
        file
    });
    assert_eq!(store.gc(u64::MAX).unwrap().leftovers_removed, goes.len() as u64);
    for path in stays {
        assert!(path.exists(), "{}", path.display());
    }
    for path in goes {
        assert!(!path.exists(), "{}", path.display());
    }
    drop(locks);
}

#[test]
fn upkeep_is_done_daily_even_within_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put_unit(&store, "u", &[noise(10, 1)]).unwrap();
    assert_eq!(store.maybe_gc().unwrap(), None);
    let counter = dir.path().join("usage-v1");
    let mut bytes = fs::read(&counter).unwrap();
    let collected = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    bytes[16..24].copy_from_slice(&(collected - 25 * 3600).to_le_bytes());
    fs::write(&counter, bytes).unwrap();
    let report = store.maybe_gc().unwrap().expect("upkeep is due");
    assert_eq!(report.records_evicted, 0);
    assert_eq!(store.maybe_gc().unwrap(), None);
}

#[test]
fn entries_dropped_from_a_full_record_free_their_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..20 {
        let digest = put_blob(&store, &noise(1000, n)).unwrap();
        block_on(append_entry(&store, &recipe("u"), entry(n, &[(digest, 1000)]))).unwrap();
    }
    let kept = cache_core::MAX_ENTRIES as u64;
    assert_eq!(store.gc(u64::MAX).unwrap().blobs_removed, 20 - kept);
    assert_eq!(store.usage().unwrap().blobs, kept);
}
