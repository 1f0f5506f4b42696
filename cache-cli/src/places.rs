//! Where this program keeps what is not a store's: events and state.

use std::path::{Path, PathBuf};

use cache_core::Digest;
use cache_storage::{Budget, DiskOptions, DiskStore, Store, StoreError};

use crate::config::Config;

/// The store, and the directories beside it.
#[derive(Debug)]
pub(crate) struct Places {
    /// The store's directory.
    pub(crate) store: PathBuf,
    /// Where events are: the store's directory, or when that cannot be written, a directory of its
    /// own below the default one.
    pub(crate) events: PathBuf,
    /// Where the engine's state is, likewise.
    pub(crate) state: PathBuf,
}

impl Places {
    /// The places of a store that can be written (or is still to be made).
    fn inside(store: &Path) -> Self {
        Self { store: store.into(), events: store.into(), state: store.join("state-v1") }
    }

    /// The places of a store that cannot be written.
    fn beside(store: &Path, default_dir: Option<&Path>) -> Self {
        let Some(base) = default_dir.filter(|base| *base != store) else {
            return Self::inside(store);
        };
        let name = Digest::of(store.as_os_str().as_encoded_bytes()).to_hex();
        let name = name.get(..16).unwrap_or_default();
        Self {
            store: store.into(),
            events: base.join("elsewhere-v1").join(name),
            state: base.join("state-v1"),
        }
    }
}

/// Why there is no store, in words for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoStore {
    /// Neither `LARDER_DIR` nor a home directory.
    #[error("no store: there is no home directory; set LARDER_DIR to an absolute path")]
    NoHome,
    /// The directory cannot be used.
    #[error("no store at {0}")]
    Unusable(StoreError),
}

/// Opens the configured store, for a command that can do nothing without.
///
/// # Errors
/// Why there is none.
pub(crate) fn open_store(config: &Config) -> Result<DiskStore, NoStore> {
    open(config).1
}

/// Opens the configured store. The places are given even when it cannot be opened, as far as they
/// are known, so that the event can be counted.
pub(crate) fn open(config: &Config) -> (Option<Places>, Result<DiskStore, NoStore>) {
    let Some(dir) = config.dir.value.as_deref() else { return (None, Err(NoStore::NoHome)) };
    let options = DiskOptions { budget: config.size.value, ..DiskOptions::default() };
    let store = DiskStore::open(dir, options);
    let writable = store.as_ref().is_ok_and(|store| store.capabilities().write);
    let places = if writable {
        Places::inside(dir)
    } else {
        Places::beside(dir, config.default_dir.as_deref())
    };
    (Some(places), store.map_err(NoStore::Unusable))
}

/// The budget in words.
pub(crate) fn budget(budget: Budget) -> String {
    match budget {
        Budget::Auto => "auto (20 GiB, at most a tenth of the disk)".into(),
        Budget::Unlimited => "unlimited".into(),
        Budget::Bytes(bytes) => crate::text::bytes(bytes),
    }
}
