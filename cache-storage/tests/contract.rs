//! Both backends keep the contract, and a broken store is found out by each check.

mod broken;

use cache_storage::conformance::{self, CHECKS};
use cache_storage::{DiskOptions, DiskStore, MemoryStore, Store};
use futures::executor::block_on;

use broken::{Broken, FAULTS};

#[test]
fn memory_store_keeps_the_contract() {
    block_on(conformance::all(&MemoryStore::new()));
}

#[test]
fn disk_store_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let store = DiskStore::open(dir.path().join("store"), DiskOptions::default()).unwrap();
    block_on(conformance::all(&store));
}

#[test]
fn disk_store_opened_for_reading_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let options = DiskOptions { read_only: true, ..DiskOptions::default() };
    let store = DiskStore::open(dir.path().join("absent"), options.clone()).unwrap();
    assert!(!store.capabilities().write);
    block_on(conformance::all(&store));
    assert!(!dir.path().join("absent").exists(), "a reader makes nothing");
}

#[test]
fn disk_store_on_another_device_than_the_target_keeps_the_contract() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: no /dev/shm");
        return;
    };
    let store = DiskStore::open(dir.path().join("store"), DiskOptions::default()).unwrap();
    block_on(conformance::all(&store));
}

#[test]
fn every_check_finds_the_fault_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    for (n, (fault, found_by)) in FAULTS.iter().enumerate() {
        let inner =
            DiskStore::open(dir.path().join(n.to_string()), DiskOptions::default()).unwrap();
        let store = Broken::new(inner, *fault);
        for name in *found_by {
            let check = CHECKS.iter().find(|check| check.name() == *name);
            let check = check.unwrap_or_else(|| panic!("no check is named {name}"));
            assert!(check.applies_to(&store), "{name} applies to {fault:?}");
            let verdict = block_on(check.run(&store));
            assert!(verdict.is_err(), "{name} must find {fault:?}");
        }
    }
}

#[test]
fn every_check_has_a_fault_that_it_finds() {
    for check in CHECKS {
        let has = FAULTS.iter().any(|(_, found_by)| found_by.contains(&check.name()));
        assert!(has, "no fault shows that {} can fail", check.name());
    }
}

#[test]
fn wrapper_of_the_broken_store_breaks_nothing_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let inner = DiskStore::open(dir.path(), DiskOptions::default()).unwrap();
    block_on(conformance::all(&Broken::new(inner, broken::Fault::None)));
}

#[test]
#[should_panic(expected = "deleted_blob_is_absent")]
fn all_panics_with_the_name_of_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let inner = DiskStore::open(dir.path(), DiskOptions::default()).unwrap();
    block_on(conformance::all(&Broken::new(inner, broken::Fault::KeepsDeletedBlobs)));
}
