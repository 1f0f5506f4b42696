//! The digest memo as a table.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cache_core::Digest;
use cache_storage::RedbStore;

use crate::common::put_blob;
use crate::open;

fn digest(store: &RedbStore, path: &Path) -> Digest {
    store.digest_files(&[path]).remove(0).unwrap()
}

fn settle() {
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn the_memo_is_used_by_the_next_process_for_a_file_that_has_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("store.redb"), dir.path().join("file"));
    fs::write(&file, "one").unwrap();
    let lie = Digest::of(b"what the producer says");
    let store = open(&path);
    store.remember(&file, &lie);
    assert_eq!(digest(&store, &file), lie);
    drop(store);
    let store = open(&path);
    assert_eq!(digest(&store, &file), lie);
    fs::write(&file, "two").unwrap();
    assert_eq!(digest(&store, &file), Digest::of(b"two"));
    fs::write(&file, "one").unwrap();
    store.remember(&file, &lie);
    store.clear_memo().unwrap();
    assert_eq!(digest(&store, &file), Digest::of(b"one"));
}

#[test]
fn what_is_learnt_by_reading_is_written_with_the_next_change() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("store.redb"), dir.path().join("file"));
    fs::write(&file, "one").unwrap();
    settle();
    let store = open(&path);
    assert_eq!(digest(&store, &file), Digest::of(b"one"));
    put_blob(&store, b"x").unwrap();
    assert_eq!(rows(&path), 1);
    fs::write(&file, "young").unwrap();
    assert_eq!(digest(&store, &file), Digest::of(b"young"));
    store.flush().unwrap();
    drop(store);
    assert_eq!(rows(&path), 1, "a young file is not remembered by reading");
}

#[test]
fn a_memo_that_has_grown_too_long_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("store.redb"), dir.path().join("file"));
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(TABLE).unwrap();
        for n in 0..131_072_u128 {
            table.insert(&n.to_be_bytes(), &[0; 48]).unwrap();
        }
    }
    transaction.commit().unwrap();
    drop(database);
    fs::write(&file, "one").unwrap();
    let store = open(&path);
    store.remember(&file, &Digest::of(b"one"));
    drop(store);
    assert_eq!(rows(&path), 1);
}

const TABLE: redb::TableDefinition<&[u8; 16], &[u8; 48]> = redb::TableDefinition::new("memo-v1");

fn rows(path: &Path) -> u64 {
    let mut builder = redb::Builder::new();
    builder.set_concurrency_mode(redb::ConcurrencyMode::MultiWriter);
    let database = builder.open_read_only(path).unwrap();
    let snapshot = redb::ReadableDatabase::begin_read(&database).unwrap();
    let table = snapshot.open_table(TABLE).unwrap();
    redb::ReadableTableMetadata::len(&table).unwrap()
}

#[test]
fn answers_are_in_the_order_asked_and_each_has_its_own_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store.redb"));
    let (one, two, absent) = (dir.path().join("1"), dir.path().join("2"), dir.path().join("no"));
    fs::write(&one, "one").unwrap();
    fs::write(&two, "two").unwrap();
    let answers = store.digest_files(&[&two, &absent, dir.path(), &one]);
    let digests: Vec<_> = answers.into_iter().map(Result::ok).collect();
    let right = [Some(Digest::of(b"two")), None, None, Some(Digest::of(b"one"))];
    assert_eq!(digests, right);
}
