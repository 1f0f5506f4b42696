//! What was served in one build, in the order in which it was started.
//!
//! One file per cargo process, to which each wrapper process appends its unit in one write. It is small
//! and may be lost: the build is then not known.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cache_core::{Digest, RecipeKey};

use super::super::script::ScriptRequest;
use super::super::unit::Request;
use super::cargo::CargoRun;
use super::codec::{Strings, put};
use super::entry::Entry;

/// A journal shorter than this, in bytes, is not worth a snapshot: a few units, as after an edit.
const WORTH_IT: u64 = 8 << 10;
/// When a journal that nobody made a snapshot of is removed.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Below the state directory; its version is that of the entries.
pub(super) const DIRECTORY: &str = "builds-v2";

/// How a unit was started.
#[derive(Debug, Clone)]
pub enum Start {
    /// A compile.
    Compile(Request),
    /// A build script's run.
    Script(ScriptRequest),
}

/// What a unit was served with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// The key of its record.
    pub key: RecipeKey,
    /// The outcome (see [`cache_core::Outcome::digest`]).
    pub outcome: Digest,
    /// Whether it came from the store.
    pub restored: bool,
}

/// The journal of one build.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal of a build, in the engine's state directory.
    #[must_use]
    pub fn of(state_dir: &Path, cargo: &CargoRun) -> Self {
        let name = format!("{}-{}", cargo.pid, cargo.started);
        Self { path: state_dir.join(DIRECTORY).join(name) }
    }

    /// How many builds have ended just now whose snapshots are still being taken.
    #[must_use]
    pub fn being_written(state_dir: &Path) -> usize {
        let entries = fs::read_dir(state_dir.join(DIRECTORY)).into_iter().flatten().flatten();
        let is_being_written = |entry: &fs::DirEntry| {
            let (path, modified) =
                (entry.path(), entry.metadata().and_then(|meta| meta.modified()));
            let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            let build = path.file_stem().and_then(|name| name.to_str()?.split_once('-'));
            let has_ended = build.is_some_and(|(pid, started)| {
                let now = super::cargo::started(&PathBuf::from(format!("/proc/{pid}")));
                now.map(|now| now.to_string()).as_deref() != Some(started)
            });
            // Whoever was to take an old one was killed.
            path.extension().is_some_and(|end| end == "watched")
                && has_ended
                && age.is_none_or(|age| age < LIFE)
                && path.with_extension("").exists()
        };
        entries.filter(is_being_written).count()
    }

    /// Adds a unit. `true` for the one process that is to see to a snapshot: the build has become
    /// worth it and nobody else does. Trouble means that the build will not be known.
    #[must_use]
    pub fn add(&self, cargo: &CargoRun, start: &Start, at: u64, served: &Noted) -> bool {
        let mut bytes = Vec::new();
        let entry = Entry::new(cargo, start, at, served);
        let Some(entry) = entry.encode(&|text| Some(text.to_vec())) else { return false };
        put(&mut bytes, &entry);
        let Ok(size) = self.append(&bytes) else { return false };
        size > WORTH_IT && self.claim()
    }

    /// `true` for one process: the one that is to wait for the build's end.
    #[must_use]
    pub fn claim(&self) -> bool {
        fs::File::create_new(self.path.with_extension("watched")).is_ok()
    }

    /// Begins with units that are in place already. Trouble means that the build will be known in part.
    pub(super) fn begin(&self, entries: &[Entry]) {
        let mut bytes = Vec::new();
        for entry in entries {
            if let Some(entry) = entry.encode(&|text| Some(text.to_vec())) {
                put(&mut bytes, &entry);
            }
        }
        let _ = self.append(&bytes);
    }

    fn append(&self, bytes: &[u8]) -> std::io::Result<u64> {
        let mut options = OpenOptions::new();
        let options = options.append(true);
        let mut file = match options.open(&self.path) {
            Ok(file) => file,
            Err(_) => {
                if let Some(dir) = self.path.parent() {
                    fs::create_dir_all(dir)?;
                    sweep(dir);
                }
                options.create(true).open(&self.path)?
            }
        };
        file.write_all(bytes)?;
        Ok(file.metadata()?.len())
    }

    /// What is in it so far, by start. A torn end is left out.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let mut strings = Strings(&bytes);
        let mut entries = Vec::new();
        while let Some(entry) = strings.next() {
            entries.extend(Entry::decode(entry, &|text| Some(text.to_vec())));
        }
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// Removes it.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.path.with_extension("watched"));
    }
}

fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > LIFE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
