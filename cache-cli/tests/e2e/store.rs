//! A store in trouble: the build is right and complete, and the trouble is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::{Checkout, Files, Lab, app, tmpfs, walk};

/// `app` built and run in a fresh checkout of this name.
fn right<'l>(lab: &'l Lab, name: &str) -> Checkout<'l> {
    let checkout = lab.checkout(name, &app());
    assert_eq!(checkout.build_and_run(), "app 1, mid 1, leaf 1\n");
    checkout.cargo(&["build"]).good();
    let plain = lab.plain(&format!("plain-{name}"), &app());
    plain.build_and_run();
    plain.cargo(&["build"]).good();
    plain.assert_same(&checkout);
    checkout
}

/// What `stats` and `doctor` say, in one text.
fn told(lab: &Lab) -> String {
    let (stats, doctor) = (lab.larder(&["stats", "--json"]), lab.larder(&["doctor"]));
    format!("{}{}\n{}{}", stats.stdout, stats.stderr, doctor.stdout, doctor.stderr)
}

fn under(lab: &Lab, bucket: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&lab.store().join(bucket), &mut found);
    assert!(!found.is_empty(), "{bucket} holds something");
    found
}

/// Changes a read-only file of the store in place.
fn damage(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

#[test]
fn the_store_is_a_file() {
    let lab = Lab::new();
    fs::write(lab.store(), "no directory").unwrap();
    right(&lab, "a");
    right(&lab, "b");
    assert_eq!(fs::read(lab.store()).unwrap(), b"no directory");
    let doctor = lab.larder(&["doctor"]);
    assert!(!doctor.ok() && doctor.stdout.contains("store"), "{}", doctor.describe());
}

#[test]
fn the_store_is_below_a_file_or_below_nothing_writable() {
    let lab = Lab::new();
    fs::write(lab.root.join("file"), "").unwrap();
    for store in [lab.root.join("file/store"), PathBuf::from("/proc/nowhere/store")] {
        *lab.store.borrow_mut() = store;
        right(&lab, "a").remove("target");
    }
}

#[test]
fn the_store_cannot_be_written() {
    let lab = Lab::new();
    right(&lab, "a");
    let Some(mount) = tmpfs(&lab.root.join("mnt"), "size=64m") else { return };
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([lab.store(), lab.root.join("mnt/store")])
        .status();
    assert!(copied.unwrap().success());
    *lab.store.borrow_mut() = lab.root.join("mnt/store");
    assert!(mount.again("ro"));
    let b = right(&lab, "b");
    b.runs()[0].expect(&["leaf", "mid"], &[]);
    b.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"2\" }\n");
    assert_eq!(b.build_and_run(), "app 1, mid 1, 2\n");
    b.last().expect(&[], &["leaf", "mid"]);
    let doctor = lab.larder(&["doctor"]);
    let said = format!("{}{}", doctor.stdout, doctor.stderr).to_lowercase();
    assert!(said.contains("read-only") || said.contains("not writ"), "{said}");
}

#[test]
fn the_store_is_an_empty_unwritable_directory() {
    let lab = Lab::new();
    let Some(mount) = tmpfs(&lab.store(), "size=1m") else { return };
    assert!(mount.again("ro"));
    right(&lab, "a");
}

#[test]
fn the_disk_is_full() {
    for size in ["64k", "200k", "1m"] {
        let lab = Lab::new();
        // One large library does not fit beside the small ones.
        let Some(_mount) = tmpfs(&lab.store(), &format!("size={size}")) else { return };
        let big = |files: Files| {
            files.with("leaf/src/big.bin", &"0123456789abcdef".repeat(1 << 16)).with(
                "leaf/src/lib.rs",
                "static BIG: &[u8] = include_bytes!(\"big.bin\");\npub fn text() -> usize { BIG.len() }\n",
            )
        };
        for name in ["a", "b"] {
            let checkout = lab.checkout(name, &big(app()));
            assert_eq!(checkout.build_and_run(), "app 1, mid 1, 1048576\n", "{size}");
            assert!(checkout.cargo(&["build"]).good().rebuilt().is_empty());
        }
    }
}

#[test]
fn a_full_disk_is_told() {
    let lab = Lab::new();
    let Some(mount) = tmpfs(&lab.store(), "size=100k") else { return };
    fs::write(lab.store().join("ballast"), vec![0; 90 << 10]).unwrap();
    right(&lab, "a");
    assert!(mount.again("size=10m"), "there is space again");
    right(&lab, "b");
    right(&lab, "c").runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn the_store_vanishes_between_builds() {
    let lab = Lab::new();
    right(&lab, "a");
    fs::remove_dir_all(lab.store()).unwrap();
    right(&lab, "b").runs()[0].expect(&[], &["leaf", "mid"]);
    right(&lab, "c").runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn half_of_the_blobs_are_gone() {
    let lab = Lab::new();
    right(&lab, "a");
    for path in under(&lab, "blobs-v1").iter().step_by(2) {
        fs::remove_file(path).unwrap();
    }
    right(&lab, "b");
    right(&lab, "c").runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn directories_of_the_store_are_gone() {
    for bucket in
        ["blobs-v1", "records-v1", "locks-v1", "tmp-v1", "memo-v1", "events-v1", "flights-v1"]
    {
        let lab = Lab::new();
        let checkout = lab.checkout("a", &app());
        checkout.build_and_run();
        let path = lab.store().join(bucket);
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        checkout.remove("target");
        assert_eq!(checkout.build_and_run(), "app 1, mid 1, leaf 1\n", "{bucket}");
        checkout.remove("target");
        checkout.build_and_run();
        checkout.last().expect(&["leaf", "mid"], &[]);
    }
}

#[test]
fn truncated_blobs() {
    let lab = Lab::new();
    right(&lab, "a");
    for path in under(&lab, "blobs-v1") {
        damage(&path, |bytes| bytes.truncate(bytes.len() / 2));
    }
    let verify = lab.larder(&["verify"]);
    assert!(!verify.ok(), "{}", verify.describe());
    right(&lab, "b");
    let told = told(&lab);
    assert!(told.contains("damaged") || told.contains("quarantine"), "{told}");
    right(&lab, "c").runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn flipped_bytes_in_blobs() {
    let lab = Lab::new();
    right(&lab, "a");
    for path in under(&lab, "blobs-v1") {
        damage(&path, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
        });
    }
    let verify = lab.larder(&["verify"]);
    assert!(!verify.ok(), "{}", verify.describe());
    right(&lab, "b");
    let told = told(&lab);
    assert!(told.contains("damaged") || told.contains("quarantine"), "{told}");
    // Each look-up may find one bad blob only; a unit has two.
    right(&lab, "c");
    right(&lab, "d").runs()[0].expect(&["leaf", "mid"], &[]);
    assert!(lab.larder(&["verify", "--repair"]).ok() && lab.larder(&["verify"]).ok());
}

#[test]
fn damaged_records() {
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.clear(),
        |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0xff),
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
    ];
    let lab = Lab::new();
    right(&lab, "first");
    for (at, change) in damages.into_iter().enumerate() {
        for path in under(&lab, "records-v1") {
            damage(&path, change);
        }
        assert!(!lab.larder(&["verify"]).ok(), "damage {at}");
        right(&lab, &format!("b{at}")).runs()[0].expect(&[], &["leaf", "mid"]);
        right(&lab, &format!("c{at}")).runs()[0].expect(&["leaf", "mid"], &[]);
    }
}

#[test]
fn records_under_the_keys_of_others() {
    let lab = Lab::new();
    right(&lab, "a");
    let records = under(&lab, "records-v1");
    let bytes: Vec<_> = records.iter().map(|path| fs::read(path).unwrap()).collect();
    for (path, other) in records.iter().zip(bytes.iter().cycle().skip(1)) {
        damage(path, |bytes| bytes.clone_from(other));
    }
    right(&lab, "b").runs()[0].expect(&[], &["leaf", "mid"]);
}

#[test]
fn rubbish_beside_the_records() {
    let lab = Lab::new();
    right(&lab, "a");
    for bucket in ["blobs-v1", "records-v1", "tmp-v1", "locks-v1", "retired-v1", "."] {
        let dir = lab.store().join(bucket);
        fs::create_dir_all(dir.join("zz/deep")).unwrap();
        fs::write(dir.join("rubbish"), "x").unwrap();
        fs::write(dir.join("zz/deep/er"), "x").unwrap();
    }
    right(&lab, "b").runs()[0].expect(&["leaf", "mid"], &[]);
    lab.larder(&["gc"]).good();
    right(&lab, "c").runs()[0].expect(&["leaf", "mid"], &[]);
    assert!(lab.store().join("rubbish").exists(), "what is not ours is left alone");
}

/// Writes into a file in place, as an editor or a tool that patches binaries would.
fn scribble(path: &Path) {
    damage(path, |bytes| bytes.iter_mut().rev().take(64).for_each(|byte| *byte = b'!'));
}

#[test]
fn scribbling_over_restored_files_reaches_no_one_else() {
    let lab = Lab::new();
    let (a, b) = (right(&lab, "a"), right(&lab, "b"));
    for checkout in [&a, &b] {
        for path in checkout.find("target/debug/deps", |name| !name.ends_with(".d")) {
            scribble(&checkout.root.join(path));
        }
        let other = right(&lab, &format!("after-{}", checkout.root.file_name().unwrap().display()));
        assert_eq!(other.runs()[0].through(), [""; 0]);
    }
    lab.larder(&["verify", "--repair"]);
    assert!(lab.larder(&["verify"]).ok());
}

#[test]
fn restored_files_can_be_removed_and_overwritten_by_cargo() {
    let lab = Lab::new();
    right(&lab, "a");
    let b = right(&lab, "b");
    b.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"2\" }\n");
    assert_eq!(b.build_and_run(), "app 1, mid 1, 2\n");
    b.cargo(&["clean", "-p", "leaf"]).good();
    assert_eq!(b.build_and_run(), "app 1, mid 1, 2\n");
    right(&lab, "c").runs()[0].expect(&["leaf", "mid"], &[]);
    assert!(lab.larder(&["verify"]).good().ok());
}

#[test]
fn counters_add_up() {
    let lab = Lab::new();
    for name in ["a", "b"] {
        lab.checkout(name, &app()).build_and_run();
    }
    let stats = lab.stats();
    let sum = |group: &str| -> u64 {
        stats[group].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum()
    };
    assert_eq!(sum("hits") + sum("misses") + sum("uncacheable"), 6, "{stats:#}");
    assert!(sum("hits") >= 2 && sum("misses") >= 2, "{stats:#}");
    lab.larder(&["stats", "--zero"]).good();
    assert_eq!(lab.stats()["hits"], serde_json::json!({}));
}
