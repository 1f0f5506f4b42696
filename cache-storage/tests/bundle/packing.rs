//! What goes into one pack.

use std::sync::Arc;

use bytes::Bytes;
use cache_storage::MemoryStore;
use cache_storage::bundle::{Depot, PACK_SIZE};
use futures::executor::block_on;

use crate::tools::{NOW, build, fetch, outcome, parcel, publish, put_blob};

#[test]
fn small_outcomes_do_not_come_at_the_price_of_a_large_one() {
    let local = MemoryStore::new();
    let depot = Depot::new(Arc::new(MemoryStore::new()));
    // Zeros: this is about what may be expected of a length, before anything was compressed.
    let length = usize::try_from(6 * PACK_SIZE + 3).unwrap();
    let large = block_on(put_blob(&local, &Bytes::from(vec![0; length])));
    let parcels = [
        block_on(outcome(&local, "before", 1000, NOW)),
        parcel("large", "large", (large, length as u64), NOW),
        block_on(outcome(&local, "after", 1000, NOW)),
    ];
    let index = block_on(publish(&depot, &local, &parcels, &[build("b")], NOW)).unwrap();
    let pack_of = |at: usize| {
        let (blob, _) = parcels[at].record.entries[0].outcome.blobs().next().unwrap();
        index.places.of(&blob).unwrap()
    };
    assert_ne!(pack_of(0), pack_of(1));
}

/// A reader refuses what looks like a bomb; an honest blob must never look like one.
#[test]
fn a_blob_of_nothing_but_zeros_comes_back() {
    let local = MemoryStore::new();
    let depot = Depot::new(Arc::new(MemoryStore::new()));
    let length = 20 << 20;
    let zeros = block_on(put_blob(&local, &Bytes::from(vec![0; length])));
    let parcels = [
        parcel("zeros", "zeros", (zeros, length as u64), NOW),
        block_on(outcome(&local, "other", 1000, NOW)),
    ];
    let index = block_on(publish(&depot, &local, &parcels, &[build("b")], NOW)).unwrap();
    assert!(index.places.packs()[0].size < 64 << 10, "it is compressed");
    block_on(fetch(&depot, &index)).unwrap();
}
