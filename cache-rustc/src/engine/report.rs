//! What became of one invocation.

use std::fmt;

use cache_core::{EnvValue, Fact, RecipeKey};

use super::dispatch::Sent;
use super::facts::World;
use super::supply::Supplied;

/// What became of one invocation, for statistics and for `why`.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Crate name, or empty where there is none (probes).
    pub crate_name: String,
    /// Crate name and cargo's extra file name: tells units of one crate apart.
    pub unit: String,
    /// What kind of unit: `lib`, `check`, `bin`, `proc-macro`, `test`, ….
    pub kind: String,
    /// How it was served.
    pub served: Served,
    /// The first-level key, where one was made.
    pub key: Option<RecipeKey>,
    /// What was restored or stored, by a digest of its streams and outputs.
    pub outcome: Option<cache_core::Digest>,
    /// What the supply had to do with it.
    pub supplied: Supplied,
    /// What other machines had to do with it.
    pub sent: Sent,
    /// What other machines lacked at first and got in a second try: `file: PATH`, `env: NAME`, `system: …`
    /// for files of the system that had to be compared, `pruned: …` for any of those left out before.
    pub lacked: Vec<String>,
    /// How many files were sent along, at last, the toolchain's not counted.
    pub sent_files: u64,
    /// Microseconds that another machine compiled it, if that is what was used and it says so.
    pub there_us: u64,
    /// Where the time went.
    pub spans: Spans,
    /// Bytes that were hard-linked, cloned or copied into the target directory.
    pub linked_bytes: u64,
    /// See `linked_bytes`.
    pub copied_bytes: u64,
    /// Bytes of the outputs taken into the store (linked ones too).
    pub stored_bytes: u64,
    /// Troubles met on the way that did not change the result, in plain words.
    pub faults: Vec<String>,
}

/// How an invocation was served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Served {
    /// Passed through without a look-up.
    Through {
        /// Stable reason, with a detail after a colon where there is one.
        reason: String,
    },
    /// Restored.
    Hit {
        /// Microseconds the stored execution took.
        saved_us: u64,
    },
    /// Executed.
    Miss {
        /// Why nothing was restored.
        why: Miss,
        /// Why the result was not stored; `None` when it was.
        not_stored: Option<String>,
    },
    /// Nothing has happened yet.
    #[default]
    Pending,
}

/// Why nothing was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// No record of this recipe.
    New,
    /// Records, but none holds: what differs from the newest.
    Changed(Change),
    /// An outcome was found and could not be restored.
    Damaged(String),
    /// Looking up was switched off (`refresh`).
    Refresh,
}

/// What differs between an observation and here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `file`, `env`, `dir`, `absent`, `present`, `link`, `root` or `variant`.
    pub kind: &'static str,
    /// Which one, as a template or name.
    pub subject: String,
    /// How, in plain words.
    pub how: String,
}

/// Microseconds spent in each phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spans {
    /// From the process' start to the engine's (the caller's part).
    pub start_us: u64,
    /// Understanding the invocation and making its key.
    pub key_us: u64,
    /// Reading the record and checking observations.
    pub check_us: u64,
    /// Making outputs appear.
    pub restore_us: u64,
    /// Waiting for other machines before it was compiled here after all.
    pub sent_us: u64,
    /// Running the compiler, here or elsewhere.
    pub run_us: u64,
    /// Observing, hashing and storing.
    pub store_us: u64,
    /// Waiting for the same action in another process.
    pub wait_us: u64,
    /// Everything the engine did.
    pub total_us: u64,
}

/// A time in whole microseconds.
pub(super) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Counts microseconds since the last lap.
#[derive(Debug)]
pub struct Laps {
    first: std::time::Instant,
    last: std::time::Instant,
}

impl Laps {
    /// Starts.
    #[must_use]
    pub fn start() -> Self {
        let now = std::time::Instant::now();
        Self { first: now, last: now }
    }

    /// Microseconds since the last lap (or the start).
    pub fn lap(&mut self) -> u64 {
        let now = std::time::Instant::now();
        let lap = now - std::mem::replace(&mut self.last, now);
        micros(lap)
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        micros(self.first.elapsed())
    }
}

impl Change {
    /// Says in plain words how a fact differs here.
    #[must_use]
    pub fn of(fact: &Fact, world: &World<'_>) -> Self {
        let path_change = |kind, path: &cache_core::Template, how: &str| Self {
            kind,
            subject: path.to_string(),
            how: how.into(),
        };
        match fact {
            Fact::File { path, .. } => {
                let gone = world
                    .action
                    .place()
                    .expand(path)
                    .is_none_or(|path| super::facts::is_absent(&path));
                path_change("file", path, if gone { "is gone" } else { "changed" })
            }
            Fact::Dir { path, .. } => path_change("dir", path, "has other entries"),
            Fact::Absent { path } => path_change("absent", path, "was absent and is there now"),
            Fact::Present { path, .. } => {
                path_change("present", path, "was there and is gone or of another kind")
            }
            Fact::Link { path, .. } => path_change("link", path, "points elsewhere"),
            Fact::Bound { root, path } => {
                let how = format!(
                    "outputs carry the path {} and hold only there",
                    String::from_utf8_lossy(path)
                );
                Self { kind: "root", subject: root.to_string(), how }
            }
            Fact::Variant { name, .. } => {
                Self { kind: "variant", subject: name.clone(), how: "differs".into() }
            }
            Fact::Env { name, value } => Self::of_env(name, value, world),
        }
    }

    fn of_env(name: &[u8], was: &EnvValue, world: &World<'_>) -> Self {
        let now = world
            .action
            .env()
            .get(std::os::unix::ffi::OsStrExt::from_bytes(name) as &std::ffi::OsStr);
        let was = match was {
            EnvValue::Unset => "unset".to_owned(),
            EnvValue::Digest(_) => "another value".to_owned(),
            EnvValue::Path(template) => template.to_string(),
        };
        let now = now
            .map_or_else(|| "unset".to_owned(), |value| format!("{:?}", value.to_string_lossy()));
        Self {
            kind: "env",
            subject: String::from_utf8_lossy(name).into_owned(),
            how: format!("went from {was} to {now}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            "env" => write!(f, "env {} {}", self.subject, self.how),
            "root" => write!(f, "the {} root differs: {}", self.subject, self.how),
            _ => write!(f, "{} {}", self.subject, self.how),
        }
    }
}
