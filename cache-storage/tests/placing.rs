//! Blobs in target directories, and files into the store.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use cache_core::Digest;
use cache_storage::{DiskStore, Placed, Placement, StoreError};
use common::{Mounted, blob_path, files, get_blob, noise, open, put_blob, tamper};

fn inode(path: &Path) -> (u64, u64) {
    let meta = fs::metadata(path).unwrap();
    (meta.dev(), meta.ino())
}

/// As a file from an hour ago, old enough for any memo.
fn make_old(path: &Path) -> SystemTime {
    let time = SystemTime::now() - Duration::from_secs(3600);
    set_mtime(path, time);
    time
}

fn set_mtime(path: &Path, time: SystemTime) {
    fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn adopting_by_link_makes_the_file_itself_the_blob() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let (from, bytes) = (dir.path().join("libx.rlib"), noise(100_000, 1));
    for (name, mode, blob_mode) in [("a", 0o644, 0o444), ("b", 0o755, 0o555)] {
        let bytes = [&bytes, name.as_bytes()].concat();
        let digest = Digest::of(&bytes);
        fs::write(&from, &bytes).unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(mode)).unwrap();
        let mtime = make_old(&from);
        let placed =
            files(&store).adopt(&digest, bytes.len() as u64, &from, Placement::MayLink).unwrap();
        assert_eq!(placed, Placed::Linked);
        assert_eq!(inode(&from), inode(&blob_path(store.root(), &digest)));
        let meta = fs::metadata(&from).unwrap();
        assert_eq!(meta.mode() & 0o777, blob_mode);
        assert_eq!(meta.modified().unwrap(), mtime, "cargo looks at it");
        fs::remove_file(&from).unwrap();
    }
}

#[test]
fn an_adopted_link_is_placed_without_being_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let (from, bytes) = (dir.path().join("from"), noise(100_000, 1));
    let digest = Digest::of(&bytes);
    fs::write(&from, &bytes).unwrap();
    files(&store).adopt(&digest, 100_000, &from, Placement::MayLink).unwrap();
    change_unseen(&from);
    let dest = dir.path().join("dest");
    assert_eq!(
        files(&store).place(&digest, &dest, 0o644, Placement::MayLink).unwrap(),
        Placed::Linked
    );
    // Under another process, too, and after linking has moved the ctime.
    let store = open(dir.path().join("store"));
    assert_eq!(
        files(&store).place(&digest, &dest, 0o644, Placement::MayLink).unwrap(),
        Placed::Linked
    );
    assert_eq!(files(&store).digest_file(&dest).unwrap(), digest);
    // A private file is hashed as it is copied, so it cannot be fooled.
    let placed = files(&store).place(&digest, &dest, 0o644, Placement::Private);
    assert!(matches!(placed, Err(StoreError::Corrupt { .. }) | Ok(Placed::Cloned)), "{placed:?}");
}

/// Changes a file so that nobody who looks at its size and mtime can tell: shows who looks inside.
fn change_unseen(path: &Path) {
    let mtime = fs::metadata(path).unwrap().modified().unwrap();
    tamper(path, |bytes| bytes[0] ^= 1);
    set_mtime(path, mtime);
}

#[test]
fn editing_a_private_file_does_not_reach_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let bytes = noise(100_000, 1);
    let digest = put_blob(&store, &bytes).unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    for placement in [Placement::Private, Placement::MayLink] {
        files(&store).place(&digest, &two, 0o644, placement).unwrap();
        files(&store).place(&digest, &one, 0o644, Placement::Private).unwrap();
        fs::write(&one, "edited").unwrap();
        assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), bytes);
        assert_eq!(fs::read(&two).unwrap(), bytes);
    }
}

#[test]
fn a_writable_blob_left_by_a_killed_process_is_made_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let digest = put_blob(&store, &noise(1000, 1)).unwrap();
    let blob = blob_path(store.root(), &digest);
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    let dest = dir.path().join("dest");
    assert_eq!(
        files(&store).place(&digest, &dest, 0o644, Placement::MayLink).unwrap(),
        Placed::Linked
    );
    assert_eq!(fs::metadata(&dest).unwrap().mode() & 0o777, 0o444);
}

#[test]
fn a_link_never_has_the_wrong_executable_bit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let digest = put_blob(&store, b"#!/bin/sh\n").unwrap();
    let dest = dir.path().join("dest");
    let placed = files(&store).place(&digest, &dest, 0o755, Placement::MayLink).unwrap();
    assert_ne!(placed, Placed::Linked);
    assert_eq!(fs::metadata(&dest).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn a_symbolic_link_is_adopted_as_what_it_points_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    fs::write(&target, noise(1000, 1)).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let digest = Digest::of(&noise(1000, 1));
    files(&store).adopt(&digest, 1000, &link, Placement::MayLink).unwrap();
    assert!(fs::symlink_metadata(blob_path(store.root(), &digest)).unwrap().is_file());
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), noise(1000, 1));
}

#[test]
fn a_directory_or_absent_directory_as_destination_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let digest = put_blob(&store, b"bytes").unwrap();
    let (dest, absent) = (dir.path().join("dest"), dir.path().join("absent/dest"));
    fs::create_dir_all(dest.join("full")).unwrap();
    for placement in [Placement::Private, Placement::MayLink] {
        for dest in [&dest, &absent] {
            let placed = files(&store).place(&digest, dest, 0o644, placement);
            assert!(matches!(placed, Err(StoreError::Io { .. })), "{placed:?}");
        }
    }
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["dest", "store"]);
}

#[test]
fn other_devices_are_copied_to_and_from() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: no /dev/shm");
        return;
    };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if inode(dir.path()).0 == inode(other.path()).0 {
        println!("skipped: the target directory is on /dev/shm");
        return;
    }
    let store = open(dir.path().join("store"));
    let (from, dest) = (other.path().join("from"), other.path().join("dest"));
    let bytes = noise(300_000, 1);
    let digest = Digest::of(&bytes);
    fs::write(&from, &bytes).unwrap();
    let adopted = files(&store).adopt(&digest, 300_000, &from, Placement::MayLink).unwrap();
    assert_eq!(adopted, Placed::Copied);
    assert_eq!(
        fs::metadata(&from).unwrap().mode() & 0o222,
        0o200,
        "the caller's file stays as it was"
    );
    let placed = files(&store).place(&digest, &dest, 0o640, Placement::MayLink).unwrap();
    assert_eq!(placed, Placed::Copied);
    assert_eq!(fs::read(&dest).unwrap(), bytes);
    assert_eq!(fs::metadata(&dest).unwrap().mode() & 0o777, 0o640);
    // What is copied in is checked.
    let wrong = files(&store).adopt(&Digest::of(b"other"), 300_000, &from, Placement::MayLink);
    assert!(matches!(wrong, Err(StoreError::Refused(_))));
}

#[test]
fn when_a_blob_has_too_many_links_it_is_copied() {
    // ext4 allows 65,000 links; where there is no such limit there is nothing to see.
    const MANY: usize = 66_000;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = open(dir.path().join("store"));
    let digest = put_blob(&store, b"popular").unwrap();
    let blob = blob_path(store.root(), &digest);
    let Some(limit) =
        (0..MANY).find(|n| fs::hard_link(&blob, dir.path().join(n.to_string())).is_err())
    else {
        println!("skipped: no limit of links here");
        return;
    };
    let dest = dir.path().join("dest");
    for dest in [&dest, &dir.path().join((limit - 1).to_string())] {
        let placed = files(&store).place(&digest, dest, 0o644, Placement::MayLink).unwrap();
        assert_eq!(fs::read(dest).unwrap(), b"popular");
        // Replacing a link needs one more for a moment.
        assert_ne!(placed, Placed::Linked);
    }
}

/// On a file system with shared blocks, private files and copied blobs take none of their own.
fn shares_blocks(mounted: &Mounted) {
    let store = open(mounted.path().join("store"));
    let size = 8 << 20;
    let (from, bytes) = (mounted.path().join("from"), noise(size, 1));
    fs::write(&from, &bytes).unwrap();
    let digest = Digest::of(&bytes);
    let adopted = files(&store).adopt(&digest, size as u64, &from, Placement::Private).unwrap();
    assert_eq!(adopted, Placed::Cloned);
    assert_ne!(inode(&from), inode(&blob_path(store.root(), &digest)));
    let used = || {
        rustix::fs::sync();
        let disk = rustix::fs::statvfs(mounted.path()).unwrap();
        (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    };
    let before = used();
    for n in 0..10 {
        let (marker, dest) = (mounted.path().join("marker"), mounted.path().join(n.to_string()));
        fs::write(&marker, "x").unwrap();
        let placed = files(&store).place(&digest, &dest, 0o644, Placement::Private).unwrap();
        assert_eq!(placed, Placed::Cloned);
        let meta = fs::metadata(&dest).unwrap();
        assert_eq!(meta.nlink(), 1);
        assert!(
            meta.modified().unwrap() >= fs::metadata(&marker).unwrap().modified().unwrap(),
            "stamped now"
        );
        assert_eq!(fs::read(&dest).unwrap(), bytes);
    }
    let grown = used() - before;
    assert!(grown < 4 << 20, "ten files of 8 MiB took {grown} bytes");
    // A private clone is private.
    fs::write(mounted.path().join("0"), "edited").unwrap();
    assert_eq!(get_blob(&store, &digest).unwrap().unwrap(), bytes);
    // A clone of a blob that changed is found out.
    let blob = blob_path(store.root(), &digest);
    std::thread::sleep(Duration::from_millis(30));
    tamper(&blob, |bytes| bytes[5_000_000] ^= 1);
    let placed = files(&store).place(&digest, &mounted.path().join("0"), 0o644, Placement::Private);
    assert!(matches!(placed, Err(StoreError::Corrupt { .. })), "{placed:?}");
    futures::executor::block_on(cache_storage::conformance::all(&store));
}

#[test]
fn blocks_are_shared_on_xfs() {
    if let Some(mounted) = Mounted::image("mkfs.xfs", &["-q", "-m", "reflink=1"], 512 << 20) {
        shares_blocks(&mounted);
    }
}

#[test]
fn blocks_are_shared_on_btrfs() {
    if let Some(mounted) = Mounted::image("mkfs.btrfs", &["-q"], 512 << 20) {
        shares_blocks(&mounted);
    }
}

fn store_and_file(dir: &Path, content: &[u8]) -> (DiskStore, std::path::PathBuf) {
    let store = open(dir.join("store"));
    let path = dir.join("file");
    fs::write(&path, content).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    (store, path)
}

#[test]
fn the_memo_is_used_for_a_file_that_has_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = store_and_file(dir.path(), b"one");
    let lie = Digest::of(b"what the producer says");
    files(&store).remember(&path, &lie);
    assert_eq!(files(&store).digest_file(&path).unwrap(), lie);
    assert_eq!(files(&open(store.root())).digest_file(&path).unwrap(), lie, "by every process");
    store.memo().clear();
    assert_eq!(files(&store).digest_file(&path).unwrap(), Digest::of(b"one"));
}

#[test]
fn the_memo_sees_a_change_whose_mtime_was_set_back() {
    // As registry sources have it: every version of a file has one mtime, and an inode number of a
    // removed file is soon used again.
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = store_and_file(dir.path(), b"version 1");
    let mtime = make_old(&path);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(files(&store).digest_file(&path).unwrap(), Digest::of(b"version 1"));
    fs::write(&path, b"version 2").unwrap();
    set_mtime(&path, mtime);
    assert_eq!(files(&store).digest_file(&path).unwrap(), Digest::of(b"version 2"));
}

#[test]
fn a_young_file_is_not_remembered_by_reading() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = (open(dir.path().join("store")), dir.path().join("file"));
    put_blob(&store, b"x").unwrap();
    let slots = || {
        let memo = fs::read(store.root().join("memo-v1")).unwrap();
        memo.chunks(64).filter(|slot| slot.iter().any(|byte| *byte != 0)).count()
    };
    let before = slots();
    fs::write(&path, "young").unwrap();
    files(&store).digest_file(&path).unwrap();
    assert_eq!(slots(), before);
    std::thread::sleep(Duration::from_millis(50));
    files(&store).digest_file(&path).unwrap();
    assert_eq!(slots(), before + 1);
}

#[test]
fn what_is_no_regular_file_has_no_digest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("store"));
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o644.into(), 0)
        .unwrap();
    for path in [dir.path(), &pipe, Path::new("/dev/zero"), &dir.path().join("absent")] {
        assert!(files(&store).digest_file(path).is_err(), "{}", path.display());
    }
}

#[test]
fn the_memo_holds_tens_of_thousands_and_forgets_the_oldest() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let store = open(dir.path().join("store"));
    let path = |n: u64| dir.path().join(n.to_string());
    let count = 30_000;
    for n in 0..count {
        fs::write(path(n), "x").unwrap();
        files(&store).remember(&path(n), &Digest::of(&n.to_le_bytes()));
    }
    let known = (0..count)
        .filter(|n| files(&store).digest_file(&path(*n)).unwrap() == Digest::of(&n.to_le_bytes()))
        .count();
    assert!(known > 29_900, "{known} of {count}");
    assert!(fs::metadata(store.root().join("memo-v1")).unwrap().len() <= 8 << 20);
}
