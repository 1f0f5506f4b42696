//! Records of a depot: what decodes is canonical, and whatever else lies in a store harms nobody.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use cache_storage::bundle::{CollectOptions, Depot, Located};
use cache_storage::{Expected, MemoryStore, Store};
use futures::executor::block_on;

use super::head;

/// Checks the bytes as they are, with a right checksum, and as the body of each kind of record.
pub fn check(data: &[u8]) {
    check_one(data);
    if let Some(len) = data.len().checked_sub(Digest::LEN) {
        check_one(&sealed(data[..len].to_vec()));
    }
    for letter in [b'l', b'b', b'g'] {
        check_one(&sealed([&head(letter)[..], data].concat()));
    }
}

fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let sum = Digest::of(&body);
    body.extend(sum.as_bytes());
    body
}

fn check_one(bytes: &[u8]) {
    let key = match Located::decode(bytes) {
        Ok(located) => {
            assert_eq!(located.encode(), bytes, "one located record, one encoding");
            located.record.recipe.key()
        }
        Err(_) => RecipeKey(Digest::of(b"any")),
    };
    block_on(in_a_store(&key, bytes));
}

/// A store that holds these bytes can be asked, cleaned and written.
async fn in_a_store(key: &RecipeKey, bytes: &[u8]) {
    let store = Arc::new(MemoryStore::new());
    let bytes = Bytes::copy_from_slice(bytes);
    store.put_record(key, bytes.clone(), Expected::Absent).await.expect("nothing is there");
    let depot = Depot::new(store.clone());
    let found = depot.find(key).await.expect("damaged is absent");
    assert_eq!(found.is_some(), Located::decode(&bytes).is_ok());
    // A bundle among these names an index that is not there.
    assert!(!matches!(depot.find_index(key).await, Ok(Some(_))));
    let options = CollectOptions { before: 0, orphans_before: 0, dry_run: true };
    let seen = depot.collect(options).await.expect("a sound store");
    let count = seen.records + seen.packs + seen.orphans + seen.newer + seen.foreign;
    assert_eq!((count, seen.old_records), (1, 0));
    let index = Default::default();
    depot.publish_index(&[*key], &index, 1).await.expect("a sound store");
    assert_eq!(depot.find_index(key).await.expect("it was written"), Some(index));
}
