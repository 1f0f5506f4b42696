//! The store on an engine's cache.

use bytes::Bytes;
use cache_core::{
    Content, Digest, Entry, Observation, Outcome, Output, Recipe, Record, Role, Template,
};
use cache_dist::{ReapiConfig, ReapiStore};
use cache_storage::{Expected, Store, StoreError, append_entry, conformance};
use futures::{StreamExt, TryStreamExt};

use crate::server::{BUILDGRID, CASD, config, on_each_engine, unique_text};

on_each_engine!(
    the_store_keeps_the_contract,
    another_process_finds_records_and_their_blobs,
    what_one_process_deletes_is_absent_in_another,
);

async fn the_store_keeps_the_contract(mut config: ReapiConfig) {
    conformance::all(&open(&config)).await;
    config.read_only = true;
    conformance::all(&open(&config)).await;
}

#[test]
fn the_store_works_outside_of_its_runtime() {
    for engine in [CASD, BUILDGRID] {
        let Some(config) = config(engine) else { continue };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = runtime.block_on(async { open(&config) });
        futures::executor::block_on(conformance::all(&store));
    }
}

fn open(config: &ReapiConfig) -> ReapiStore {
    ReapiStore::open(config).unwrap()
}

/// Bytes that no other test and no earlier run has.
fn unique(length: usize) -> Bytes {
    let seed = unique_text();
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn write(store: &dyn Store, bytes: &Bytes) -> Digest {
    let digest = Digest::of(bytes);
    let stream = futures::stream::iter([Ok(bytes.clone())]).boxed();
    store.write_blob(&digest, bytes.len() as u64, stream).await.unwrap();
    digest
}

async fn read(store: &dyn Store, digest: &Digest) -> Result<Vec<u8>, StoreError> {
    let pieces: Vec<Bytes> = store.read_blob(digest).await?.try_collect().await?;
    Ok(pieces.concat())
}

async fn another_process_finds_records_and_their_blobs(config: ReapiConfig) {
    let writer = open(&config);
    let (small, large) = (unique(1000), unique(9_000_001));
    let outputs = [&small, &large].map(|bytes| Output {
        role: Role::Other,
        path: Template::Plain(b"out".to_vec()),
        content: Content::Blob { digest: Digest::of(bytes), size: bytes.len() as u64 },
        mode: 0o644,
    });
    write(&writer, &small).await;
    write(&writer, &large).await;
    let mut recipe = Recipe::new();
    recipe.push("test", unique(32).to_vec());
    let entry = Entry {
        observation: Observation::new(Vec::new()),
        outcome: Outcome { outputs: outputs.to_vec(), ..Outcome::default() },
        created: 1,
    };
    append_entry(&writer, &recipe, entry.clone()).await.unwrap();
    // A new store knows nothing but what it is told.
    let reader = open(&config);
    let stored = reader.get_record(&recipe.key()).await.unwrap().expect("the record");
    let record = Record::decode(&stored.bytes).unwrap();
    assert_eq!(record.entries, [entry]);
    assert!(read(&reader, &Digest::of(&small)).await.unwrap() == small);
    assert!(read(&reader, &Digest::of(&large)).await.unwrap() == large);
    // And one that has not even read the record.
    let stranger = open(&config);
    assert!(read(&stranger, &Digest::of(&large)).await.unwrap() == large);
    assert_eq!(open(&config).contains_blobs(&[Digest::of(&small)]).await.unwrap(), [true]);
}

async fn what_one_process_deletes_is_absent_in_another(config: ReapiConfig) {
    let store = open(&config);
    let digest = write(&store, &unique(100)).await;
    let key = cache_core::RecipeKey(digest);
    store.put_record(&key, unique(50), Expected::Absent).await.unwrap();
    store.delete_blob(&digest).await.unwrap();
    store.delete_record(&key).await.unwrap();
    let other = open(&config);
    assert_eq!(other.get_record(&key).await.unwrap(), None);
    assert_eq!(other.contains_blobs(&[digest]).await.unwrap(), [false]);
    assert!(matches!(read(&other, &digest).await, Err(StoreError::BlobAbsent(_))));
}
