//! What became of each invocation: an append-only log that `stats` and `why` read.
//!
//! ```text
//! <dir>/events-v1/log.jsonl         the newest events, one JSON object a line
//! <dir>/events-v1/log-<us>-<pid>.jsonl  full logs, named by when they were closed
//! <dir>/events-v1/folded.json       the sums of older logs, and each unit's last events
//! <dir>/events-v1/fold.lock         flock(2): who folds or zeroes
//! ```
//!
//! A writer makes one `O_APPEND` write per invocation and takes no lock, so a killed process loses
//! at most its own line. A reader skips what it cannot read. The directory may be deleted at any
//! time.

mod fold;
mod log;
mod totals;

use cache_rustc::engine::{Miss, Report, Sent, Served, Spans, Supplied};
use serde::{Deserialize, Serialize};

pub(crate) use fold::{History, zero};
pub(crate) use log::append;
pub(crate) use totals::{Counts, Totals, class, sum};

/// The version that this program writes; events of a later one are skipped.
const VERSION: u32 = 1;

/// Of what other machines lacked, so much is written down.
const LACKED: usize = 100;

/// How an invocation was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Did {
    Hit,
    Miss,
    #[default]
    Through,
}

/// One invocation. Absent fields have their default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Event {
    /// The format's version.
    pub(crate) v: u32,
    /// When it ended, in microseconds since the Unix epoch.
    pub(crate) at: u64,
    /// Crate name; empty for questions to the compiler.
    #[serde(rename = "crate", skip_serializing_if = "empty")]
    pub(crate) crate_name: String,
    /// Crate name with cargo's hash.
    #[serde(skip_serializing_if = "empty")]
    pub(crate) unit: String,
    /// `lib`, `check`, `bin`, ….
    #[serde(skip_serializing_if = "empty")]
    pub(crate) kind: String,
    /// How it was served.
    pub(crate) did: Did,
    /// Through: why. Miss: `new`, `changed`, `damaged` or `refresh`.
    #[serde(skip_serializing_if = "empty")]
    pub(crate) why: String,
    /// What was damaged, for `damaged`.
    #[serde(skip_serializing_if = "empty")]
    pub(crate) detail: String,
    /// The recipe's key in hex.
    #[serde(skip_serializing_if = "empty")]
    pub(crate) key: String,
    /// What differed from the newest record, for `changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Change>,
    /// Why a miss was not stored; empty when it was.
    #[serde(skip_serializing_if = "empty")]
    pub(crate) not_stored: String,
    /// The recipe's fields, for a miss of a recipe that is in no record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) recipe: Vec<(String, String)>,
    /// What the remote had to do with it: `brought`, `overtook`, `too-late` or `nothing`; empty when it was
    /// not asked.
    #[serde(skip_serializing_if = "empty")]
    pub(crate) remote: String,
    /// What other machines had to do with compiling it: `used`, `overtook`, `too-late`, or
    /// `failed: ` with the reason why it was compiled here; empty when they were not asked.
    #[serde(skip_serializing_if = "empty")]
    pub(crate) sent: String,
    /// What they lacked at first: see [`Report::lacked`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lacked: Vec<String>,
    /// How many files they were sent, the toolchain's not counted.
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) sent_files: u64,
    /// What another machine's compiler took, where its result was used.
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) there_us: u64,
    /// What the stored execution took, for a hit.
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) saved_us: u64,
    /// What this took.
    pub(crate) us: Times,
    /// Bytes of outputs that share the store's blocks.
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) linked: u64,
    /// Bytes of outputs that were written.
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) copied: u64,
    /// Bytes of outputs taken into the store.
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) stored: u64,
    /// Troubles that did not change the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) faults: Vec<String>,
}

/// What differed: see [`cache_rustc::engine::Change`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Change {
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) how: String,
}

/// Microseconds by phase: see [`Spans`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Times {
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) start: u64,
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) key: u64,
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) check: u64,
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) restore: u64,
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) sent: u64,
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) run: u64,
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) store: u64,
    #[serde(skip_serializing_if = "zeroed")]
    pub(crate) wait: u64,
    pub(crate) total: u64,
}

fn empty(text: &str) -> bool {
    text.is_empty()
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn zeroed(number: &u64) -> bool {
    *number == 0
}

impl Times {
    fn of(spans: Spans) -> Self {
        Self {
            start: spans.start_us,
            key: spans.key_us,
            check: spans.check_us,
            restore: spans.restore_us,
            sent: spans.sent_us,
            run: spans.run_us,
            store: spans.store_us,
            wait: spans.wait_us,
            total: spans.total_us,
        }
    }
}

impl Event {
    /// What `report` says, as of now.
    pub(crate) fn of(report: &Report) -> Self {
        let mut event = Self {
            v: VERSION,
            at: now_us(),
            crate_name: report.crate_name.clone(),
            unit: report.unit.clone(),
            kind: report.kind.clone(),
            key: report.key.map(|key| key.to_string()).unwrap_or_default(),
            us: Times::of(report.spans),
            linked: report.linked_bytes,
            copied: report.copied_bytes,
            stored: report.stored_bytes,
            faults: report.faults.clone(),
            remote: supplied(report.supplied).into(),
            sent: sent(&report.sent),
            lacked: report.lacked.iter().take(LACKED).cloned().collect(),
            sent_files: report.sent_files,
            there_us: report.there_us,
            ..Self::default()
        };
        match &report.served {
            Served::Hit { saved_us } => {
                event.did = Did::Hit;
                event.saved_us = *saved_us;
            }
            Served::Miss { why, not_stored } => {
                event.did = Did::Miss;
                event.not_stored = not_stored.clone().unwrap_or_default();
                event.set_miss(why);
            }
            Served::Through { reason } => event.why.clone_from(reason),
            Served::Pending => event.why = "pending".into(),
        }
        event
    }

    fn set_miss(&mut self, why: &Miss) {
        self.why = match why {
            Miss::New => "new",
            Miss::Changed(_) => "changed",
            Miss::Damaged(_) => "damaged",
            Miss::Refresh => "refresh",
        }
        .into();
        match why {
            Miss::Changed(change) => {
                self.change = Some(Change {
                    kind: change.kind.into(),
                    subject: change.subject.clone(),
                    how: change.how.clone(),
                });
            }
            Miss::Damaged(detail) => self.detail.clone_from(detail),
            Miss::New | Miss::Refresh => {}
        }
    }

    /// Whether this is about a unit, not a question such as `rustc -vV`.
    pub(crate) fn is_unit(&self) -> bool {
        self.did != Did::Through || !(self.why == "query" || self.crate_name.is_empty())
    }
}

fn supplied(supplied: Supplied) -> &'static str {
    match supplied {
        Supplied::NotAsked => "",
        Supplied::Nothing => "nothing",
        Supplied::Brought => "brought",
        Supplied::Overtook => "overtook",
        Supplied::TooLate => "too-late",
    }
}

fn sent(sent: &Sent) -> String {
    match sent {
        Sent::NotAsked => String::new(),
        Sent::Used => "used".into(),
        Sent::Overtook => "overtook".into(),
        Sent::TooLate => "too-late".into(),
        Sent::Failed(why) => format!("failed: {why}"),
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
