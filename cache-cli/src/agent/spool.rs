//! What is to be uploaded: a file each, whose name says what it is. That of an outcome is empty; that of a
//! build has the keys of builds like it, a line each.
//!
//! Whoever stored something makes the file; it is removed when the remote has the thing, or the local
//! store has it no more. It outlives processes and reboots.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cache_core::{Digest, RecipeKey};

/// How names of files begin that are being written.
const UNFINISHED: &str = "new-";
/// Whoever wrote one that is so old was killed.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Something to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// The keys that it shares with builds with other lock files.
        near: Vec<RecipeKey>,
    },
}

impl Item {
    fn name(&self) -> String {
        match self {
            Self::Outcome { key, outcome } => format!("o-{}-{}", key.0.to_hex(), outcome.to_hex()),
            Self::Build { exact, .. } => format!("b-{}", exact.0.to_hex()),
        }
    }

    fn of(path: &Path) -> Option<Self> {
        let mut parts = path.file_name()?.to_str()?.split('-');
        let kind = parts.next()?;
        let mut key = || parts.next()?.parse().ok().map(RecipeKey);
        match kind {
            "o" => Some(Self::Outcome { key: key()?, outcome: key()?.0 }),
            "b" => {
                let exact = key()?;
                let near = fs::read_to_string(path).ok()?;
                let near = near.lines().filter_map(|line| line.parse().ok().map(RecipeKey));
                Some(Self::Build { exact, near: near.collect() })
            }
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
        match self.write(item) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.0)?;
                self.write(item)
            }
            other => other,
        }
    }

    fn write(&self, item: &Item) -> io::Result<()> {
        let path = self.0.join(item.name());
        let Item::Build { near, .. } = item else { return File::create(path).map(drop) };
        let content: String = near.iter().map(|key| key.0.to_hex() + "\n").collect();
        // Under another name first: whoever finds it finds all of it.
        let unfinished = self.0.join(format!("{UNFINISHED}{}-{}", std::process::id(), item.name()));
        fs::write(&unfinished, content)?;
        fs::rename(&unfinished, path)
    }

    /// Removes something.
    pub(super) fn remove(&self, item: &Item) {
        let _ = fs::remove_file(self.0.join(item.name()));
    }

    /// Whether a file was never finished; it is removed.
    fn is_abandoned(&self, entry: &fs::DirEntry) -> bool {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            return false;
        }
        let since = entry.metadata().and_then(|meta| meta.modified());
        let age = since.ok().and_then(|since| since.elapsed().ok());
        let old = age.is_some_and(|age| age > ABANDONED);
        if old {
            let _ = fs::remove_file(self.0.join(name));
        }
        old
    }

    /// What is in it: outcomes, oldest first, then builds.
    pub(super) fn items(&self) -> Vec<Item> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| !self.is_abandoned(entry));
        let mut items: Vec<(bool, SystemTime, Item)> = entries
            .filter_map(|entry| {
                let item = Item::of(&entry.path())?;
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
        let build = Item::Build {
            exact: RecipeKey(digest("e")),
            near: ["n", "m"].map(|key| RecipeKey(digest(key))).into(),
        };
        let outcome = Item::Outcome { key: RecipeKey(digest("k")), outcome: digest("o") };
        for item in [&build, &outcome, &outcome] {
            spool.add(item).unwrap();
        }
        fs::write(dir.path().join("spool/strange"), "").unwrap();
        assert_eq!(
            spool.items(),
            [outcome.clone(), build.clone()],
            "builds need their outcomes first"
        );
        spool.remove(&outcome);
        spool.remove(&outcome);
        assert_eq!(Spool::new(dir.path()).items(), [build]);
    }
}
