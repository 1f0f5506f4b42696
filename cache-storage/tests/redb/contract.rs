//! The contract of a store.

use cache_core::Digest;
use cache_storage::{RedbOptions, RedbStore, Store, StoreError, conformance};
use futures::StreamExt;
use futures::executor::block_on;

use crate::common::{get_blob, noise, put_blob, recipe};
use crate::{is_sound, open};

#[test]
fn redb_store_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store.redb"));
    block_on(conformance::all(&store));
    is_sound(&store);
}

#[test]
fn redb_store_opened_for_reading_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent/store.redb");
    let options = RedbOptions { read_only: true, ..RedbOptions::default() };
    let store = RedbStore::open(&path, options).unwrap();
    assert!(!store.capabilities().write);
    block_on(conformance::all(&store));
    assert!(!dir.path().join("absent").exists(), "a reader makes nothing");
}

#[test]
fn opening_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("a/store.redb"));
    assert!(get_blob(&store, &Digest::of(b"x")).unwrap().is_none());
    block_on(store.delete_blob(&Digest::of(b"x"))).unwrap();
    block_on(store.delete_record(&recipe("u").key())).unwrap();
    drop(store);
    assert!(!dir.path().join("a").exists());
}

#[test]
fn the_longest_blob_is_stored_and_a_longer_one_refused_by_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store.redb"));
    let longest = noise(usize::try_from(RedbStore::MAX_BLOB).unwrap(), 1);
    let digest = put_blob(&store, &longest).unwrap();
    assert!(get_blob(&store, &digest).unwrap().unwrap() == longest);
    // Refused before a byte of it is asked for.
    let unread = futures::stream::poll_fn(|_| panic!("nothing is read")).boxed();
    let refused = block_on(store.write_blob(&digest, RedbStore::MAX_BLOB + 1, unread));
    let Err(StoreError::Refused(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("67108865") && text.contains("67108864"), "{text}");
}

#[test]
fn what_is_stored_is_there_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("störe with spaces");
    let bytes = noise(700_000, 1);
    let digest = put_blob(&open(&path), &bytes).unwrap();
    assert_eq!(get_blob(&open(&path), &digest).unwrap().unwrap(), bytes);
}
