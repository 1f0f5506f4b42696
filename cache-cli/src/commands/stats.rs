//! `larder stats`: what the cache did.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use cache_storage::{DiskStore, Usage};
use serde_json::{Value, json};

use crate::config::Config;
use crate::events::{self, Counts, History, sum};
use crate::places::{self, Places};
use crate::text;

/// Prints or zeroes the counters.
///
/// # Errors
/// When there is no place for them, or they cannot be zeroed.
pub(super) fn run(json: bool, zero: bool) -> Result<bool> {
    let config = Config::load();
    let (places, store) = places::open(&config);
    let Some(places) = places else {
        return Err(store.err().map_or_else(|| anyhow::anyhow!("no store"), Into::into));
    };
    if zero {
        events::zero(&places.events).with_context(|| {
            format!("the counters in {} cannot be set to zero", places.events.display())
        })?;
    }
    let history = History::read(&places.events);
    let disk = store.as_ref().ok().and_then(|store| Disk::of(store, &config));
    if json {
        sayln!("{:#}", as_json(&history, &places, disk.as_ref()));
    } else {
        say!("{}", as_text(&history, &places, disk.as_ref(), &config));
        if let Err(error) = store {
            sayln!("{error}");
        }
    }
    Ok(true)
}

/// What the store takes.
struct Disk {
    usage: Usage,
    budget: Option<u64>,
}

impl Disk {
    fn of(store: &DiskStore, config: &Config) -> Option<Self> {
        let usage = store.usage().ok()?;
        Some(Self { usage, budget: config.size.value.bytes(store.root()) })
    }
}

/// The figures as JSON: counts, bytes, microseconds.
fn as_json(history: &History, places: &Places, disk: Option<&Disk>) -> Value {
    let totals = &history.totals;
    json!({
        "version": 1,
        "store": places.store.to_string_lossy(),
        "since_us": history.since,
        "hits": totals.hits,
        "misses": totals.misses,
        "uncacheable": totals.uncacheable,
        "queries": totals.queries,
        "not_stored": totals.not_stored,
        "faults": totals.faults,
        "remote": totals.remote,
        "sent": totals.sent,
        "sent_failed": totals.sent_failed,
        "sent_lacked": totals.sent_lacked,
        "bytes": {
            "linked": totals.linked_bytes,
            "copied": totals.copied_bytes,
            "stored": totals.stored_bytes,
        },
        "time_us": {
            "compiling": totals.compile_us,
            "hits": totals.hit_us,
            "saved": totals.saved_us(),
            "elsewhere": totals.there_us,
            "elsewhere_waited": totals.there_waited_us,
            "elsewhere_lost": totals.there_lost_us,
        },
        "disk": disk.map(|disk| json!({
            "bytes": disk.usage.disk_bytes,
            "budget": disk.budget,
            "records": disk.usage.records,
            "blobs": disk.usage.blobs,
            "quarantined": disk.usage.quarantined,
        })),
        "unreadable_events": history.torn,
    })
}

fn as_text(history: &History, places: &Places, disk: Option<&Disk>, config: &Config) -> String {
    let totals = &history.totals;
    let mut out = String::new();
    let since = if history.since == 0 {
        "nothing counted yet".to_owned()
    } else {
        format!("since {}", text::ago(history.since))
    };
    let _ = writeln!(out, "Store {} ({since})", places.store.display());
    if let Some(disk) = disk {
        let budget = disk.budget.map_or_else(|| "no limit".into(), text::bytes);
        let usage = &disk.usage;
        let _ = writeln!(
            out,
            "  {} on disk in {} and {}, budget {budget}",
            text::bytes(usage.disk_bytes),
            text::count(usage.records, "record"),
            text::count(usage.blobs, "blob")
        );
        if usage.quarantined > 0 {
            let things = text::count(usage.quarantined, "damaged thing");
            let _ = writeln!(out, "  {things} set aside; `larder verify` looks for more");
        }
    } else {
        let _ = writeln!(out, "  budget {}", places::budget(config.size.value));
    }
    group(&mut out, "Hits", &totals.hits);
    group(&mut out, "Misses", &totals.misses);
    group(&mut out, "Not cached", &totals.uncacheable);
    let _ = writeln!(out, "{:<11} {}", "Queries", totals.queries);
    if !totals.not_stored.is_empty() {
        group(&mut out, "Not stored", &totals.not_stored);
    }
    if !totals.remote.is_empty() {
        group(&mut out, "Remote", &totals.remote);
    }
    if !totals.sent.is_empty() {
        group(&mut out, "Sent to other machines", &totals.sent);
    }
    if !totals.sent_failed.is_empty() {
        group(&mut out, "Sent and compiled here all the same", &totals.sent_failed);
    }
    if totals.there_waited_us + totals.there_lost_us > 0 {
        let _ = writeln!(
            out,
            "{:<11} {} of compiling for {} of waiting; {} waited for nothing",
            "Elsewhere",
            text::micros(totals.there_us),
            text::micros(totals.there_waited_us),
            text::micros(totals.there_lost_us)
        );
    }
    if !totals.sent_lacked.is_empty() {
        group(&mut out, "Lacked there at first", &totals.sent_lacked);
    }
    let _ = writeln!(
        out,
        "{:<11} {} linked, {} copied, {} stored",
        "Bytes",
        text::bytes(totals.linked_bytes),
        text::bytes(totals.copied_bytes),
        text::bytes(totals.stored_bytes)
    );
    let _ = writeln!(
        out,
        "{:<11} {} of compiling for {} of restoring",
        "Time saved",
        text::micros(totals.compile_us),
        text::micros(totals.hit_us)
    );
    if !totals.faults.is_empty() {
        group(&mut out, "Faults", &totals.faults);
    }
    if history.torn > 0 {
        let _ = writeln!(out, "{:<11} {}", "Unreadable", text::count(history.torn, "event"));
    }
    out
}

/// A sum with its parts, the largest first.
fn group(out: &mut String, name: &str, counts: &Counts) {
    let _ = writeln!(out, "{name:<11} {}", sum(counts));
    let mut parts: Vec<_> = counts.iter().collect();
    parts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (part, count) in parts {
        let _ = writeln!(out, "  {part:<28} {count:>6}");
    }
}
