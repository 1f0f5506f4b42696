//! What was counted of an engine, since the agent has it open.

use std::collections::BTreeMap;
use std::time::Duration;

use cache_dist::schedule::Fleet;
use cache_dist::{Spent, Uploaded};
use serde_json::{Value, json};

/// Workers that are told apart; engines may name each action's anew.
const WORKERS: usize = 1000;

/// Counts, bytes and times.
#[derive(Debug, Default)]
pub(super) struct Figures {
    done: u64,
    /// Those of the done that the engine had the results of.
    cached: u64,
    /// Whoever asked went away: mostly because this machine was faster.
    given_up: u64,
    /// Times that a job was sent once more.
    again: u64,
    /// Taken, but not done, by reason.
    failed: BTreeMap<String, u64>,
    /// Not taken, by reason.
    refused: BTreeMap<String, u64>,
    uploaded: Uploaded,
    toolchain: Uploaded,
    downloaded: u64,
    times: Times,
    /// Actions by worker.
    workers: BTreeMap<String, u64>,
}

/// Sums over the jobs that were done, as far as the engine says.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// From taking the job to its end.
    total: Duration,
    /// Making the tree of inputs.
    tree: Duration,
    queued: Duration,
    longest_queued: Duration,
    /// Bringing inputs to the worker.
    staging: Duration,
    run: Duration,
    /// Bringing outputs from the worker to the engine's storage.
    collecting: Duration,
}

impl Figures {
    /// A job was done so long after it was taken.
    pub(super) fn done(&mut self, spent: &Spent, total: Duration) {
        self.done += 1;
        self.cached += u64::from(spent.cached);
        self.uploaded += spent.uploaded;
        self.toolchain += spent.toolchain;
        self.downloaded += spent.downloaded;
        let (times, theirs) = (&mut self.times, &spent.timings);
        times.total += total;
        times.tree += spent.tree;
        // A result of an earlier run has the times of that.
        if !spent.cached {
            let queued = theirs.queued.unwrap_or_default();
            times.queued += queued;
            times.longest_queued = times.longest_queued.max(queued);
            times.staging += theirs.inputs.unwrap_or_default();
            times.run += theirs.run.unwrap_or_default();
            times.collecting += theirs.outputs.unwrap_or_default();
            if self.workers.len() < WORKERS || self.workers.contains_key(&spent.worker) {
                *self.workers.entry(spent.worker.clone()).or_default() += 1;
            }
        }
    }

    /// A toolchain was brought ahead of jobs.
    pub(super) fn toolchain(&mut self, uploaded: Uploaded) {
        self.toolchain += uploaded;
    }

    /// A job that was taken came to nothing.
    pub(super) fn failed(&mut self, why: &str) {
        count(&mut self.failed, why);
    }

    /// A job was not taken.
    pub(super) fn refused(&mut self, why: &str) {
        count(&mut self.refused, why);
    }

    /// A job was sent once more, since it did not end.
    pub(super) fn sent_again(&mut self) {
        self.again += 1;
    }

    /// Whoever asked has gone away.
    pub(super) fn given_up(&mut self) {
        self.given_up += 1;
    }

    /// All of it as JSON: times in microseconds, sizes in bytes.
    pub(super) fn json(&self, fleet: &Fleet) -> Value {
        let speeds: BTreeMap<&str, f64> = fleet.workers().collect();
        let worker = |(name, actions): (&String, &u64)| json!({ "name": name, "actions": actions, "speed": speeds.get(name.as_str()) });
        let Times { total, tree, queued, longest_queued, staging, run, collecting } = self.times;
        json!({
            "done": self.done,
            "cached": self.cached,
            "given_up": self.given_up,
            "sent_again": self.again,
            "failed": self.failed,
            "refused": self.refused,
            "uploaded": uploaded(&self.uploaded),
            "toolchain": uploaded(&self.toolchain),
            "downloaded": self.downloaded,
            "time_us": {
                "total": us(total),
                "tree": us(tree),
                "uploading": us(self.uploaded.time),
                "queued": us(queued),
                "longest_queued": us(longest_queued),
                "staging": us(staging),
                "run": us(run),
                "collecting": us(collecting),
            },
            "workers": self.workers.iter().map(worker).collect::<Vec<_>>(),
        })
    }
}

fn uploaded(uploaded: &Uploaded) -> Value {
    json!({ "blobs": uploaded.blobs, "bytes": uploaded.bytes, "found": uploaded.found })
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Counts by the stable part of a reason.
fn count(counts: &mut BTreeMap<String, u64>, why: &str) {
    *counts.entry(crate::events::class(why).to_owned()).or_default() += 1;
}
