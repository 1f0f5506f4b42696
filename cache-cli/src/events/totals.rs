//! Sums over events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Did, Event};

/// A number by name.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Sums over events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    /// Hits by kind of unit.
    pub(crate) hits: Counts,
    /// Misses by cause.
    pub(crate) misses: Counts,
    /// Units passed through, by reason.
    pub(crate) uncacheable: Counts,
    /// Questions to the compiler (`-vV`, `--print`).
    pub(crate) queries: u64,
    /// Misses that were not stored, by reason.
    pub(crate) not_stored: Counts,
    /// Troubles that did not change a result.
    pub(crate) faults: Counts,
    /// Units for which the remote was asked, by what came of it.
    pub(crate) remote: Counts,
    /// Units for which other machines were asked to compile, by what came of it.
    pub(crate) sent: Counts,
    /// Why such units were compiled here.
    pub(crate) sent_failed: Counts,
    /// What such units lacked there at first: files, variables, and files of the system to be compared.
    pub(crate) sent_lacked: Counts,
    /// Microseconds that other machines' compilers took for what was used.
    pub(crate) there_us: u64,
    /// Microseconds from sending such units to their end.
    pub(crate) there_waited_us: u64,
    /// Microseconds that were waited for other machines before units were compiled here.
    pub(crate) there_lost_us: u64,
    /// Bytes of outputs that share the store's blocks.
    pub(crate) linked_bytes: u64,
    /// Bytes of outputs that were written.
    pub(crate) copied_bytes: u64,
    /// Bytes of outputs taken into the store.
    pub(crate) stored_bytes: u64,
    /// Microseconds that the hits' compiles took when they ran.
    pub(crate) compile_us: u64,
    /// Microseconds that the hits took.
    pub(crate) hit_us: u64,
}

impl Totals {
    /// Counts an event.
    pub(crate) fn add(&mut self, event: &Event) {
        match event.did {
            Did::Hit => {
                count(&mut self.hits, &event.kind);
                self.compile_us = self.compile_us.saturating_add(event.saved_us);
                self.hit_us = self.hit_us.saturating_add(event.us.total);
            }
            Did::Miss => {
                count(&mut self.misses, &event.why);
                if !event.not_stored.is_empty() {
                    count(&mut self.not_stored, class(&event.not_stored));
                }
            }
            Did::Through if event.is_unit() => count(&mut self.uncacheable, class(&event.why)),
            Did::Through => self.queries += 1,
        }
        if !event.remote.is_empty() {
            count(&mut self.remote, &event.remote);
        }
        if !event.sent.is_empty() {
            count(&mut self.sent, class(&event.sent));
        }
        if matches!(event.sent.as_str(), "used" | "overtook") {
            self.there_us = self.there_us.saturating_add(event.there_us);
            self.there_waited_us = self.there_waited_us.saturating_add(event.us.run);
        }
        self.there_lost_us = self.there_lost_us.saturating_add(event.us.sent);
        for lacked in &event.lacked {
            count(&mut self.sent_lacked, class(lacked));
        }
        if let Some(why) = event.sent.strip_prefix("failed: ") {
            count(&mut self.sent_failed, class(why));
        }
        for fault in &event.faults {
            count(&mut self.faults, class(fault));
        }
        self.linked_bytes = self.linked_bytes.saturating_add(event.linked);
        self.copied_bytes = self.copied_bytes.saturating_add(event.copied);
        self.stored_bytes = self.stored_bytes.saturating_add(event.stored);
    }

    /// Microseconds that the hits saved, less than nothing if they took longer than compiling.
    pub(crate) fn saved_us(&self) -> i64 {
        let signed = |us| i64::try_from(us).unwrap_or(i64::MAX);
        signed(self.compile_us) - signed(self.hit_us)
    }
}

/// The sum of a group.
pub(crate) fn sum(counts: &Counts) -> u64 {
    counts.values().sum()
}

fn count(counts: &mut Counts, name: &str) {
    *counts.entry(name.to_owned()).or_default() += 1;
}

/// The stable part of a reason: what stands before the detail. Units that link keep their kind,
/// of which there are few.
pub(crate) fn class(reason: &str) -> &str {
    match reason.split_once(':') {
        Some(("links", _)) | None => reason,
        Some((class, _)) => class,
    }
}
