//! No room: nothing is stored, nothing breaks.

use std::fs;

use cache_core::Digest;
use cache_storage::{RedbStore, Result, StoreError};
use futures::executor::block_on;

use crate::common::{Mounted, get_blob, noise, put_blob, put_unit};
use crate::{is_sound, open};

/// Everything that writes. Each succeeds, or fails as full. How many were full.
fn write_everything(store: &RedbStore, seed: u64) -> u32 {
    let mut full = 0;
    let mut done = |what: &str, result: Result<()>| match result {
        Ok(()) => {}
        Err(StoreError::Full(_)) => full += 1,
        Err(e) => panic!("{what}: {e:?}"),
    };
    done("blob", put_blob(store, &noise(60_000, seed)).map(drop));
    done("unit", put_unit(store, &format!("u{seed}"), &[noise(9_000, seed + 1)]).map(drop));
    done("same unit", put_unit(store, "u", &[noise(3_000, seed + 2)]).map(drop));
    store.touch(&crate::common::recipe("u").key());
    done("flush", store.flush());
    full
}

#[test]
fn a_disk_that_fills_up_at_any_page_breaks_nothing() {
    let (mut full, mut stored) = (0, 0);
    for kilobytes in (4..400).step_by(12) {
        let Some(mounted) = Mounted::tmpfs(&format!("size={kilobytes}k,nr_inodes=10k")) else {
            return;
        };
        let path = mounted.path().join("store.redb");
        let store = open(&path);
        let mut here = 0;
        for seed in [10, 20, 30] {
            here += write_everything(&store, seed);
        }
        full += here;
        drop(store);
        let store = open(&path);
        for seed in [10, 20, 30] {
            let blob = noise(60_000, seed);
            match get_blob(&store, &Digest::of(&blob)) {
                Ok(Some(found)) => {
                    assert_eq!(found, blob);
                    stored += 1;
                }
                Ok(None) => {}
                // Not even the beginnings of a file had room.
                Err(StoreError::Full(_)) => assert_eq!(here, 12, "with {kilobytes} KiB"),
                Err(e) => panic!("{kilobytes} KiB: {e:?}"),
            }
        }
        drop(store);
        // When there is room again, it goes on.
        assert!(mounted.remount("size=8m"));
        assert_eq!(write_everything(&open(&path), 40), 0);
        assert!(get_blob(&open(&path), &Digest::of(&noise(60_000, 40))).unwrap().is_some());
    }
    assert!(full > 20 && stored > 20, "{full} writes met a full disk; {stored} did not");
}

#[test]
fn a_full_store_is_read_and_goes_on_when_there_is_room() {
    let Some(mounted) = Mounted::tmpfs("size=600k,nr_inodes=10k") else { return };
    let path = mounted.path().join("store.redb");
    let store = open(&path);
    let bytes = noise(100_000, 1);
    let digest = put_blob(&store, &bytes).unwrap();
    let ballast = mounted.path().join("ballast");
    let mut size = 600_000;
    while fs::write(&ballast, noise(size, 2)).is_err() {
        size -= 4000;
    }
    assert!(matches!(put_blob(&store, &noise(200_000, 5)), Err(StoreError::Full(_))));
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), bytes);
    assert_eq!(get_blob(&open(&path), &digest).unwrap().unwrap(), bytes);
    let reading = block_on(cache_storage::Store::list_records(&store));
    assert!(reading.is_ok());
    drop(reading);
    fs::remove_file(&ballast).unwrap();
    put_blob(&store, &noise(200_000, 5)).unwrap();
    assert_eq!(get_blob(&open(&path), &digest).unwrap().unwrap(), bytes);
    is_sound(&store);
}
