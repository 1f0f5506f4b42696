//! What a person sees of a store.

use bytes::Bytes;
use cache_storage::object::ObjectStoreConfig;

use crate::servers::{Server, config, open};
use crate::tools::create;

/// A store sees what lies beside its own things, and neither these nor what is elsewhere.
async fn sees_its_neighbours(config: ObjectStoreConfig) {
    let below =
        |name: &str| ObjectStoreConfig { url: format!("{}/{name}", config.url), ..config.clone() };
    let store = open(&below("mine"));
    assert_eq!(store.neighbours().await.unwrap(), [""; 0], "nothing is there yet");
    for (store, seed) in [(&store, "mine"), (&open(&below("mine/others")), "others")] {
        create(store, seed, &Bytes::from_static(b"x")).await.unwrap();
    }
    create(&open(&below("elsewhere")), "elsewhere", &Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.neighbours().await.unwrap(), ["others"]);
}

#[tokio::test]
async fn a_directory_has_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    sees_its_neighbours(config(&format!("file://{}", dir.path().display()), [].into())).await;
}

#[tokio::test]
async fn s3_has_neighbours() {
    let Some(address) = Server::S3.address() else { return };
    let config = Server::S3.config(&address, "neighbours");
    let store = open(&config);
    assert_eq!(store.credentials_from(), Some("option secret_access_key"));
    sees_its_neighbours(config).await;
}

#[tokio::test]
async fn azure_has_neighbours() {
    let Some(address) = Server::Azure.address() else { return };
    sees_its_neighbours(Server::Azure.config(&address, "neighbours")).await;
}

#[tokio::test]
async fn webdav_has_neighbours() {
    let Some(address) = Server::WebDav.address() else { return };
    let config = Server::WebDav.config(&address, "neighbours");
    assert_eq!(open(&config).credentials_from(), None, "anybody may use it");
    sees_its_neighbours(config).await;
}
