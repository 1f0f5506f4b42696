//! Many processes at once, some of them killed.

use std::path::Path;
use std::time::Duration;

use cache_core::{Digest, Record};
use cache_storage::{RedbOptions, RedbStore, Store, StoreError, append_entry};
use futures::executor::block_on;

use crate::common::{
    Process, again, entry, get_blob, given_dir, noise, put_blob, put_unit, recipe,
};
use crate::{is_sound, open};

fn append(store: &RedbStore, name: &str, tag: u64) {
    loop {
        match block_on(append_entry(store, &recipe(name), entry(tag, &[]))) {
            Err(StoreError::Conflict) => {}
            other => break other.unwrap(),
        }
    }
}

#[test]
fn two_processes_that_write_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let mut children: Vec<_> =
        (0..2).map(|_| Process::start(again("processes::storing_process", &path))).collect();
    children.iter_mut().for_each(Process::must_succeed);
    let store = open(&path);
    let stored = block_on(store.get_record(&recipe("contended").key())).unwrap().unwrap();
    let record = Record::decode(&stored.bytes).unwrap();
    assert_eq!(record.entries.len(), 16, "eight entries of each process");
    for n in 0..20 {
        assert_unit(&store, n);
    }
    is_sound(&store);
}

fn assert_unit(store: &RedbStore, n: u64) {
    assert!(block_on(store.get_record(&recipe(&format!("u{n}")).key())).unwrap().is_some());
    let bytes = noise(20_000, n);
    assert_eq!(get_blob(store, &Digest::of(&bytes)).unwrap().unwrap(), bytes);
}

#[test]
#[ignore = "run by two_processes_that_write_at_once_lose_nothing as another process"]
fn storing_process() {
    let Some(path) = given_dir() else { return };
    let store = open(&path);
    for n in 0..20 {
        let stored = put_unit(&store, &format!("u{n}"), &[noise(20_000, n)]);
        // The other has stored the very same entry too often in a row: it is there.
        assert!(matches!(stored, Ok(_) | Err(StoreError::Conflict)), "{stored:?}");
    }
    for n in 0..8 {
        append(&store, "contended", u64::from(std::process::id()) * 10 + n);
    }
    is_sound(&store);
}

#[test]
fn a_process_sees_at_once_what_another_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let (one, two) = (open(&path), open(&path));
    for n in 0..10 {
        let (from, to) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let digest = put_blob(from, &noise(1000, n)).unwrap();
        assert_eq!(get_blob(to, &digest).unwrap().unwrap(), noise(1000, n));
    }
}

#[test]
fn killed_writers_leave_a_working_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let mut seen = 0;
    for round in 0..25_u64 {
        let mut children: Vec<_> = (0..2)
            .map(|_| Process::start(again("processes::writing_until_killed", &path)))
            .collect();
        let noise = noise(8, round ^ u64::from(std::process::id()));
        let delay = u64::from_le_bytes(noise.try_into().unwrap()) % 120_000;
        std::thread::sleep(Duration::from_micros(20_000 + delay));
        children.iter_mut().for_each(Process::kill);
        let store = open(&path);
        seen = whole_records(&store);
        put_unit(&store, &format!("after {round}"), &[]).unwrap();
        for earlier in 0..=round {
            let key = recipe(&format!("after {earlier}")).key();
            assert!(block_on(store.get_record(&key)).unwrap().is_some(), "{earlier} of {round}");
        }
    }
    assert!(seen > 30, "the writers came to write something: {seen}");
    assert!(!crate::set_aside(&path, "incompatible").exists());
}

/// How many records there are; each is whole, and so are the blobs it names.
fn whole_records(store: &RedbStore) -> usize {
    let stream = block_on(store.list_records()).unwrap();
    let keys: Vec<_> = block_on(futures::TryStreamExt::try_collect(stream)).unwrap();
    for key in &keys {
        let stored = block_on(store.get_record(key)).unwrap().unwrap();
        let record = Record::decode(&stored.bytes).unwrap();
        for (digest, size) in record.entries.iter().flat_map(|entry| entry.outcome.blobs()) {
            assert_eq!(get_blob(store, &digest).unwrap().unwrap().len() as u64, size);
        }
    }
    keys.len()
}

#[test]
#[ignore = "run by killed_writers_leave_a_working_store as a process that is killed"]
fn writing_until_killed() {
    let Some(path) = given_dir() else { return };
    let mut n = u64::from(std::process::id()) << 20;
    loop {
        // Opened anew now and then, so that kills meet opening and closing, too.
        let store = RedbStore::open(&path, RedbOptions::default()).unwrap();
        for _ in 0..3 {
            n += 1;
            let size = usize::try_from(n % 40 * 1000).unwrap();
            put_unit(&store, &format!("u{n}"), &[noise(size, n)]).unwrap();
            store.touch(&recipe(&format!("u{n}")).key());
            if n % 7 == 0 {
                store.gc(u64::MAX).unwrap();
            }
        }
    }
}

#[test]
fn readers_go_on_while_a_writer_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let digest = put_blob(&open(&path), b"before").unwrap();
    let stopped = redb_writer(&path);
    let transaction = stopped.begin_write().unwrap();
    let impatient = RedbOptions { patience: Duration::from_millis(50), ..crate::options() };
    let store = RedbStore::open(&path, impatient).unwrap();
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), &b"before"[..]);
    let refused = put_blob(&store, b"during");
    let Err(StoreError::Io { source, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::TimedOut, "{source}");
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), &b"before"[..]);
    drop(transaction);
    put_blob(&store, b"after").unwrap();
    is_sound(&store);
}

#[test]
fn reading_goes_on_beside_a_write_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let digest = put_blob(&open(&path), b"before").unwrap();
    let busy = redb_writer(&path);
    let transaction = busy.begin_write().unwrap();
    let impatient = RedbOptions { patience: Duration::from_millis(500), ..crate::options() };
    let store = RedbStore::open(&path, impatient).unwrap();
    let mut reads = 0;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| put_blob(&store, b"during"));
        while !waiting.is_finished() {
            assert!(get_blob(&store, &digest).unwrap().is_some());
            reads += 1;
        }
        assert!(matches!(waiting.join().unwrap(), Err(StoreError::Io { .. })));
    });
    assert!(reads > 3, "{reads} reads while the write waited");
    drop(transaction);
}

/// Another program that uses the file as the store does.
fn redb_writer(path: &Path) -> redb::Database {
    let mut builder = redb::Builder::new();
    builder.set_concurrency_mode(redb::ConcurrencyMode::MultiWriter);
    builder.open(path).unwrap()
}

#[test]
fn a_file_that_a_program_has_for_itself_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let digest = put_blob(&open(&path), b"before").unwrap();
    let alone = redb::Database::open(&path).unwrap();
    let store = open(&path);
    assert!(matches!(get_blob(&store, &digest), Err(StoreError::Io { .. })));
    assert!(matches!(put_blob(&store, b"during"), Err(StoreError::Io { .. })));
    drop(alone);
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), &b"before"[..]);
    is_sound(&store);
}
