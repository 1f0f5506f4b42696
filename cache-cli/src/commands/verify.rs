//! `larder verify`: reads and hashes everything again.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cache_storage::{Progress, VerifyReport};

use crate::config::Config;
use crate::places;
use crate::text::{bytes, count};

/// Checks the store; `false` when something is wrong and was not repaired.
///
/// # Errors
/// When there is no store, or it cannot be read (or written, for `repair`).
pub(super) fn run(repair: bool) -> Result<bool> {
    let store = places::open_store(&Config::load())?;
    let mut meter = Meter::new();
    let report = store
        .verify(repair, &mut |progress| meter.show(progress))
        .with_context(|| format!("{} cannot be checked", store.root().display()));
    meter.clear();
    let report = report?;
    say!("{}", describe(&report, repair));
    Ok(report.is_clean() || repair)
}

fn describe(report: &VerifyReport, repair: bool) -> String {
    let mut out = format!(
        "{} ({}) and {} read\n",
        count(report.blobs, "blob"),
        bytes(report.blob_bytes),
        count(report.records, "record")
    );
    let mut list = |what: &str, done: &str, names: Vec<String>| {
        if !names.is_empty() {
            let done = if repair { done } else { "run `larder verify --repair`" };
            out += &format!("{} {what} ({done}):\n", names.len());
        }
        for name in names.iter().take(20) {
            out += &format!("  {name}\n");
        }
    };
    let corrupt = report.corrupt_blobs.iter().map(ToString::to_string).collect();
    list("blobs with other bytes than their digest", "set aside", corrupt);
    let bad = report.bad_records.iter().map(ToString::to_string).collect();
    list("damaged records", "removed", bad);
    let dangling = report.dangling.iter().map(|(key, blob)| format!("{key} needs {blob}"));
    list("blobs missing that records name", "dropped from the records", dangling.collect());
    let foreign = report.foreign.iter().map(|path| path.display().to_string()).collect();
    list("files that are not the store's", "set aside", foreign);
    if report.is_clean() {
        out += "everything is as it should be\n";
    }
    out
}

/// Shows how far it is, where somebody is looking.
struct Meter {
    terminal: bool,
    shown: Option<Instant>,
}

impl Meter {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None }
    }

    fn show(&mut self, progress: Progress) {
        let due = self.shown.is_none_or(|at| at.elapsed() > Duration::from_millis(100));
        if self.terminal && due {
            self.shown = Some(Instant::now());
            eprint!("\r\x1b[K{} of {}", bytes(progress.done), bytes(progress.total));
            let _ = std::io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
