//! What is to be uploaded: an empty file each, whose name says it all.
//!
//! Whoever stored something makes the file; it is removed when the remote has the thing, or the local
//! store has it no more. It outlives processes and reboots.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cache_core::{Digest, RecipeKey};

/// Something to be uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// An outcome of a key.
    Outcome {
        /// The key.
        key: RecipeKey,
        /// The outcome's digest.
        outcome: Digest,
    },
    /// A build whose snapshot is in the store.
    Build {
        /// The key that only this build has.
        exact: RecipeKey,
        /// The key that it shares with builds with other lock files.
        near: RecipeKey,
    },
}

impl Item {
    fn name(&self) -> String {
        match self {
            Self::Outcome { key, outcome } => format!("o-{}-{}", key.0.to_hex(), outcome.to_hex()),
            Self::Build { exact, near } => format!("b-{}-{}", exact.0.to_hex(), near.0.to_hex()),
        }
    }

    fn of(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let kind = parts.next()?;
        let mut digest = || parts.next()?.parse::<Digest>().ok();
        let (first, second) = (digest()?, digest()?);
        match kind {
            "o" => Some(Self::Outcome { key: RecipeKey(first), outcome: second }),
            "b" => Some(Self::Build { exact: RecipeKey(first), near: RecipeKey(second) }),
            _ => None,
        }
    }
}

/// The spool of a remote.
#[derive(Clone, Debug)]
pub(super) struct Spool(PathBuf);

impl Spool {
    /// The spool in a remote's directory.
    pub(super) fn new(remote_dir: &Path) -> Self {
        Self(remote_dir.join("spool"))
    }

    /// Adds something; what is there already stays as it is.
    ///
    /// # Errors
    /// What the file system says; the thing is then not uploaded.
    pub(super) fn add(&self, item: &Item) -> io::Result<()> {
        let path = self.0.join(item.name());
        match File::create(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.0)?;
                File::create(&path).map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Removes something.
    pub(super) fn remove(&self, item: &Item) {
        let _ = fs::remove_file(self.0.join(item.name()));
    }

    /// What is in it: outcomes, oldest first, then builds.
    pub(super) fn items(&self) -> Vec<Item> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut items: Vec<(bool, SystemTime, Item)> = entries
            .filter_map(|entry| {
                let item = Item::of(entry.file_name().to_str()?)?;
                let since = entry.metadata().and_then(|meta| meta.modified()).ok()?;
                Some((matches!(item, Item::Build { .. }), since, item))
            })
            .collect();
        items.sort_by_key(|(is_build, since, _)| (*is_build, *since));
        items.into_iter().map(|(_, _, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        assert_eq!(spool.items(), []);
        let digest = |text: &str| Digest::of(text.as_bytes());
        let build = Item::Build { exact: RecipeKey(digest("e")), near: RecipeKey(digest("n")) };
        let outcome = Item::Outcome { key: RecipeKey(digest("k")), outcome: digest("o") };
        for item in [&build, &outcome, &outcome] {
            spool.add(item).unwrap();
        }
        fs::write(dir.path().join("spool/strange"), "").unwrap();
        assert_eq!(spool.items(), [outcome, build], "builds need their outcomes first");
        spool.remove(&outcome);
        spool.remove(&outcome);
        assert_eq!(Spool::new(dir.path()).items(), [build]);
    }
}
