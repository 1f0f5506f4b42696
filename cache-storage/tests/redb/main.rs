//! The store in one file: its contract, and everything that may happen to the file.

#[path = "../common/mod.rs"]
mod common;
mod contract;
mod damage;
mod eviction;
mod memo;
mod processes;
mod reading;
mod room;

use std::path::Path;
use std::time::Duration;

use cache_storage::{RedbOptions, RedbStore};

/// Evicts at once whatever nobody names; waits longer than any test on a busy machine.
fn options() -> RedbOptions {
    RedbOptions { read_only: false, grace: Duration::ZERO, patience: Duration::from_secs(120) }
}

fn open(path: impl AsRef<Path>) -> RedbStore {
    RedbStore::open(path.as_ref(), options()).unwrap()
}

/// No file was found damaged, by this store or another.
fn is_sound(store: &RedbStore) {
    assert_eq!(store.last_set_aside(), None);
    for suffix in ["corrupt", "incompatible"] {
        assert!(!set_aside(store.path(), suffix).exists(), "{suffix}");
    }
}

fn set_aside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}
