//! What a bad network and a bad server do, in front of real ones.

use std::time::Duration;

use bytes::Bytes;
use cache_core::Digest;
use cache_storage::object::{ObjectStoreConfig, RequestLimits};
use cache_storage::{Store, StoreError};

use crate::proxy::{Fault, Rule};
use crate::servers::{Server, open};
use crate::tools::{Proxied, create, key, noise, read, write};

const ALL: [Server; 3] = [Server::S3, Server::Azure, Server::WebDav];

#[tokio::test]
async fn a_flipped_bit_is_found() {
    for server in ALL {
        let Some(there) = Proxied::new(server, "flip").await else { continue };
        for bytes in [noise("flip", 100_000), compressible()] {
            let digest = write(&there.direct, &bytes).await.unwrap();
            for at in [0, 9, 16, 300] {
                there.proxy.add(Rule::always(Fault::Flip(at)).on("GET").times(1));
                let error = refused(&there, &digest).await;
                assert!(
                    matches!(&error, StoreError::Corrupt { digest: of, .. } if *of == digest),
                    "{server:?}, byte {at}: {error}"
                );
            }
            // It counts as absent until it is written again.
            assert_eq!(there.store.contains_blobs(&[digest]).await.unwrap(), [false]);
            write(&there.store, &bytes).await.unwrap();
            assert_eq!(there.store.contains_blobs(&[digest]).await.unwrap(), [true]);
            assert_eq!(read(&there.store, &digest).await.unwrap(), bytes);
        }
    }
}

#[tokio::test]
async fn a_blob_is_never_short() {
    for server in ALL {
        let Some(there) = Proxied::new(server, "short").await else { continue };
        let bytes = noise("short", 200_000);
        let digest = write(&there.direct, &bytes).await.unwrap();
        for at in [0, 10, 16, 150_000] {
            there.proxy.add(Rule::always(Fault::Shorten(at)).on("GET").times(1));
            let error = refused(&there, &digest).await;
            assert!(matches!(error, StoreError::Corrupt { .. }), "{server:?}, {at}: {error:?}");
        }
        for at in [0, 10] {
            there.proxy.add(Rule::always(Fault::Truncate(at)).on("GET"));
            let error = refused(&there, &digest).await;
            assert!(matches!(error, StoreError::Unavailable(_)), "{server:?}, {at}: {error:?}");
        }
        // Here the rest is asked for, and comes.
        there.proxy.add(Rule::always(Fault::Truncate(150_000)).on("GET"));
        let whole = read(&there.store, &digest).await.unwrap();
        assert!(whole == bytes, "{server:?}: a broken transfer goes on where it stopped");
    }
}

/// Bytes that are compressed, and then still some.
fn compressible() -> Bytes {
    noise("compressible", 100_000).iter().flat_map(|byte| [*byte & 15; 4]).collect()
}

/// Why the blob cannot be read.
async fn refused(there: &Proxied, digest: &Digest) -> StoreError {
    let read = read(&there.store, digest).await;
    read.map(|bytes| bytes.len()).expect_err("a blob was read that must be refused")
}

#[tokio::test]
async fn a_failing_server_is_tried_again_and_given_up() {
    for server in ALL {
        let Some(there) = Proxied::new(server, "failing").await else { continue };
        let (proxy, store) = (&there.proxy, &there.store);
        let record = Bytes::from_static(b"a record");
        create(&there.direct, "failing", &record).await.unwrap();
        for fault in [Fault::Answer("503 Service Unavailable", ""), Fault::Reset] {
            proxy.add(Rule::always(fault.clone()).times(2));
            let found = store.get_record(&key("failing")).await.unwrap();
            assert_eq!(
                found.map(|found| found.bytes),
                Some(record.clone()),
                "{server:?} {fault:?}"
            );

            proxy.add(Rule::always(fault.clone()));
            let before = proxy.requests();
            let error = store.get_record(&key("failing")).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{server:?}: {error:?}");
            assert_eq!(proxy.requests() - before, 3, "{server:?}: the first try and two more");
            let error = write(store, &noise("failing", 100)).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{server:?}: {error:?}");
            let error = store.contains_blobs(&[key("any").0]).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{server:?}: {error:?}");
            let error = store.delete_record(&key("failing")).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{server:?}: {error:?}");
            proxy.add(Rule::always(Fault::None));
        }
    }
}

/// The store with limits so short that a fault shows soon. Where nothing may run into them, tests
/// use the direct store.
fn impatient(config: &ObjectStoreConfig) -> ObjectStoreConfig {
    let limits = RequestLimits { idle: Duration::from_millis(300), retries: 1, ..config.limits };
    ObjectStoreConfig { limits, ..config.clone() }
}

#[tokio::test]
async fn a_hanging_server_is_given_up() {
    for server in ALL {
        let Some(there) = Proxied::new(server, "hang").await else { continue };
        let bytes = noise("hang", 100_000);
        let digest = write(&there.direct, &bytes).await.unwrap();
        let store = open(&impatient(&there.config));
        there.proxy.add(Rule::always(Fault::Hang));
        let error = read(&store, &digest).await.map(|bytes| bytes.len()).unwrap_err();
        assert!(
            matches!(&error, StoreError::Unavailable(text) if text.contains("no answer within 300ms")),
            "{server:?}: {error:?}"
        );
        let error = write(&store, &noise("hang more", 100)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{server:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_stops_is_given_up() {
    for server in ALL {
        let Some(there) = Proxied::new(server, "stop").await else { continue };
        let bytes = noise("stop", 1_000_000);
        let digest = write(&there.direct, &bytes).await.unwrap();
        let store = open(&impatient(&there.config));
        // 16 bytes a second: the next piece would come long after the limit.
        there.proxy.add(Rule::always(Fault::Throttle(16)).on("GET"));
        let error = read(&store, &digest).await.map(|bytes| bytes.len()).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{server:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let Some(there) = Proxied::new(Server::S3, "slow").await else { return };
    there.proxy.add(Rule::always(Fault::Latency(Duration::from_millis(50))));
    let bytes = noise("slow", 1000);
    let digest = write(&there.store, &bytes).await.unwrap();
    assert_eq!(read(&there.store, &digest).await.unwrap(), bytes);
    assert_eq!(there.proxy.requests(), 2);
}

#[tokio::test]
async fn a_damaged_record_can_be_replaced() {
    for server in ALL {
        let Some(there) = Proxied::new(server, "damaged").await else { continue };
        let recipe = {
            let mut recipe = cache_core::Recipe::new();
            recipe.push("test", b"a damaged record".to_vec());
            recipe
        };
        let damaged = Bytes::from_static(b"\x89ldo, but nothing that follows is right");
        there
            .direct
            .put_record(&recipe.key(), damaged.clone(), cache_storage::Expected::Absent)
            .await
            .unwrap();
        let entry = cache_core::Entry {
            observation: cache_core::Observation::new(Vec::new()),
            outcome: cache_core::Outcome::default(),
            created: 7,
        };
        // A bit on the way makes no record that anyone would believe.
        there.proxy.add(Rule::always(Fault::Flip(6)).on("GET").times(1));
        let found = there.store.get_record(&recipe.key()).await.unwrap().unwrap();
        assert!(cache_core::Record::decode(&found.bytes).is_err());
        cache_storage::append_entry(&there.store, &recipe, entry).await.unwrap();
        let found = there.store.get_record(&recipe.key()).await.unwrap().unwrap();
        assert_eq!(cache_core::Record::decode(&found.bytes).unwrap().entries.len(), 1);
    }
}
