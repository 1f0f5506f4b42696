//! What can be opened as a store, and what a reader may and may not do.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cache_storage::{DiskOptions, DiskStore, Placement, Store, StoreError};
use common::{
    Mounted, again, files, get_blob, given_dir, noise, open, put_blob, put_unit, restore, system,
    tree,
};

fn reason(path: &Path) -> String {
    match DiskStore::open(path, DiskOptions::default()) {
        Err(StoreError::Unusable { path: named, reason }) => {
            assert_eq!(named, path);
            reason
        }
        other => panic!("{} must be unusable, not {other:?}", path.display()),
    }
}

#[test]
fn a_file_cannot_be_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert_eq!(reason(&file), "not a directory");
    assert!(reason(&file.join("below")).contains("irectory"), "{}", reason(&file.join("below")));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert!(reason(Path::new("/dev/null")).contains("not a directory"));
}

#[test]
fn opening_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().join("a/b/store"));
    assert!(get_blob(&store, &cache_core::Digest::of(b"x")).unwrap().is_none());
    drop(store);
    assert_eq!(tree(dir.path()), Vec::<std::path::PathBuf>::new());
    assert!(!dir.path().join("a").exists());
}

#[test]
fn first_write_makes_the_directories_and_the_cache_tag() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a/b with spaces/störe");
    let digest = put_blob(&open(&root), b"bytes").unwrap();
    let tag = fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    assert_eq!(get_blob(&open(&root), &digest).unwrap().unwrap(), &b"bytes"[..]);
}

#[test]
fn a_store_whose_path_is_not_utf8_works() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join(std::ffi::OsStr::from_bytes(b"st\xffre"));
    let digest = put_blob(&open(&root), b"bytes").unwrap();
    let dest = dir.path().join(std::ffi::OsStr::from_bytes(b"o\xfeut"));
    files(&open(&root)).place(&digest, &dest, 0o644, Placement::Private).unwrap();
    assert_eq!(fs::read(dest).unwrap(), b"bytes");
}

#[test]
fn other_things_in_the_directory_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["tmp", "locks", "blobs"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("mine"), "mine").unwrap();
    }
    let store = open(dir.path());
    put_unit(&store, "u", &[noise(100, 1)]).unwrap();
    store.gc(0).unwrap();
    store.verify(true, &mut |_| {}).unwrap();
    for name in ["tmp", "locks", "blobs"] {
        assert_eq!(fs::read(dir.path().join(name).join("mine")).unwrap(), b"mine");
    }
}

/// Reads and refuses, whoever is asked to write; leaves no trace.
fn reads_only(root: &Path) {
    let store = DiskStore::open(root, DiskOptions::default()).unwrap();
    assert!(!store.capabilities().write, "the store must know that it cannot write");
    let key = common::recipe("u").key();
    let out = tempfile::tempdir().unwrap();
    assert_eq!(restore(&store, &key, out.path(), Placement::Private).unwrap(), Some(2));
    assert_eq!(restore(&store, &key, out.path(), Placement::MayLink).unwrap(), Some(2));
    assert!(matches!(put_blob(&store, b"new"), Err(StoreError::ReadOnly(_))));
    assert!(matches!(put_unit(&store, "new", &[]), Err(StoreError::ReadOnly(_))));
    let from = out.path().join("new");
    fs::write(&from, "new").unwrap();
    let digest = cache_core::Digest::of(b"new");
    let adopted = files(&store).adopt(&digest, 3, &from, Placement::MayLink);
    assert!(matches!(adopted, Err(StoreError::ReadOnly(_))));
    assert!(matches!(store.gc(0), Err(StoreError::ReadOnly(_))));
    assert_eq!(store.maybe_gc().unwrap(), None);
    assert_eq!(files(&store).digest_file(&from).unwrap(), digest);
    futures::executor::block_on(cache_storage::conformance::all(&store));
}

fn filled(root: &Path) {
    put_unit(&open(root), "u", &[noise(50_000, 1), noise(10, 2)]).unwrap();
}

#[test]
fn a_store_opened_for_reading_is_read_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let before = tree(dir.path());
    let options = DiskOptions { read_only: true, ..DiskOptions::default() };
    let store = DiskStore::open(dir.path(), options).unwrap();
    let out = tempfile::tempdir().unwrap();
    let key = common::recipe("u").key();
    assert_eq!(restore(&store, &key, out.path(), Placement::MayLink).unwrap(), Some(2));
    assert_eq!(before, tree(dir.path()));
}

#[test]
fn a_store_on_a_read_only_file_system_is_a_reader() {
    let Some(mounted) = Mounted::tmpfs("size=4m") else { return };
    let root = mounted.path().join("store");
    filled(&root);
    if mounted.remount("ro") {
        reads_only(&root);
        assert!(reason(&mounted.path().join("new")).contains("read-only"));
    }
}

#[test]
fn a_store_without_write_permission_is_a_reader() {
    let dir =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let root = dir.path().join("store");
    filled(&root);
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut probe: Vec<_> = user.iter().map(std::ffi::OsStr::new).collect();
    probe.push("true".as_ref());
    if !system("setpriv", &probe) {
        return;
    }
    // The test program itself may lie where another user cannot reach it.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let child = again("as_another_user", &root);
    let mut command = std::process::Command::new("setpriv");
    command.args(user).arg(program).args(child.get_args());
    command.env("LARDER_TEST_DIR", &root).env("TMPDIR", "/tmp");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
#[ignore = "run by a_store_without_write_permission_is_a_reader as another user"]
fn as_another_user() {
    let Some(root) = given_dir() else { return };
    reads_only(&root);
    assert!(reason(&root.join("new/store")).contains("no write permission"));
}
