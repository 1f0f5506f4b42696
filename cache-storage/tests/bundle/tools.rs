//! What the tests are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cache_core::{
    Content, Digest, Entry, Fact, Observation, Outcome, Output, Recipe, RecipeKey, Record, Role,
    Template,
};
use cache_storage::bundle::{Depot, Index, IndexUnit, Parcel, Places, Published};
use cache_storage::{MemoryStore, Result, Store, StoreError};
use futures::{StreamExt, TryStreamExt};

/// The time of those who publish, in seconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_000_000_000;
pub(crate) const DAY: u64 = 24 * 60 * 60;
/// When that was stored which is old.
pub(crate) const LONG_AGO: u64 = NOW - 90 * DAY;

/// Bytes that do not compress, different for each `seed`.
pub(crate) fn noise(seed: &str, length: usize) -> Bytes {
    let mut state =
        u64::from_le_bytes(Digest::of(seed.as_bytes()).as_bytes()[..8].try_into().unwrap());
    let mut bytes = BytesMut::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64 (G. Marsaglia, "Xorshift RNGs", 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.freeze()
}

pub(crate) async fn put_blob(store: &dyn Store, bytes: &Bytes) -> Digest {
    let digest = Digest::of(bytes);
    let pieces = futures::stream::iter([Ok(bytes.clone())]).boxed();
    store.write_blob(&digest, bytes.len() as u64, pieces).await.unwrap();
    digest
}

pub(crate) async fn get_blob(store: &dyn Store, digest: &Digest) -> Result<Bytes> {
    let pieces: Vec<Bytes> = store.read_blob(digest).await?.try_collect().await?;
    Ok(pieces.concat().into())
}

/// An outcome of one blob of that length, whose record is named by `key`.
pub(crate) fn parcel(key: &str, variant: &str, blob: (Digest, u64), created: u64) -> Parcel {
    let mut recipe = Recipe::new();
    recipe.push("name", key);
    let path = Template::Plain(variant.into());
    let (digest, size) = blob;
    let output = Output {
        role: Role::Other,
        path: path.clone(),
        content: Content::Blob { digest, size },
        mode: 0o644,
    };
    let facts = vec![Fact::File { path, digest: Digest::of(variant.as_bytes()) }];
    let outcome = Outcome { outputs: vec![output], ..Outcome::default() };
    let entry = Entry { observation: Observation::new(facts), outcome, created };
    Parcel { key: recipe.key(), record: Record { recipe, entries: vec![entry] } }
}

/// An outcome with a blob of that length in `local`.
pub(crate) async fn outcome(local: &dyn Store, key: &str, length: usize, created: u64) -> Parcel {
    let bytes = noise(key, length);
    let digest = put_blob(local, &bytes).await;
    parcel(key, key, (digest, length as u64), created)
}

/// The key of a build.
pub(crate) fn build(name: &str) -> RecipeKey {
    RecipeKey(Digest::of(name.as_bytes()))
}

pub(crate) fn wanted<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeMap<Digest, u64> {
    let entries = records.into_iter().flat_map(|record| &record.entries);
    entries.flat_map(|entry| entry.outcome.blobs()).collect()
}

/// Publishes outcomes and, when all are there, a build of them. What failed first.
pub(crate) async fn publish(
    depot: &Depot,
    local: &dyn Store,
    parcels: &[Parcel],
    keys: &[RecipeKey],
    created: u64,
) -> Result<Index> {
    let scratch = tempfile::tempdir().unwrap();
    let mut index = Index::default();
    let published = depot.publish(local, parcels, scratch.path(), created).await;
    assert!(std::fs::read_dir(scratch.path()).unwrap().next().is_none(), "a file is left");
    for (parcel, published) in parcels.iter().zip(published) {
        match published {
            Published::There(places) => add(&mut index, parcel, &places),
            Published::Failed(error) => return Err(error),
            Published::Gone => panic!("the local store has every blob"),
        }
    }
    depot.publish_index(keys, &index, created).await?;
    Ok(index)
}

pub(crate) fn add(index: &mut Index, parcel: &Parcel, places: &Places) {
    index.places.extend(places);
    index.units.push(IndexUnit { key: parcel.key, record: parcel.record.clone() });
}

/// Brings everything an index names to an empty store.
pub(crate) async fn fetch(depot: &Depot, index: &Index) -> Result<MemoryStore> {
    let there = MemoryStore::new();
    let wanted = wanted(index.units.iter().map(|unit| &unit.record));
    for pack in index.places.packs() {
        let (fetched, result) = depot.fetch(&pack, &wanted, &there).await;
        result?;
        assert_eq!(fetched.damaged, 0);
    }
    for (digest, size) in &wanted {
        assert_eq!(get_blob(&there, digest).await?.len() as u64, *size);
    }
    for unit in &index.units {
        depot.accept(&unit.record, &there).await?;
    }
    Ok(there)
}

/// No record leads to a pack that is not there. How many records lead somewhere.
pub(crate) async fn nothing_leads_astray(store: Arc<dyn Store>, when: &str) -> usize {
    let depot = Depot::new(store.clone());
    let keys: Vec<RecipeKey> = store.list_records().await.unwrap().try_collect().await.unwrap();
    let mut leading = 0;
    for key in keys {
        let located = depot.find(&key).await.unwrap().map(|located| located.places);
        let index = match depot.find_index(&key).await {
            Err(StoreError::BlobAbsent(_)) => panic!("{when}: a bundle leads to no index"),
            index => index.unwrap().map(|index| index.places),
        };
        for places in located.into_iter().chain(index) {
            leading += 1;
            let packs: Vec<Digest> = places.packs().iter().map(|pack| pack.digest).collect();
            let there = store.contains_blobs(&packs).await.unwrap();
            assert!(there.into_iter().all(|there| there), "{when}: {key} leads to no pack");
        }
    }
    leading
}
