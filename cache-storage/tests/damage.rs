//! Damaged, foreign and missing files: never wrong bytes, never a store that fails for good.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bytes::Bytes;
use cache_core::{Digest, Record};
use cache_storage::{
    DiskStore, Expected, Placed, Placement, Store, StoreError, append_entry, conformance,
};
use common::{
    blob_path, entry, files, get_blob, noise, open, put_blob, put_unit, record_path, restore,
    tamper, tree,
};
use futures::executor::block_on;

const BOTH: [Placement; 2] = [Placement::Private, Placement::MayLink];

fn quarantined(store: &DiskStore) -> u64 {
    store.usage().unwrap().quarantined
}

/// Placing fails with `Corrupt` once, then the blob is absent, and storing it again heals.
fn is_found_and_healed(store: &DiskStore, bytes: &[u8], placement: Placement) {
    let digest = Digest::of(bytes);
    let out = tempfile::tempdir().unwrap();
    let dest = out.path().join("out");
    let before = quarantined(store);
    let placed = files(store).place(&digest, &dest, 0o644, placement);
    assert!(matches!(placed, Err(StoreError::Corrupt { .. })), "{placed:?}");
    assert_eq!(tree(out.path()).len(), 0, "nothing of it appears");
    assert_eq!(quarantined(store), before + 1, "set aside, not deleted");
    let placed = files(store).place(&digest, &dest, 0o644, placement);
    assert!(matches!(placed, Err(StoreError::BlobAbsent(_))), "{placed:?}");
    put_blob(store, bytes).unwrap();
    files(store).place(&digest, &dest, 0o644, placement).unwrap();
    assert_eq!(fs::read(dest).unwrap(), bytes);
}

#[test]
fn flipped_bytes_are_found_and_healed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (n, placement) in BOTH.into_iter().enumerate() {
        let bytes = noise(100_000, n as u64);
        let digest = put_blob(&store, &bytes).unwrap();
        tamper(&blob_path(dir.path(), &digest), |bytes| bytes[77_777] ^= 1);
        is_found_and_healed(&store, &bytes, placement);
    }
}

#[test]
fn truncated_blobs_are_found_and_healed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (n, placement) in BOTH.into_iter().enumerate() {
        for keep in [0, 50_000] {
            let bytes = noise(100_000, n as u64 + keep);
            let digest = put_blob(&store, &bytes).unwrap();
            tamper(&blob_path(dir.path(), &digest), |bytes| {
                bytes.truncate(usize::try_from(keep).unwrap());
            });
            is_found_and_healed(&store, &bytes, placement);
        }
    }
}

#[test]
fn a_stream_of_a_damaged_blob_ends_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let digest = put_blob(&store, &noise(1_000_000, 1)).unwrap();
    tamper(&blob_path(dir.path(), &digest), |bytes| bytes[999_999] ^= 1);
    assert!(matches!(get_blob(&store, &digest), Err(StoreError::Corrupt { .. })));
    assert_eq!(get_blob(&store, &digest).unwrap(), None);
}

#[test]
fn a_truncated_blob_is_replaced_when_stored_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = noise(10_000, 1);
    let digest = put_blob(&store, &bytes).unwrap();
    tamper(&blob_path(dir.path(), &digest), |bytes| bytes.truncate(5));
    put_blob(&store, &bytes).unwrap();
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), bytes);
    tamper(&blob_path(dir.path(), &digest), |bytes| bytes.truncate(5));
    let from = dir.path().join("from");
    fs::write(&from, &bytes).unwrap();
    files(&store).adopt(&digest, 10_000, &from, Placement::MayLink).unwrap();
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), bytes);
    assert_eq!(quarantined(&store), 2);
}

#[test]
fn editing_through_a_hard_link_is_detected() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    for placement in BOTH {
        let bytes = noise(100_000, placement as u64);
        let digest = put_blob(&store, &bytes).unwrap();
        let dest = dir.path().join("linked");
        let placed = files(&store).place(&digest, &dest, 0o644, Placement::MayLink).unwrap();
        assert_eq!(placed, Placed::Linked);
        assert_eq!(fs::metadata(&dest).unwrap().mode() & 0o777, 0o444);
        // Somebody insists.
        fs::set_permissions(&dest, fs::Permissions::from_mode(0o644)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let mut file = OpenOptions::new().write(true).open(&dest).unwrap();
        file.write_all(b"edited").unwrap();
        drop(file);
        assert_ne!(
            files(&store).digest_file(&dest).unwrap(),
            digest,
            "the edited file has another digest"
        );
        is_found_and_healed(&store, &bytes, placement);
    }
}

#[test]
fn one_damaged_blob_ends_the_trust_in_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let bytes = [noise(10_000, 1), noise(10_000, 2)];
    let digests = bytes.each_ref().map(|bytes| put_blob(&store, bytes).unwrap());
    let place = |n: usize| {
        files(&store).place(&digests[n], &dir.path().join("out"), 0o644, Placement::MayLink)
    };
    // As a power cut may leave it: other bytes, the stamp as it was.
    for digest in &digests {
        let path = blob_path(store.root(), digest);
        let mtime = fs::metadata(&path).unwrap().modified().unwrap();
        tamper(&path, |bytes| bytes.fill(0));
        let file = fs::File::open(&path).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(mtime)).unwrap();
    }
    assert_eq!(place(1).unwrap(), Placed::Linked, "the memo vouches for an unchanged stamp");
    assert!(matches!(get_blob(&store, &digests[0]), Err(StoreError::Corrupt { .. })));
    assert!(matches!(place(1), Err(StoreError::Corrupt { .. })), "the memo vouches no more");
}

#[test]
fn a_corrupt_record_is_only_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let recipe = common::recipe("u");
    let key = put_unit(&store, "u", &[noise(100, 1)]).unwrap();
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.clear(),
        |bytes| bytes.truncate(10),
        |bytes| bytes[20] ^= 1,
        |bytes| *bytes = noise(200_000, 9),
    ];
    for damage in damages {
        tamper(&record_path(dir.path(), &key), damage);
        let stored = block_on(store.get_record(&key)).unwrap().unwrap();
        assert!(Record::decode(&stored.bytes).is_err());
        assert!(files(&store).pin(&key).unwrap().is_some());
        store.gc(u64::MAX).unwrap();
        assert_eq!(store.verify(false, &mut |_| {}).unwrap().bad_records, [key]);
        block_on(append_entry(&store, &recipe, entry(1, &[]))).unwrap();
        let stored = block_on(store.get_record(&key)).unwrap().unwrap();
        assert_eq!(Record::decode(&stored.bytes).unwrap().entries.len(), 1);
    }
}

#[test]
fn directories_where_files_should_be_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = noise(1000, 1);
    let digest = Digest::of(&bytes);
    let key = common::recipe("u").key();
    for path in [
        blob_path(dir.path(), &digest),
        record_path(dir.path(), &key),
        dir.path().join("memo-v1"),
        dir.path().join("usage-v1"),
    ] {
        fs::create_dir_all(path.join("deep")).unwrap();
        fs::write(path.join("deep/file"), "x").unwrap();
    }
    assert!(block_on(store.get_record(&key)).unwrap().is_none());
    assert!(get_blob(&store, &digest).unwrap().is_none());
    put_unit(&store, "u", &[bytes]).unwrap();
    let out = tempfile::tempdir().unwrap();
    assert_eq!(restore(&store, &key, out.path(), Placement::MayLink).unwrap(), Some(1));
    assert!(dir.path().join("memo-v1").is_file());
    assert!(dir.path().join("usage-v1").is_file());
    assert!(store.verify(false, &mut |_| {}).unwrap().is_clean());
    block_on(conformance::all(&store));
}

#[test]
fn files_where_directories_should_be_are_set_aside() {
    for garbage in ["blobs-v1", "records-v1", "locks-v1", "tmp-v1", "quarantine-v1", "retired-v1"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(garbage), "garbage").unwrap();
        let store = open(dir.path());
        assert!(block_on(store.get_record(&common::recipe("u").key())).unwrap().is_none());
        block_on(conformance::all(&store));
        store.gc(0).unwrap();
    }
    // Shards too.
    let dir = tempfile::tempdir().unwrap();
    let bytes = noise(1000, 1);
    let digest = Digest::of(&bytes);
    let shard = blob_path(dir.path(), &digest);
    fs::create_dir_all(shard.parent().unwrap().parent().unwrap()).unwrap();
    fs::write(shard.parent().unwrap(), "garbage").unwrap();
    let store = open(dir.path());
    assert_eq!(store.verify(false, &mut |_| {}).unwrap().foreign.len(), 1);
    put_blob(&store, &bytes).unwrap();
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), bytes);
}

#[test]
fn a_half_deleted_store_goes_on() {
    let parts =
        ["blobs-v1", "records-v1", "memo-v1", "usage-v1", "locks-v1", "tmp-v1", "CACHEDIR.TAG"];
    for part in parts {
        let dir = tempfile::tempdir().unwrap();
        let (held, out) = (open(dir.path()), tempfile::tempdir().unwrap());
        let key = put_unit(&held, "u", &[noise(5000, 1)]).unwrap();
        let path = dir.path().join(part);
        fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)).unwrap();
        for store in [&held, &open(dir.path())] {
            match restore(store, &key, out.path(), Placement::MayLink) {
                Ok(Some(1) | None) | Err(StoreError::BlobAbsent(_)) => {}
                other => panic!("without {part}: {other:?}"),
            }
            put_unit(store, "u", &[noise(5000, 1)]).unwrap();
            assert_eq!(restore(store, &key, out.path(), Placement::Private).unwrap(), Some(1));
            store.gc(u64::MAX).unwrap();
            block_on(conformance::all(store));
        }
    }
}

#[test]
fn a_store_deleted_under_a_running_process_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = open(&root);
    put_unit(&store, "u", &[noise(5000, 1)]).unwrap();
    fs::remove_dir_all(&root).unwrap();
    assert!(block_on(store.get_record(&common::recipe("u").key())).unwrap().is_none());
    assert!(files(&store).pin(&common::recipe("u").key()).unwrap().is_none());
    block_on(conformance::all(&store));
}

#[test]
fn a_garbage_memo_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "content").unwrap();
    let store = open(dir.path().join("store"));
    put_blob(&store, b"x").unwrap();
    files(&store).remember(&file, &Digest::of(b"a lie, to see that it is kept"));
    assert_eq!(
        files(&store).digest_file(&file).unwrap(),
        Digest::of(b"a lie, to see that it is kept")
    );
    // Every byte of a slot, one at a time.
    let memo = store.root().join("memo-v1");
    let good = fs::read(&memo).unwrap();
    for at in 0..64 {
        tamper(&memo, |bytes| {
            for slot in bytes.chunks_mut(64).filter(|slot| slot.iter().any(|byte| *byte != 0)) {
                slot[at] ^= 0x40;
            }
        });
        assert_eq!(files(&store).digest_file(&file).unwrap(), Digest::of(b"content"), "byte {at}");
        fs::write(&memo, &good).unwrap();
    }
    fs::write(&memo, noise(8 << 20, 1)).unwrap();
    assert_eq!(files(&store).digest_file(&file).unwrap(), Digest::of(b"content"));
}

#[test]
fn verify_finds_and_repairs_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..20 {
        put_unit(&store, &format!("u{n}"), &[noise(1000, n)]).unwrap();
    }
    assert!(store.verify(false, &mut |_| {}).unwrap().is_clean());

    let flipped = Digest::of(&noise(1000, 3));
    tamper(&blob_path(dir.path(), &flipped), |bytes| bytes[0] ^= 1);
    block_on(store.delete_blob(&Digest::of(&noise(1000, 4)))).unwrap();
    let bad = common::recipe("u5").key();
    tamper(&record_path(dir.path(), &bad), |bytes| bytes.truncate(3));
    fs::write(dir.path().join("records-v1/00-stray"), "x").unwrap();
    // A record with one entry that is whole and one that is not.
    let recipe = common::recipe("u6");
    let gone = (Digest::of(b"never stored"), 12);
    block_on(append_entry(&store, &recipe, entry(7, &[gone]))).unwrap();

    let (before, mut last, mut calls) = (tree(dir.path()), None, 0);
    let found = store
        .verify(false, &mut |progress| {
            assert!(progress.done <= progress.total);
            calls += 1;
            last = Some(progress);
        })
        .unwrap();
    assert_eq!(last.map(|progress| progress.done), last.map(|progress| progress.total));
    assert!(calls >= 39);
    assert_eq!(tree(dir.path()), before, "looking changes nothing");
    assert_eq!(found.corrupt_blobs, [flipped]);
    assert_eq!(found.bad_records, [bad]);
    let mut dangling: Vec<_> = found.dangling.iter().map(|(key, _)| *key).collect();
    dangling.sort_unstable();
    let mut expected = ["u3", "u4", "u6"].map(|name| common::recipe(name).key());
    expected.sort_unstable();
    assert_eq!(dangling, expected);
    assert_eq!(found.foreign.len(), 1);

    let repaired = store.verify(true, &mut |_| {}).unwrap();
    assert_eq!(repaired.bad_records, found.bad_records);
    assert!(store.verify(false, &mut |_| {}).unwrap().is_clean());
    assert_eq!(store.usage().unwrap().records, 17);
    let stored = block_on(store.get_record(&recipe.key())).unwrap().unwrap();
    assert_eq!(Record::decode(&stored.bytes).unwrap().entries.len(), 1, "the whole entry stays");
    assert_eq!(quarantined(&store), 2);
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let key = common::recipe("u").key();
    let result =
        block_on(store.put_record(&key, Bytes::from(vec![0; (64 << 20) + 1]), Expected::Absent));
    assert!(matches!(result, Err(StoreError::Refused(_))));
    assert!(block_on(store.get_record(&key)).unwrap().is_none());
}

#[test]
fn a_symbolic_link_in_place_of_a_blob_is_not_followed_into_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let bytes = noise(1000, 1);
    let digest = put_blob(&store, &bytes).unwrap();
    let (path, elsewhere) = (blob_path(store.root(), &digest), dir.path().join("elsewhere"));
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let out: &Path = &dir.path().join("out");
    files(&store).place(&digest, out, 0o644, Placement::MayLink).unwrap();
    assert!(!fs::symlink_metadata(out).unwrap().is_symlink());
    assert_eq!(fs::metadata(out).unwrap().nlink(), 1, "no link to a file outside the store");
}
