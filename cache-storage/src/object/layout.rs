//! Names of objects, as the [module above](super) documents them.
//!
//! They are made of digits only, so that nothing is ever written outside of the prefix. Servers that
//! keep directories have at most 256 of each kind.

use cache_core::{Digest, RecipeKey};
use object_store::path::Path;

/// Version of names and formats.
const VERSION: &str = "v1";
const RECORDS: &str = "records";
const BLOBS: &str = "blobs";

/// Names below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    prefix: Path,
    records: Path,
    blobs: Path,
}

impl Layout {
    pub(super) fn new(prefix: &Path) -> Self {
        let version = prefix.clone().join(VERSION);
        let (records, blobs) = (version.clone().join(RECORDS), version.join(BLOBS));
        Self { prefix: prefix.clone(), records, blobs }
    }

    pub(super) fn record(&self, key: &RecipeKey) -> Path {
        sharded(&self.records, &key.0)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Path {
        sharded(&self.blobs, digest)
    }

    /// What everything is below.
    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// What everything of this version is below.
    pub(super) fn version(&self) -> Path {
        self.prefix.clone().join(VERSION)
    }

    /// What all records are below.
    pub(super) fn records(&self) -> &Path {
        &self.records
    }

    /// The key of the record at `path`; `None` for what is not ours.
    pub(super) fn record_at(&self, path: &Path) -> Option<RecipeKey> {
        let name = path.filename()?;
        let key = RecipeKey(name.parse().ok()?);
        (self.record(&key) == *path).then_some(key)
    }
}

fn sharded(parent: &Path, digest: &Digest) -> Path {
    let name = digest.to_hex();
    parent.clone().join(&name[..2]).join(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        let digest = Digest::of(b"");
        let hex = digest.to_hex();
        let layout = Layout::new(&Path::from("team/cache"));
        assert_eq!(layout.blob(&digest).as_ref(), format!("team/cache/v1/blobs/af/{hex}"));
        let record = layout.record(&RecipeKey(digest));
        assert_eq!(record.as_ref(), format!("team/cache/v1/records/af/{hex}"));
        assert_eq!(layout.record_at(&record), Some(RecipeKey(digest)));
        let bare = Layout::new(&Path::default());
        assert_eq!(bare.blob(&digest).as_ref(), format!("v1/blobs/af/{hex}"));
    }

    #[test]
    fn foreign_names_are_nobodys_keys() {
        let layout = Layout::new(&Path::from("p"));
        let hex = Digest::of(b"").to_hex();
        for foreign in [
            "p/v1/records/README".to_owned(),
            format!("p/v1/records/{hex}"),
            format!("p/v1/records/00/{hex}"),
            format!("p/v1/records/af/{hex}.tmp"),
            format!("p/v1/records/af/{}", hex.to_uppercase()),
            format!("p/v1/blobs/af/{hex}"),
            format!("v1/records/af/{hex}"),
        ] {
            assert_eq!(layout.record_at(&Path::from(foreign.as_str())), None, "{foreign}");
        }
    }
}
