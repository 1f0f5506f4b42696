//! Which outcomes a remote has, and in which packs, as this machine has seen it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use cache_core::Digest;
use cache_storage::bundle::Places;

/// A directory with a file for each outcome; builds have one too, which says which snapshot is there.
#[derive(Clone, Debug)]
pub(super) struct Placed(PathBuf);

impl Placed {
    pub(super) fn new(remote_dir: &Path) -> Self {
        Self(remote_dir.join("placed"))
    }

    /// Where an outcome's blobs are; `None` when that is not known.
    pub(super) fn get(&self, outcome: &Digest) -> Option<Places> {
        Places::decode(&fs::read(self.0.join(outcome.to_hex())).ok()?).ok()
    }

    /// Notes where they are.
    pub(super) fn put(&self, outcome: &Digest, places: &Places) {
        self.write(&outcome.to_hex(), &places.encode());
    }

    /// Forgets an outcome whose packs were not there.
    pub(super) fn forget(&self, outcome: &Digest) {
        let _ = fs::remove_file(self.0.join(outcome.to_hex()));
    }

    /// Whether a build's snapshot is known to be there as it is.
    pub(super) fn has_build(&self, exact: &str, snapshot: &Digest) -> bool {
        let known = fs::read(self.0.join(format!("build-{exact}")));
        known.is_ok_and(|known| known == snapshot.as_bytes())
    }

    /// Notes that it is.
    pub(super) fn put_build(&self, exact: &str, snapshot: &Digest) {
        self.write(&format!("build-{exact}"), snapshot.as_bytes());
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        // What is not known is uploaded once more.
        let written = || {
            fs::create_dir_all(&self.0).ok()?;
            let mut file = tempfile::NamedTempFile::new_in(&self.0).ok()?;
            file.write_all(bytes).ok()?;
            file.persist(self.0.join(name)).ok()
        };
        let _ = written();
    }
}
