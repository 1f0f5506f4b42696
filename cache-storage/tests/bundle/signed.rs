//! Records of strangers do not exist, nor what they lead to.

use std::sync::Arc;

use cache_storage::bundle::{CollectOptions, Depot};
use cache_storage::layers::{SecretKey, Signed, SignedOptions};
use cache_storage::{MemoryStore, Store};
use futures::executor::block_on;

use crate::tools::{LONG_AGO, NOW, build, fetch, nothing_leads_astray, outcome, publish};

fn signer(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn writer(inner: &Arc<MemoryStore>, seed: u8) -> Depot {
    let options = SignedOptions { trusted: Vec::new(), signer: Some(signer(seed)) };
    Depot::new(Arc::new(Signed::new(inner.clone(), options)))
}

fn reader(inner: &Arc<MemoryStore>, seed: u8) -> Depot {
    let options = SignedOptions { trusted: vec![signer(seed).public()], signer: None };
    Depot::new(Arc::new(Signed::new(inner.clone(), options)))
}

#[test]
fn only_what_a_trusted_key_signed_is_found() {
    let remote = Arc::new(MemoryStore::new());
    let local = MemoryStore::new();
    let names = ["ours", "theirs", "nobody's"];
    let depots = [writer(&remote, 1), writer(&remote, 2), Depot::new(remote.clone())];
    let mut keys = Vec::new();
    for (name, depot) in names.into_iter().zip(&depots) {
        let one = block_on(outcome(&local, name, 1000, NOW));
        keys.push(one.key);
        block_on(publish(depot, &local, &[one], &[build(name)], NOW)).unwrap();
    }
    let reader = reader(&remote, 1);
    assert!(!reader.writes());
    for (name, key) in names.into_iter().zip(keys) {
        let is_ours = name == "ours";
        assert_eq!(block_on(reader.find(&key)).unwrap().is_some(), is_ours, "{name}");
        let index = block_on(reader.find_index(&build(name))).unwrap();
        assert_eq!(index.is_some(), is_ours, "{name}");
        if let Some(index) = index {
            block_on(fetch(&reader, &index)).unwrap();
        }
    }
}

#[test]
fn a_strangers_record_does_not_occupy_its_key() {
    let remote = Arc::new(MemoryStore::new());
    let local = MemoryStore::new();
    let one = [block_on(outcome(&local, "a", 1000, NOW))];
    for depot in [Depot::new(remote.clone()), writer(&remote, 2), writer(&remote, 1)] {
        block_on(publish(&depot, &local, &one, &[build("b")], NOW)).unwrap();
        assert!(block_on(depot.find(&one[0].key)).unwrap().is_some());
    }
    let reader = reader(&remote, 1);
    let index = block_on(reader.find_index(&build("b"))).unwrap().unwrap();
    block_on(fetch(&reader, &index)).unwrap();
}

#[test]
fn a_collection_removes_nothing_of_strangers() {
    let remote = Arc::new(MemoryStore::new());
    let local = MemoryStore::new();
    let one = [block_on(outcome(&local, "a", 1000, LONG_AGO))];
    block_on(publish(&writer(&remote, 2), &local, &one, &[build("b")], LONG_AGO)).unwrap();
    let all = CollectOptions { before: u64::MAX, orphans_before: u64::MAX, dry_run: false };
    let done = block_on(writer(&remote, 1).collect(all)).unwrap();
    assert_eq!((done.foreign, done.old_records, done.orphans), (4, 0, 0));
    let store: Arc<dyn Store> = writer(&remote, 2).store().clone();
    assert_eq!(block_on(nothing_leads_astray(store, "after a stranger's collection")), 2);
}
