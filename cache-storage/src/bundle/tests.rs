//! A depot between two machines' stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::{
    Content, Digest, Entry, Fact, Observation, Outcome, Output, Recipe, RecipeKey, Record, Role,
    Template,
};
use futures::executor::block_on;

use super::*;
use crate::layers::{Clock, Metered, SystemClock};
use crate::testing::{Fault, FaultyStore};
use crate::{MemoryStore, Operation, Store, StoreError};

fn blob(store: &dyn Store, bytes: &[u8]) -> (Digest, u64) {
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    let piece = futures::stream::iter([Ok(Bytes::copy_from_slice(bytes))]);
    block_on(store.write_blob(&digest, size, Box::pin(piece))).unwrap();
    (digest, size)
}

/// Text that compresses to about a third.
fn text(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length).map(|_| b'a' + u8::try_from(next() % 7).unwrap()).collect()
}

fn parcel(store: &dyn Store, name: &str, blobs: &[Vec<u8>], created: u64) -> Parcel {
    let mut recipe = Recipe::new();
    recipe.push("name", name);
    let outputs = blobs.iter().enumerate().map(|(at, bytes)| {
        let (digest, size) = blob(store, bytes);
        Output {
            role: Role::Other,
            path: Template::Plain(format!("{name}-{at}").into_bytes()),
            content: Content::Blob { digest, size },
            mode: 0o644,
        }
    });
    let outcome = Outcome { outputs: outputs.collect(), ..Outcome::default() };
    let path = Template::Plain(format!("{name}-{}", blobs.len()).into_bytes());
    let facts = vec![Fact::File { path, digest: Digest::of(name.as_bytes()) }];
    let entry = Entry { observation: Observation::new(facts), outcome, created };
    Parcel { key: recipe.key(), record: Record { recipe, entries: vec![entry] } }
}

fn wanted(record: &Record) -> BTreeMap<Digest, u64> {
    record.entries.iter().flat_map(|entry| entry.outcome.blobs()).collect()
}

struct Fixture {
    remote: Arc<MemoryStore>,
    requests: Arc<Metered>,
    depot: Depot,
    here: MemoryStore,
    scratch: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let remote = Arc::new(MemoryStore::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let requests = Arc::new(Metered::new(remote.clone(), clock));
        let depot = Depot::new(requests.clone());
        let scratch = tempfile::tempdir().unwrap();
        Self { remote, requests, depot, here: MemoryStore::new(), scratch }
    }

    fn publish(&self, parcels: &[Parcel]) -> Vec<Places> {
        let done = block_on(self.depot.publish(&self.here, parcels, self.scratch.path(), 100));
        done.into_iter()
            .map(|published| match published {
                Published::There(places) => places,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn asked(&self) -> u64 {
        self.requests.snapshot().values().map(|figures| figures.calls).sum()
    }
}

#[test]
fn a_published_outcome_comes_back_with_two_requests() {
    let all = Fixture::new();
    let parcel = parcel(&all.here, "a", &[text(1, 5000), text(2, 70_000)], 7);
    all.publish(std::slice::from_ref(&parcel));
    let before = all.asked();
    let there = MemoryStore::new();
    let located = block_on(all.depot.find(&parcel.key)).unwrap().unwrap();
    assert_eq!(located.record, parcel.record);
    let packs = located.places.packs();
    assert_eq!(packs.len(), 1);
    assert!(packs[0].size < 50_000, "it was compressed");
    let (fetched, result) = block_on(all.depot.fetch(&packs[0], &wanted(&parcel.record), &there));
    result.unwrap();
    assert_eq!((fetched.brought.len(), fetched.damaged), (2, 0));
    block_on(all.depot.accept(&located.record, &there)).unwrap();
    let stored = block_on(there.get_record(&parcel.key)).unwrap().unwrap();
    assert_eq!(Record::decode(&stored.bytes).unwrap(), parcel.record);
    assert_eq!(all.asked() - before, 2);
    assert!(std::fs::read_dir(all.scratch.path()).unwrap().next().is_none(), "nothing is left");
}

#[test]
fn a_whole_build_is_a_handful_of_requests() {
    let all = Fixture::new();
    let parcels: Vec<Parcel> = (0..130)
        .map(|n| {
            parcel(&all.here, &format!("crate{n}"), &[text(n, 400_000), text(n + 500, 60_000)], 1)
        })
        .collect();
    let mut index = Index::default();
    for (parcel, places) in parcels.iter().zip(all.publish(&parcels)) {
        index.places.extend(&places);
        index.units.push(IndexUnit { key: parcel.key, record: parcel.record.clone() });
    }
    index.snapshot = Snapshot { record: "r".into(), blob: text(9, 300_000).into() };
    let keys = ["exact", "near"].map(|name| RecipeKey(Digest::of(name.as_bytes())));
    block_on(all.depot.publish_index(&keys, &index, 1)).unwrap();

    let before = all.asked();
    let there = MemoryStore::new();
    for key in keys {
        let at = block_on(all.depot.find_build(&key)).unwrap().unwrap();
        assert_eq!(block_on(all.depot.read_index(&at)).unwrap().as_ref(), Some(&index));
    }
    let wanted: BTreeMap<_, _> = index.units.iter().flat_map(|unit| wanted(&unit.record)).collect();
    let mut brought = 0;
    for pack in index.places.packs() {
        let (fetched, result) = block_on(all.depot.fetch(&pack, &wanted, &there));
        result.unwrap();
        brought += fetched.brought.len();
    }
    assert_eq!(brought, 260);
    let asked = all.asked() - before - 2; // the second key was for this test alone
    assert!(asked <= 13, "{asked} requests");
}

#[test]
fn a_blob_of_two_outcomes_is_stored_once_and_a_missing_one_is_said() {
    let all = Fixture::new();
    let shared = text(3, 9000);
    let first = parcel(&all.here, "a", std::slice::from_ref(&shared), 1);
    let second = parcel(&all.here, "b", &[shared.clone(), text(4, 100)], 1);
    let places = all.publish(&[first, second]);
    assert_eq!(places[0].packs(), places[1].packs());
    assert!(places[0].packs()[0].size < 5000);

    let gone = parcel(&all.here, "c", &[text(5, 100)], 1);
    block_on(all.here.delete_blob(&Digest::of(&text(5, 100)))).unwrap();
    let good = parcel(&all.here, "d", &[text(6, 100)], 1);
    let done = block_on(all.depot.publish(&all.here, &[gone, good], all.scratch.path(), 1));
    assert!(matches!(done[0], Published::Gone));
    assert!(matches!(done[1], Published::There(_)));
}

#[test]
fn a_library_costs_little_beside_its_metadata() {
    let all = Fixture::new();
    let metadata = text(8, 1 << 20);
    let library = [text(9, 100_000), metadata.clone()].concat();
    let alone = parcel(&all.here, "alone", std::slice::from_ref(&metadata), 1);
    let both = parcel(&all.here, "both", &[metadata[1..].to_vec(), library], 1);
    let size = |parcel: &Parcel| all.publish(std::slice::from_ref(parcel))[0].packs()[0].size;
    let (alone, both) = (size(&alone), size(&both));
    assert!(both < alone + 60_000, "{both} beside {alone}");
}

#[test]
fn entries_of_one_key_are_merged() {
    let all = Fixture::new();
    let old = parcel(&all.here, "a", &[text(1, 100)], 1);
    let new = parcel(&all.here, "a", &[text(1, 100), text(2, 100)], 2);
    assert_eq!(old.key, new.key);
    all.publish(std::slice::from_ref(&old));
    all.publish(std::slice::from_ref(&new));
    let located = block_on(all.depot.find(&old.key)).unwrap().unwrap();
    assert_eq!(
        located.record.entries,
        [new.record.entries[0].clone(), old.record.entries[0].clone()]
    );
    assert_eq!(located.places.iter().count(), 2);
}

#[test]
fn what_cannot_be_uploaded_may_be_tried_again() {
    let all = Fixture::new();
    let faulty = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()), |_| None));
    faulty.always(Some(Fault::Error(StoreError::Unavailable("gone".into()))));
    let depot = Depot::new(faulty.clone());
    let parcels = [parcel(&all.here, "a", &[text(1, 100)], 1)];
    let done = block_on(depot.publish(&all.here, &parcels, all.scratch.path(), 1));
    assert!(matches!(&done[0], Published::Failed(StoreError::Unavailable(_))), "{done:?}");
    assert!(block_on(depot.find(&parcels[0].key)).is_err());
    faulty.always(None);
    let done = block_on(depot.publish(&all.here, &parcels, all.scratch.path(), 1));
    assert!(matches!(done[0], Published::There(_)));
}

/// A pack of two members, and its bytes.
fn packed() -> (Record, Vec<u8>) {
    let all = Fixture::new();
    let parcel = parcel(&all.here, "a", &[text(1, 3000), text(2, 200_000)], 1);
    let places = all.publish(std::slice::from_ref(&parcel));
    let pack = places[0].packs()[0];
    let pieces = block_on(all.remote.read_blob(&pack.digest)).unwrap();
    let pieces: Vec<Bytes> = block_on(futures::TryStreamExt::try_collect(pieces)).unwrap();
    (parcel.record, pieces.concat())
}

/// A store that hands out these bytes for whatever blob.
fn fetch_bytes(record: &Record, bytes: &[u8]) -> (MemoryStore, Fetched, bool) {
    let there = MemoryStore::new();
    let remote = MemoryStore::new();
    let (digest, size) = blob(&remote, bytes);
    let depot = Depot::new(Arc::new(remote));
    let (fetched, result) = block_on(depot.fetch(&Pack { digest, size }, &wanted(record), &there));
    (there, fetched, result.is_ok())
}

#[test]
fn damage_anywhere_in_a_pack_never_becomes_a_blob() {
    let (record, bytes) = packed();
    let (there, fetched, good) = fetch_bytes(&record, &bytes);
    assert!(good && fetched.brought.len() == 2);
    let wanted: Vec<Digest> = wanted(&record).into_keys().collect();
    assert_eq!(block_on(there.contains_blobs(&wanted)).unwrap(), [true, true]);
    for at in (0..bytes.len()).step_by(97).chain(0..70) {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x20;
        let (there, fetched, _) = fetch_bytes(&record, &wrong);
        // What is there has the bytes of its name: a memory store checks what it is given.
        let count =
            block_on(there.contains_blobs(&wanted)).unwrap().iter().filter(|is| **is).count();
        assert_eq!(fetched.brought.len(), count);
        let (_, fetched, good) = fetch_bytes(&record, &bytes[..at]);
        assert!(!good || fetched.brought.len() < 2, "cut at {at}");
    }
}

#[test]
fn a_bomb_is_inflated_no_further_than_it_says() {
    let zeros = vec![0; 64 << 20];
    let frame = zstd::bulk::compress(&zeros, 3).unwrap();
    let record = {
        let store = MemoryStore::new();
        parcel(&store, "a", &[vec![0; 1000]], 1).record
    };
    let (digest, size) = record.entries[0].outcome.blobs().next().unwrap();
    let mut bytes = codec::head(pack_reader::LETTER).to_vec();
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&(frame.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&frame);
    let (there, fetched, _) = fetch_bytes(&record, &bytes);
    // The first thousand bytes are right, and no more of them are made.
    assert_eq!(fetched.brought, [digest]);
    assert!(block_on(there.contains_blobs(&[digest])).unwrap()[0]);
}

#[test]
fn small_formats_refuse_each_changed_byte_and_each_cut() {
    let all = Fixture::new();
    let parcel = parcel(&all.here, "a", &[text(1, 100)], 1);
    let places = all.publish(std::slice::from_ref(&parcel)).remove(0);
    let located = Located { record: parcel.record.clone(), places: places.clone() };
    let pack = places.packs()[0];
    let bundle =
        bundle_record::BundleRecord { created: 1, index: pack.digest, size: 5, packs: vec![pack] };
    let registration = registration::Registration { created: 1, pack };
    let refuses = |bytes: &Bytes, decodes: &dyn Fn(&[u8]) -> bool| {
        assert!(decodes(bytes));
        for at in 0..bytes.len() {
            let mut wrong = bytes.to_vec();
            wrong[at] ^= 1;
            assert!(!decodes(&wrong), "byte {at}");
            assert!(!decodes(&bytes[..at]), "cut at {at}");
        }
    };
    refuses(&located.encode(), &|bytes| Located::decode(bytes).is_ok());
    refuses(&bundle.encode(), &|bytes| bundle_record::BundleRecord::decode(bytes).is_ok());
    refuses(&registration.encode(), &|bytes| registration::Registration::decode(bytes).is_ok());
    let mut newer = located.encode().to_vec();
    newer[4] = 2;
    assert_eq!(Located::decode(&newer), Err(Damage::Version(2)));
}

#[test]
fn an_index_claims_no_more_than_it_has() {
    let index = Index::default().encode().unwrap();
    assert_eq!(Index::decode(&index), Ok(Index::default()));
    for length in [0_u64, 1, 1 << 20, u64::MAX] {
        let mut wrong = index.to_vec();
        wrong[8..16].copy_from_slice(&length.to_le_bytes());
        assert!(Index::decode(&wrong).is_err(), "{length}");
    }
}

#[test]
fn what_is_old_goes_with_its_packs_and_what_is_shared_stays() {
    let all = Fixture::new();
    let shared = text(1, 1000);
    let old = parcel(&all.here, "old", &[shared.clone(), text(2, 2000)], 10);
    let lonely = parcel(&all.here, "lonely", &[text(3, 3000)], 10);
    let new = parcel(&all.here, "new", &[shared], 90);
    all.publish(&[old.clone(), new.clone()]);
    all.publish(std::slice::from_ref(&lonely));
    let options = CollectOptions { before: 50, orphans_before: 200, dry_run: true };
    let dry = block_on(all.depot.collect(options)).unwrap();
    assert_eq!((dry.old_records, dry.records, dry.orphans), (2, 1, 1));
    assert!(block_on(all.depot.find(&old.key)).unwrap().is_some(), "it was only counted");
    let done = block_on(all.depot.collect(CollectOptions { dry_run: false, ..options })).unwrap();
    assert_eq!(dry, done);
    assert!(block_on(all.depot.find(&old.key)).unwrap().is_none());
    let left = block_on(all.depot.find(&new.key)).unwrap().unwrap();
    let (_, result) =
        block_on(all.depot.fetch(&left.places.packs()[0], &wanted(&new.record), &all.here));
    result.unwrap();
    // A pack that is younger than the limit stays: its records may be on their way.
    all.publish(std::slice::from_ref(&lonely));
    let young = CollectOptions { before: 50, orphans_before: 100, dry_run: false };
    assert_eq!(block_on(all.depot.collect(young)).unwrap().orphans, 0);
    let again = block_on(all.depot.collect(CollectOptions { dry_run: false, ..options })).unwrap();
    assert_eq!((again.records, again.orphans), (1, 1));
}

#[test]
fn strangers_records_are_left_alone() {
    let all = Fixture::new();
    let key = RecipeKey(Digest::of(b"stranger"));
    block_on(all.remote.put_record(&key, "theirs".into(), crate::Expected::Absent)).unwrap();
    let options = CollectOptions { before: u64::MAX, orphans_before: u64::MAX, dry_run: false };
    let done = block_on(all.depot.collect(options)).unwrap();
    assert_eq!((done.foreign, done.old_records), (1, 0));
    assert!(block_on(all.remote.get_record(&key)).unwrap().is_some());
    assert!(all.requests.snapshot().contains_key(&Operation::ListRecords));
}
