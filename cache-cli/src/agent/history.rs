//! How fast a remote was, for deciding what is worth asking it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The weight of what was measured last, out of 8.
const WEIGHT: u64 = 2;
/// Past this, in seconds, what was measured does not count any more.
const OLD: u64 = 24 * 60 * 60;
/// A remote that failed is not waited for so long after, in seconds.
const GRUDGE: u64 = 10 * 60;
/// Transfers that are shorter say more of the latency than of the throughput.
const TELLING: u64 = 64 << 10;
/// Unless they take this long, in microseconds.
const TELLING_US: u64 = 200_000;
/// A link with fewer bytes a second is slow: 160 Mbit/s.
const SLOW_LINK: u64 = 20 << 20;

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Figures {
    /// From asking for something small to having it, in microseconds.
    pub(super) latency_us: Option<u64>,
    /// Bytes a second of all transfers at once.
    pub(super) throughput: Option<u64>,
    /// When that was measured last, in seconds since the Unix epoch.
    pub(super) measured: u64,
    /// When it last failed, likewise; 0: it has answered since.
    pub(super) failed: u64,
}

impl Figures {
    /// Whether the link, not the server, is what limits.
    pub(super) fn is_slow(&self) -> bool {
        self.throughput.is_some_and(|rate| rate < SLOW_LINK)
    }
}

/// Figures that are kept in a file.
#[derive(Debug)]
pub(super) struct History {
    pub(super) figures: Figures,
    path: PathBuf,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

impl History {
    /// What is known in a remote's directory.
    pub(super) fn load(dir: &Path) -> Self {
        let path = dir.join("history.json");
        let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known: Figures = read.unwrap_or_default();
        let mut figures = known;
        if now().saturating_sub(known.measured) > OLD {
            figures = Figures { failed: known.failed, ..Figures::default() };
        }
        if now().saturating_sub(known.failed) > GRUDGE {
            figures.failed = 0;
        }
        Self { figures, path }
    }

    /// Something small took so long.
    pub(super) fn answered(&mut self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.figures.latency_us = Some(blend(self.figures.latency_us, took));
        self.figures.measured = now();
        self.figures.failed = 0;
        self.save();
    }

    /// So many bytes came in so long.
    pub(super) fn transferred(&mut self, bytes: u64, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        if bytes < TELLING && micros < TELLING_US {
            return;
        }
        let rate = bytes.saturating_mul(1_000_000) / micros;
        self.figures.throughput = Some(blend(self.figures.throughput, rate.max(1)));
        self.figures.measured = now();
        self.save();
    }

    /// It did not answer, or not as it should.
    pub(super) fn failed(&mut self) {
        self.figures.failed = now();
        self.save();
    }

    fn save(&self) {
        // Without it the next agent begins without knowing.
        let Some(dir) = self.path.parent() else { return };
        let Ok(mut file) = tempfile::NamedTempFile::new_in(dir) else { return };
        let bytes = serde_json::to_vec(&self.figures).unwrap_or_default();
        if file.write_all(&bytes).is_ok() {
            let _ = file.persist(&self.path);
        }
    }
}

fn blend(known: Option<u64>, measured: u64) -> u64 {
    let Some(known) = known else { return measured };
    (known.saturating_mul(8 - WEIGHT).saturating_add(measured.saturating_mul(WEIGHT))) / 8
}
