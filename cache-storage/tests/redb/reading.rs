//! Readers that may not write, and paths that cannot be a store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cache_core::Digest;
use cache_storage::{RedbOptions, RedbStore, Store, StoreError};
use futures::executor::block_on;

use crate::common::{
    Mounted, Process, again, get_blob, given_dir, noise, put_blob, put_unit, recipe, system,
};
use crate::{open, options};

fn filled(path: &Path) {
    put_unit(&open(path), "u", &[noise(50_000, 1)]).unwrap();
}

/// Reads and refuses, whoever is asked to write.
fn reads_only(path: &Path, options: RedbOptions) {
    let store = RedbStore::open(path, options).unwrap();
    assert!(!store.capabilities().write, "the store must know that it cannot write");
    assert!(block_on(store.get_record(&recipe("u").key())).unwrap().is_some());
    let blob = noise(50_000, 1);
    assert_eq!(get_blob(&store, &Digest::of(&blob)).unwrap().unwrap(), blob);
    assert!(matches!(put_blob(&store, b"new"), Err(StoreError::ReadOnly(_))));
    assert!(matches!(put_unit(&store, "new", &[]), Err(StoreError::ReadOnly(_))));
    assert!(matches!(store.gc(0), Err(StoreError::ReadOnly(_))));
    store.touch(&recipe("u").key());
    store.flush().unwrap();
    block_on(cache_storage::conformance::all(&store));
}

#[test]
fn a_store_opened_for_reading_is_read_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    filled(&path);
    let before = fs::read(&path).unwrap();
    reads_only(&path, RedbOptions { read_only: true, ..options() });
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_store_on_a_read_only_file_system_is_a_reader() {
    let Some(mounted) = Mounted::tmpfs("size=8m") else { return };
    let path = mounted.path().join("store.redb");
    filled(&path);
    if mounted.remount("ro") {
        reads_only(&path, options());
        let new = RedbStore::open(mounted.path().join("new"), options());
        let Err(StoreError::Unusable { reason, .. }) = new else { panic!("{new:?}") };
        assert!(reason.contains("read-only"), "{reason}");
    }
}

#[test]
fn a_store_without_write_permission_is_a_reader() {
    let dir =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let path = dir.path().join("store.redb");
    filled(&path);
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut probe: Vec<_> = user.iter().map(std::ffi::OsStr::new).collect();
    probe.push("true".as_ref());
    if !system("setpriv", &probe) {
        return;
    }
    // The test program itself may lie where another user cannot reach it.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let child = again("reading::as_another_user", &path);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec setpriv \"$@\"", "sh"]).args(user).arg(program);
    command.args(child.get_args()).env("LARDER_TEST_DIR", &path).env("TMPDIR", "/tmp");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
#[ignore = "run by a_store_without_write_permission_is_a_reader as another user"]
fn as_another_user() {
    let Some(path) = given_dir() else { return };
    reads_only(&path, options());
}

#[test]
fn a_reader_follows_a_writer_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let reader = RedbStore::open(&path, RedbOptions { read_only: true, ..options() }).unwrap();
    for n in 0..5 {
        assert!(get_blob(&reader, &Digest::of(&noise(100, n))).unwrap().is_none());
        put_blob(&open(&path), &noise(100, n)).unwrap();
        assert!(get_blob(&reader, &Digest::of(&noise(100, n))).unwrap().is_some());
    }
}

#[test]
fn a_reader_waits_for_a_writer_to_repair_what_a_killed_one_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let mut child = Process::start(again("reading::having_written", &path));
    while !dir.path().join("store.redb.written").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let reader = RedbStore::open(&path, RedbOptions { read_only: true, ..options() }).unwrap();
    let digest = Digest::of(b"written");
    assert!(get_blob(&reader, &digest).unwrap().is_some(), "while the writer lives");
    drop(reader);
    child.kill();
    let reader = RedbStore::open(&path, RedbOptions { read_only: true, ..options() }).unwrap();
    let refused = get_blob(&reader, &digest);
    let Err(StoreError::Io { source, .. }) = &refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("killed"), "{source}");
    // Whoever could write repairs it by reading.
    assert!(get_blob(&open(&path), &digest).unwrap().is_some());
    assert!(get_blob(&reader, &digest).unwrap().is_some());
}

#[test]
#[ignore = "run by a_reader_waits_for_a_writer_to_repair_what_a_killed_one_left"]
fn having_written() {
    let Some(path) = given_dir() else { return };
    let store = open(&path);
    put_blob(&store, b"written").unwrap();
    fs::write(path.with_extension("redb.written"), "").unwrap();
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}

#[test]
fn what_is_no_file_cannot_be_a_store() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path(), Path::new("/dev/null")] {
        let opened = RedbStore::open(path, options());
        let Err(StoreError::Unusable { path: named, reason }) = opened else {
            panic!("{opened:?}")
        };
        assert_eq!((named.as_path(), reason.as_str()), (path, "not a regular file"));
    }
}
