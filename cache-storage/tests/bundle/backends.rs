//! From one machine to another through stores in the cloud, in a directory and in memory.

use std::sync::Arc;

use cache_storage::bundle::{CollectOptions, Depot};
use cache_storage::layers::{Clock, StackOptions, SystemClock};
use cache_storage::{MemoryStore, Store};

use crate::servers::{Server, config, open};
use crate::tools::{NOW, build, fetch, nothing_leads_astray, outcome, publish};

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_a_depot() {
    is_a_depot(Arc::new(open(&config("memory:", [].into())))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_a_depot() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    is_a_depot(Arc::new(open(&config(&url, [].into())))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_a_depot() {
    server_is_a_depot(Server::S3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_is_a_depot() {
    server_is_a_depot(Server::Azure).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_is_a_depot() {
    server_is_a_depot(Server::WebDav).await;
}

async fn server_is_a_depot(server: Server) {
    let Some(address) = server.address() else { return };
    is_a_depot(Arc::new(open(&server.config(&address, "depot")))).await;
}

/// A build goes up behind all layers and comes down behind others; then all of it is removed.
async fn is_a_depot(backend: Arc<dyn Store>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let up = StackOptions::default().wrap(backend.clone(), &clock);
    let local = MemoryStore::new();
    let mut parcels = Vec::new();
    for (name, length) in [("a", 0), ("b", 5000), ("c", 20 << 20), ("d", 70_000), ("e", 1)] {
        parcels.push(outcome(&local, name, length, NOW).await);
    }
    let keys = [build("exact"), build("near")];
    let writer = Depot::new(up.store);
    let index = publish(&writer, &local, &parcels, &keys, NOW).await.unwrap();
    assert_eq!(index.places.packs().len(), 2, "what follows a large outcome is in another pack");
    // Once more, by somebody who does not know of it: the same packs.
    assert_eq!(publish(&writer, &local, &parcels, &keys, NOW).await.unwrap(), index);

    let down = StackOptions::default().wrap(backend.clone(), &clock);
    let reader = Depot::new(down.store);
    let found = reader.find_index(&keys[1]).await.unwrap().unwrap();
    assert_eq!(found, index);
    fetch(&reader, &found).await.unwrap();
    let asked: u64 = down.requests.snapshot().values().map(|figures| figures.calls).sum();
    assert_eq!(asked, 4, "the bundle, the index, and each pack");
    assert_eq!(nothing_leads_astray(backend.clone(), "published").await, 7);

    let all = CollectOptions { before: u64::MAX, orphans_before: u64::MAX, dry_run: true };
    let dry = reader.collect(all).await.unwrap();
    assert_eq!((dry.old_records, dry.orphans, dry.foreign), (7, 3, 0));
    let done = reader.collect(CollectOptions { dry_run: false, ..all }).await.unwrap();
    assert_eq!(done, dry);
    let packs: Vec<_> = index.places.packs().iter().map(|pack| pack.digest).collect();
    assert_eq!(backend.contains_blobs(&packs).await.unwrap(), [false, false]);
}
