//! How things are, as JSON.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_storage::layers::Circuit;
use serde_json::{Value, json};

use super::remote::Remote;

/// Figures of a remote since the agent has it open; times in microseconds, sizes in bytes.
pub(super) fn of(remote: &Remote) -> Value {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = &remote.counters;
    let figures = remote.history().figures;
    let circuit = remote.stack.breaker.as_ref().map(|breaker| match breaker.snapshot().circuit {
        Circuit::Closed => "closed",
        Circuit::HalfOpen => "half-open",
        Circuit::Open(_) => "open",
    });
    let requests = remote.stack.requests.snapshot();
    let by_operation: serde_json::Map<String, Value> = requests
        .iter()
        .map(|(operation, figures)| (format!("{operation:?}"), json!(figures.calls)))
        .collect();
    let ignored = remote.stack.signed.as_ref().map(|signed| {
        let ignored = signed.ignored();
        json!({ "unsigned": ignored.unsigned, "foreign": ignored.foreign, "forged": ignored.forged })
    });
    let unread = remote.depot.unread();
    json!({
        "version": 1,
        "access": remote.settings.access.name(),
        "latency_us": figures.latency_us,
        "bytes_per_second": figures.throughput,
        "failed_at": figures.failed,
        "breaker": circuit,
        "at_once": remote.stack.limited.as_ref().map(|limited| limited.limit()),
        "trouble": remote.trouble(),
        "requests": by_operation,
        "asked": of(&counters.asked),
        "brought": of(&counters.brought),
        "nothing": of(&counters.nothing),
        "not_worth": of(&counters.not_worth),
        "none_holds": of(&counters.unwanted),
        "failed": of(&counters.failed),
        "dropped": of(&counters.dropped),
        "damaged": of(&counters.damaged) + remote.stack.verified.corrupt() + unread.damaged,
        "other_version": unread.other_version,
        "not_ours": unread.foreign,
        "ignored": ignored,
        "under_way": remote.progress().under_way(),
        "bytes_read": remote.bytes_read(),
        "bytes_down": of(&counters.bytes_down),
        "uploaded": of(&counters.uploaded),
        "gone_before_upload": of(&counters.gone),
        "to_upload": remote.spool.items().len(),
    })
}
