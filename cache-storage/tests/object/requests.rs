//! What an operation costs in requests, and what is on the server afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use bytes::Bytes;
use cache_core::Digest;
use cache_storage::object::ObjectStoreBackend;
use cache_storage::{Expected, Store, StoreError, append_entry};
use futures::{StreamExt, TryStreamExt};

use crate::proxy::Proxy;
use crate::servers::{Server, config, open};
use crate::tools::{Proxied, create, key, noise, read, write};

#[tokio::test]
async fn each_operation_is_one_request() {
    for server in [Server::S3, Server::Azure, Server::WebDav] {
        let Some(there) = Proxied::new(server, "requests").await else { continue };
        let (proxy, store) = (&there.proxy, &there.store);
        let bytes = noise("requests", 300_000);
        // A WebDAV server's directories are made once; a record there is compared before.
        write(store, &bytes).await.unwrap();
        let before = proxy.requests();
        let digest = write(store, &bytes).await.unwrap();
        assert_eq!(proxy.requests() - before, 1, "{server:?}: writing a blob");
        let before = proxy.requests();
        read(store, &digest).await.unwrap();
        assert_eq!(proxy.requests() - before, 1, "{server:?}: reading a blob");
        let before = proxy.requests();
        store.contains_blobs(&[digest, key("none").0, digest]).await.unwrap();
        assert_eq!(proxy.requests() - before, 3, "{server:?}: looking for three blobs");
        let before = proxy.requests();
        store.get_record(&key("none")).await.unwrap();
        assert_eq!(proxy.requests() - before, 1, "{server:?}: an absent record");
        assert_eq!(proxy.requests_of("PROPFIND"), 0);
    }
}

#[tokio::test]
async fn a_listing_comes_in_pages_as_it_is_read() {
    let Some(there) = Proxied::new(Server::S3, "pages").await else { return };
    let record = Bytes::from_static(b"x");
    let seeds: Vec<_> = (0..1100).map(|n| format!("page {n}")).collect();
    let creations = seeds.iter().map(|seed| create(&there.direct, seed, &record));
    futures::stream::iter(creations).buffered(16).try_collect::<Vec<_>>().await.unwrap();
    let mut listing = there.store.list_records().await.unwrap();
    listing.next().await.unwrap().unwrap();
    assert_eq!(there.proxy.requests(), 1, "the first page only");
    let rest = listing.try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(rest.len(), 1099);
    assert_eq!(there.proxy.requests(), 2);
}

#[tokio::test]
async fn an_upload_that_is_broken_off_is_taken_back() {
    for server in [Server::S3, Server::Azure, Server::WebDav] {
        let Some(there) = Proxied::new(server, "broken-off").await else { continue };
        let bytes = noise("broken off", 20 << 20);
        let digest = Digest::of(&bytes);
        let failure = Err(StoreError::Full("the stream's own".into()));
        let pieces = futures::stream::iter([Ok(bytes.clone()), failure]).boxed();
        let error = there.store.write_blob(&digest, 30 << 20, pieces).await.unwrap_err();
        assert!(matches!(error, StoreError::Full(_)), "{server:?}: {error:?}");
        assert!(there.proxy.up() > 4 << 20, "{server:?}: parts had been sent");
        if server == Server::S3 {
            // It goes on in the background; nobody waits for it but this test.
            let aborted = async {
                while there.proxy.requests_of("DELETE") == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), aborted).await.expect("an abort");
        }
        assert_eq!(there.direct.contains_blobs(&[digest]).await.unwrap(), [false], "{server:?}");
        write(&there.store, &bytes).await.unwrap();
        assert!(read(&there.direct, &digest).await.unwrap() == bytes, "{server:?}");
    }
}

#[tokio::test]
async fn writers_of_one_process_lose_nothing_where_the_server_does_not_compare() {
    let Some(address) = Server::WebDav.address() else { return };
    let store = open(&Server::WebDav.config(&address, "locked"));
    let mut recipe = cache_core::Recipe::new();
    recipe.push("test", b"writers at once".to_vec());
    let appends = (0..8_u8).map(|n| {
        let name = vec![b'a' + n];
        let fact = cache_core::Fact::Env { name, value: cache_core::EnvValue::Unset };
        let entry = cache_core::Entry {
            observation: cache_core::Observation::new(vec![fact]),
            outcome: cache_core::Outcome::default(),
            created: u64::from(n),
        };
        append_entry(&store, &recipe, entry)
    });
    futures::future::try_join_all(appends).await.unwrap();
    let record = store.get_record(&recipe.key()).await.unwrap().unwrap();
    assert_eq!(cache_core::Record::decode(&record.bytes).unwrap().entries.len(), 8);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used() {
    let Some(address) = Server::WebDav.address() else { return };
    let proxy = Proxy::start(&address).await;
    let mut config = Server::WebDav.config(&address, "proxied");
    let variable = format!("http://{}", proxy.address());
    config.environment.insert("http_proxy".into(), variable);
    assert_eq!(open(&config).get_record(&key("proxied")).await.unwrap(), None);
    assert_eq!(proxy.requests(), 1);
    config.environment.insert("NO_PROXY".into(), "127.0.0.1".into());
    assert_eq!(open(&config).get_record(&key("proxied")).await.unwrap(), None);
    assert_eq!(proxy.requests(), 1);
}

fn in_directory() -> (tempfile::TempDir, ObjectStoreBackend) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let store = open(&config(&url, BTreeMap::new()));
    (dir, store)
}

#[tokio::test]
async fn foreign_objects_are_left_alone() {
    let (dir, store) = in_directory();
    create(&store, "ours", &Bytes::from_static(b"ours")).await.unwrap();
    let hex = key("other").0.to_hex();
    let foreign = [
        "README".to_owned(),
        "v1/records/notes.txt".to_owned(),
        format!("v1/records/{hex}"),
        format!("v1/records/zz/{hex}"),
        format!("v2/records/{}/{hex}", &hex[..2]),
    ];
    for name in &foreign {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "not ours").unwrap();
    }
    let keys: Vec<_> = store.list_records().await.unwrap().try_collect().await.unwrap();
    assert_eq!(keys, [key("ours")]);
    store.delete_record(&key("other")).await.unwrap();
    for name in &foreign {
        assert!(dir.path().join(name).is_file(), "{name}");
    }
}

#[tokio::test]
async fn objects_lie_where_the_documentation_says() {
    let (dir, store) = in_directory();
    let bytes = Bytes::from("compresses well, ".repeat(10_000));
    let digest = write(&store, &bytes).await.unwrap();
    let hex = digest.to_hex();
    let object = fs::read(dir.path().join(format!("v1/blobs/{}/{hex}", &hex[..2]))).unwrap();
    assert_eq!(object[..8], *b"\x89ldo\x01\x01\0\0");
    assert_eq!(object[8..16], (bytes.len() as u64).to_le_bytes());
    assert!(object.len() < bytes.len() / 100);
    create(&store, "ours", &bytes).await.unwrap();
    let hex = key("ours").0.to_hex();
    let object = fs::read(dir.path().join(format!("v1/records/{}/{hex}", &hex[..2]))).unwrap();
    assert!(object.len() < bytes.len() / 100);
}

#[tokio::test]
async fn an_object_of_somebody_else_under_a_name_of_ours_is_damage() {
    let (dir, store) = in_directory();
    let bytes = noise("foreign", 1000);
    let digest = write(&store, &bytes).await.unwrap();
    let hex = digest.to_hex();
    let path = dir.path().join(format!("v1/blobs/{}/{hex}", &hex[..2]));
    for foreign in [&b""[..], b"short", b"\x7fELF and much more that is no object of ours"] {
        fs::write(&path, foreign).unwrap();
        let error = read(&store, &digest).await.map(|bytes| bytes.len()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    }
    write(&store, &bytes).await.unwrap();
    assert!(read(&store, &digest).await.unwrap() == bytes);
}

#[tokio::test]
async fn too_long_is_refused_without_reading() {
    let (_dir, store) = in_directory();
    let endless = futures::stream::repeat_with(|| panic!("nothing need be read")).boxed();
    let error = store.write_blob(&key("long").0, 17 << 30, endless).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    let record = Bytes::from(vec![0; (64 << 20) + 1]);
    let error = store.put_record(&key("long"), record, Expected::Absent).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
}
