//! Opens the store that a URL names.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use super::blame::Blame;
use super::config::{ObjectStoreConfig, misconfigured};
use super::location::{Location, Scheme, URL};
use super::swap::{Asks, Swap};
use super::{azure, gcs, s3, webdav};
use crate::Result;

/// A store of objects and what to know about it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) blame: Blame,
    /// How records are replaced.
    pub(super) swap: Swap,
}

impl Opened {
    pub(super) fn new(config: &ObjectStoreConfig, location: &Location) -> Result<Self> {
        match location.scheme {
            Scheme::S3 => s3::open(config, location),
            Scheme::Gcs => gcs::open(config, location),
            Scheme::Azure => azure::open(config, location),
            Scheme::Http => webdav::open(config, location),
            Scheme::File => directory(config, location),
            Scheme::Memory => {
                config.check_options(|_| false, "none")?;
                let store = Arc::new(InMemory::new());
                let blame = Blame::new(location, &[]);
                Ok(Self { store, blame, swap: Swap::Native })
            }
        }
    }
}

fn directory(config: &ObjectStoreConfig, location: &Location) -> Result<Opened> {
    config.check_options(|_| false, "none")?;
    let path: PathBuf = location
        .url
        .to_file_path()
        .map_err(|()| misconfigured(URL, "write file:///, then an absolute path"))?;
    let failed = |why: String| misconfigured(URL, format!("{}: {why}", path.display()));
    if !config.read_only {
        std::fs::create_dir_all(&path).map_err(|e| failed(e.to_string()))?;
    }
    let store = LocalFileSystem::new_with_prefix(&path).map_err(|e| failed(e.to_string()))?;
    let blame = Blame::new(location, &[]);
    Ok(Opened { store: Arc::new(store), blame, swap: Swap::locked(Asks::Absent) })
}
