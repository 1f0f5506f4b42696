//! No room: nothing is stored, nothing breaks, nothing is left over.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use cache_core::Digest;
use cache_storage::{DiskStore, Placement, Result, Store, StoreError};
use common::{
    Mounted, again, files, get_blob, given_dir, noise, open, put_blob, put_unit, restore, system,
    tree,
};

/// Everything that writes, one after the other. Each succeeds, or fails as full and leaves nothing.
fn write_everything(store: &DiskStore, from: &Path, seed: u64) -> usize {
    let bytes = noise(60_000, seed);
    let mut full = 0;
    let mut done = |what: &str, result: Result<()>| match result {
        Ok(()) => {}
        Err(StoreError::Full(_)) => full += 1,
        Err(e) => panic!("{what}: {e:?}"),
    };
    done("blob", put_blob(store, &bytes).map(drop));
    done("unit", put_unit(store, &format!("u{seed}"), &[noise(9_000, seed + 1)]).map(drop));
    done("same unit", put_unit(store, "u", &[noise(3_000, seed + 2)]).map(drop));
    for placement in [Placement::Private, Placement::MayLink] {
        let path = from.join(format!("{seed}-{placement:?}"));
        let bytes = noise(30_000, seed + 3 + placement as u64);
        if fs::write(&path, &bytes).is_ok() {
            let adopted = files(store).adopt(&Digest::of(&bytes), 30_000, &path, placement);
            done("adopt", adopted.map(drop));
        }
    }
    drop(files(store).pin(&common::recipe("u").key()));
    drop(store.maybe_gc());
    assert_eq!(
        tree(&store.root().join("tmp-v1")),
        Vec::<std::path::PathBuf>::new(),
        "no leftovers"
    );
    full
}

fn is_sound(store: &DiskStore) {
    let report = store.verify(false, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn a_disk_that_fills_up_at_any_byte_breaks_nothing() {
    let outside = tempfile::tempdir().unwrap();
    let mut full = 0;
    for kilobytes in (0..240).step_by(12) {
        let Some(mounted) = Mounted::tmpfs(&format!("size={kilobytes}k,nr_inodes=10k")) else {
            return;
        };
        // size=0 would be no limit.
        if kilobytes == 0 {
            continue;
        }
        let store = open(mounted.path().join("store"));
        full += write_everything(&store, outside.path(), kilobytes * 10);
        is_sound(&store);
    }
    assert!(full > 10, "{full} writes met a full disk");
}

#[test]
fn a_disk_that_runs_out_of_inodes_at_any_step_breaks_nothing() {
    let outside = tempfile::tempdir().unwrap();
    let mut full = 0;
    for inodes in 2..60 {
        let Some(mounted) = Mounted::tmpfs(&format!("size=8m,nr_inodes={inodes}")) else { return };
        let store = open(mounted.path().join("store"));
        full += write_everything(&store, outside.path(), inodes * 10);
        is_sound(&store);
    }
    assert!(full > 50, "{full} writes met a full disk");
}

#[test]
fn a_full_store_is_read_and_goes_on_when_there_is_room() {
    let Some(mounted) = Mounted::tmpfs("size=400k,nr_inodes=10k") else { return };
    let root = mounted.path().join("store");
    let store = open(&root);
    let key = put_unit(&store, "before", &[noise(100_000, 1)]).unwrap();
    let ballast = mounted.path().join("ballast");
    let mut size = 400_000;
    while fs::write(&ballast, noise(size, 2)).is_err() {
        size -= 1000;
    }
    while size > 0 && put_blob(&store, &noise(1000, 3)).is_ok() {
        futures::executor::block_on(store.delete_blob(&Digest::of(&noise(1000, 3)))).unwrap();
        let more = mounted.path().join(format!("more{size}"));
        let _ = fs::write(more, noise(1000, 4));
        size -= 1;
    }
    assert!(matches!(put_blob(&store, &noise(50_000, 5)), Err(StoreError::Full(_))));
    assert!(matches!(put_unit(&store, "after", &[noise(50_000, 5)]), Err(StoreError::Full(_))));
    let out = tempfile::tempdir().unwrap();
    let reopened = open(&root);
    assert_eq!(restore(&reopened, &key, out.path(), Placement::MayLink).unwrap(), Some(1));
    is_sound(&reopened);
    // Placing on the full disk itself is the target's trouble, not the store's.
    let placed = files(&store).place(
        &Digest::of(&noise(100_000, 1)),
        &mounted.path().join("out"),
        0o644,
        Placement::Private,
    );
    assert!(matches!(placed, Err(StoreError::Io { .. })), "{placed:?}");
    assert!(!mounted.path().join("out").exists());
    assert!(
        !tree(mounted.path()).iter().any(|path| path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(".larder"))
    );
    // Eviction works without room, and makes some.
    assert_eq!(store.gc(0).unwrap().records_evicted, 1);
    put_unit(&store, "after", &[noise(50_000, 5)]).unwrap();
    assert!(get_blob(&store, &Digest::of(&noise(50_000, 5))).unwrap().is_some());
}

#[test]
fn writes_that_fail_at_any_length_break_nothing() {
    // RLIMIT_FSIZE makes write(2) fail with EFBIG from a byte of our choice on; its signal is
    // ignored as the shell can and safe Rust cannot.
    let dir = tempfile::tempdir().unwrap();
    if !system("sh", &["-c".as_ref(), "trap '' XFSZ; ulimit -f 8".as_ref()]) {
        return;
    }
    for blocks in [0, 1, 2, 4, 8, 16, 32, 64, 128] {
        let root = dir.path().join(blocks.to_string());
        let child = again("writing_with_a_limit", &root);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"")).arg("sh");
        command.arg(child.get_program()).args(child.get_args()).env("LARDER_TEST_DIR", &root);
        // A pipe has no length.
        let output = command.output().unwrap();
        assert!(output.status.success(), "{blocks}: {}", String::from_utf8_lossy(&output.stderr));
        let store = open(&root);
        is_sound(&store);
        let key = put_unit(&store, "u", &[noise(60_000, 1)]).unwrap();
        let out = tempfile::tempdir().unwrap();
        assert!(restore(&store, &key, out.path(), Placement::MayLink).unwrap().is_some());
    }
}

#[test]
#[ignore = "run by writes_that_fail_at_any_length_break_nothing as another process"]
fn writing_with_a_limit() {
    let Some(root) = given_dir() else { return };
    let outside = tempfile::tempdir().unwrap();
    let store = open(&root);
    for seed in [10, 20] {
        write_everything(&store, outside.path(), seed);
    }
    is_sound(&store);
}
