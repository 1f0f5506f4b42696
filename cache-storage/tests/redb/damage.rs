//! Damaged and foreign files: never wrong bytes, never a store that fails for good.

use std::fs;
use std::path::{Path, PathBuf};

use cache_core::Digest;
use cache_storage::{RedbStore, Store, StoreError};
use futures::executor::block_on;

use crate::common::{get_blob, noise, put_blob, put_unit, recipe};
use crate::{is_sound, open, set_aside};

const UNITS: u64 = 30;

fn filled(path: &Path) {
    let store = open(path);
    for n in 0..UNITS {
        put_unit(&store, &format!("u{n}"), &[noise(9_000, n)]).unwrap();
    }
}

/// Looks at everything; whatever is there is right. How much was there.
fn look_at_all(store: &RedbStore) -> usize {
    let mut found = 0;
    for n in 0..UNITS {
        if let Ok(Some(stored)) = block_on(store.get_record(&recipe(&format!("u{n}")).key())) {
            let record = cache_core::Record::decode(&stored.bytes).unwrap();
            assert_eq!(record.recipe, recipe(&format!("u{n}")));
            found += 1;
        }
        if let Ok(Some(bytes)) = get_blob(store, &Digest::of(&noise(9_000, n))) {
            assert_eq!(bytes, noise(9_000, n));
            found += 1;
        }
    }
    found
}

/// After at most one failed try, the store stores and gives back.
fn works(path: &Path) {
    let store = open(path);
    look_at_all(&store);
    let bytes = noise(50_000, 999);
    let digest = put_blob(&store, &bytes).unwrap();
    let key = put_unit(&store, "new", &[]).unwrap();
    for store in [&store, &open(path)] {
        assert_eq!(get_blob(store, &digest).unwrap().unwrap(), bytes);
        assert!(block_on(store.get_record(&key)).unwrap().is_some());
    }
}

#[test]
fn flipped_bits_never_give_wrong_bytes_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.redb");
    filled(&good);
    let bytes = fs::read(&good).unwrap();
    let mut set_aside_files = 0;
    for round in 0..120_u64 {
        let path = dir.path().join(format!("{round}.redb"));
        let mut bytes = bytes.clone();
        let place = u64::from_le_bytes(noise(8, round).try_into().unwrap());
        // Half of them where the tables' roots are, a few in the header.
        let length = bytes.len() as u64;
        let at = match round % 4 {
            0 => place % 320,
            1 => place % (length / 8),
            _ => place % length,
        };
        bytes[usize::try_from(at).unwrap()] ^= 1 << (round % 8);
        fs::write(&path, &bytes).unwrap();
        works(&path);
        set_aside_files += u32::from(set_aside(&path, "corrupt").exists());
    }
    assert!(set_aside_files > 10, "{set_aside_files} of them were found");
}

#[test]
fn a_damaged_blob_is_found_and_the_file_set_aside_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let blob = noise(100_000, 1);
    let digest = put_blob(&open(&path), &blob).unwrap();
    damage(&path, &blob[50_000..50_032]);
    let store = open(&path);
    let read = get_blob(&store, &digest);
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    let told = store.last_set_aside().unwrap();
    let kept = set_aside(&path, "corrupt");
    assert!(told.contains(kept.to_str().unwrap()) && told.contains(&digest.to_hex()), "{told}");
    assert!(get_blob(&store, &digest).unwrap().is_none());
    put_blob(&store, &blob).unwrap();
    assert_eq!(get_blob(&open(&path), &digest).unwrap().unwrap(), blob);
}

#[test]
fn a_damaged_record_is_absent_and_the_file_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let key = recipe("u").key();
    let bytes = bytes::Bytes::from(noise(3000, 1));
    let absent = cache_storage::Expected::Absent;
    block_on(open(&path).put_record(&key, bytes.clone(), absent)).unwrap();
    damage(&path, &bytes[1000..1032]);
    let store = open(&path);
    assert_eq!(block_on(store.get_record(&key)).unwrap(), None);
    assert!(store.last_set_aside().unwrap().contains(&key.0.to_hex()));
    assert!(set_aside(&path, "corrupt").exists());
    works(&path);
}

/// Flips a bit wherever these bytes are in the file.
fn damage(path: &Path, needle: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let places: Vec<_> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_cut_off_anywhere_is_set_aside_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.redb");
    filled(&good);
    let bytes = fs::read(&good).unwrap();
    for (n, length) in [1, 9, 100, 319, 320, 4095, 4096, 5000, 40_960, 100_000, bytes.len() - 1]
        .into_iter()
        .enumerate()
    {
        let path = dir.path().join(format!("{n}.redb"));
        fs::write(&path, &bytes[..length]).unwrap();
        works(&path);
    }
    let kept = |n: usize| set_aside(&dir.path().join(format!("{n}.redb")), "corrupt").exists();
    assert!((0..8).all(kept));
}

#[test]
fn an_empty_file_is_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    fs::write(&path, "").unwrap();
    works(&path);
    is_sound(&open(&path));
}

#[test]
fn garbage_is_kept_aside_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    for (n, garbage) in [noise(100_000, 1), vec![0; 80_000], b"mine".to_vec()].iter().enumerate() {
        let path = dir.path().join(format!("{n}.redb"));
        fs::write(&path, garbage).unwrap();
        works(&path);
        assert_eq!(&fs::read(set_aside(&path, "corrupt")).unwrap(), garbage);
    }
}

#[test]
fn a_file_of_another_format_version_is_set_aside_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    filled(&path);
    // The version is the first byte of each of two commit slots (redb's design.md, "Database header").
    for version in [1, 2, 77] {
        let mut bytes = fs::read(&path).unwrap();
        for slot in [64, 192] {
            assert_eq!(bytes[slot], 3);
            bytes[slot] = version;
        }
        let path = dir.path().join(format!("{version}.redb"));
        fs::write(&path, &bytes).unwrap();
        works(&path);
        let names: Vec<PathBuf> =
            ["corrupt", "incompatible"].map(|suffix| set_aside(&path, suffix)).into();
        assert!(names.iter().any(|name| name.exists()), "version {version}");
    }
}

#[test]
fn tables_of_other_types_are_incompatible() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let other: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("records-v1");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(other).unwrap().insert("theirs", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    works(&path);
    assert!(set_aside(&path, "incompatible").exists());
}

#[test]
fn another_programs_tables_in_the_file_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let other: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("records-v0");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(other).unwrap().insert("theirs", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    works(&path);
    open(&path).gc(0).unwrap();
    let database = redb::Database::open(&path).unwrap();
    let snapshot = redb::ReadableDatabase::begin_read(&database).unwrap();
    assert_eq!(snapshot.open_table(other).unwrap().get("theirs").unwrap().unwrap().value(), 1);
    is_sound(&open(&path));
}

#[test]
fn a_process_that_has_the_file_open_goes_over_to_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let (one, two) = (open(&path), open(&path));
    put_blob(&one, b"old").unwrap();
    // What another process does on finding it damaged.
    fs::rename(&path, set_aside(&path, "corrupt")).unwrap();
    let digest = put_blob(&two, b"new").unwrap();
    assert_eq!(get_blob(&one, &digest).unwrap().unwrap(), &b"new"[..]);
    assert!(get_blob(&one, &Digest::of(b"old")).unwrap().is_none());
    put_blob(&one, b"newer").unwrap();
    assert!(get_blob(&two, &Digest::of(b"newer")).unwrap().is_some());
}

#[test]
fn a_file_made_since_the_damage_was_found_is_not_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let (one, two) = (open(&path), open(&path));
    let blob = noise(600_000, 1);
    let digest = put_blob(&one, &blob).unwrap();
    drop(one);
    damage(&path, &blob[500_000..500_032]);
    let one = open(&path);
    let stream = block_on(one.read_blob(&digest)).unwrap();
    assert!(matches!(get_blob(&two, &digest), Err(StoreError::Corrupt { .. })));
    let new = put_blob(&two, b"new").unwrap();
    let pieces: Vec<_> = block_on(futures::StreamExt::collect(stream));
    assert!(matches!(pieces.last(), Some(Err(StoreError::Corrupt { .. }))), "{:?}", pieces.len());
    assert!(get_blob(&one, &new).unwrap().is_some(), "the new file stays");
}

#[test]
fn a_file_that_cannot_be_set_aside_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    fs::write(&path, noise(100_000, 1)).unwrap();
    // A directory that is not empty, where the file would be kept.
    fs::create_dir_all(set_aside(&path, "corrupt").join("full")).unwrap();
    let store = open(&path);
    let put = put_blob(&store, b"x");
    let Err(StoreError::Unusable { reason, .. }) = &put else { panic!("{put:?}") };
    assert!(reason.contains("cannot be set aside"), "{reason}");
    assert_eq!(fs::read(&path).unwrap(), noise(100_000, 1));
}
