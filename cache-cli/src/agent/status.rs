//! How things are, as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_storage::layers::Circuit;
use serde_json::{Value, json};

use super::remote::{Counters, Remote};

/// Figures of a remote since the agent has it open, in whatever environments; times in microseconds, sizes
/// in bytes. States are those of the last build's.
pub(super) fn of(remotes: &[Arc<Remote>]) -> Value {
    let Some(last) = remotes.iter().max_by_key(|remote| remote.touched()) else {
        return json!({});
    };
    let sum = |of: &dyn Fn(&Remote) -> u64| remotes.iter().map(|remote| of(remote)).sum::<u64>();
    let counted = |which: fn(&Counters) -> &AtomicU64| {
        sum(&|remote: &Remote| which(&remote.counters).load(Ordering::Relaxed))
    };
    let figures = last.history().figures;
    let circuit = last.stack.breaker.as_ref().map(|breaker| match breaker.snapshot().circuit {
        Circuit::Closed => "closed",
        Circuit::HalfOpen => "half-open",
        Circuit::Open(_) => "open",
    });
    json!({
        "version": 1,
        "access": last.settings.access.name(),
        "latency_us": figures.latency_us,
        "bytes_per_second": figures.throughput,
        "failed_at": figures.failed,
        "breaker": circuit,
        "at_once": last.stack.limited.as_ref().map(|limited| limited.limit()),
        "trouble": last.trouble(),
        "requests": requests(remotes),
        "asked": counted(|counters| &counters.asked),
        "brought": counted(|counters| &counters.brought),
        "nothing": counted(|counters| &counters.nothing),
        "not_worth": counted(|counters| &counters.not_worth),
        "none_holds": counted(|counters| &counters.unwanted),
        "failed": counted(|counters| &counters.failed),
        "dropped": counted(|counters| &counters.dropped),
        "damaged": counted(|counters| &counters.damaged)
            + sum(&|remote| remote.stack.verified.corrupt() + remote.depot.unread().damaged),
        "other_version": sum(&|remote| remote.depot.unread().other_version),
        "not_ours": sum(&|remote| remote.depot.unread().foreign),
        "ignored": ignored(remotes),
        "under_way": sum(&|remote| remote.progress().under_way() as u64),
        "bytes_read": sum(&Remote::bytes_read),
        "bytes_down": counted(|counters| &counters.bytes_down),
        "uploaded": counted(|counters| &counters.uploaded),
        "gone_before_upload": counted(|counters| &counters.gone),
        "to_upload": last.spool.items().len(),
    })
}

/// How many requests went out, by operation.
fn requests(remotes: &[Arc<Remote>]) -> BTreeMap<String, u64> {
    let mut requests = BTreeMap::new();
    for remote in remotes {
        for (operation, figures) in remote.stack.requests.snapshot() {
            *requests.entry(format!("{operation:?}")).or_default() += figures.calls;
        }
    }
    requests
}

/// Records that did not count for want of a trusted signature; `None` where none is asked for.
fn ignored(remotes: &[Arc<Remote>]) -> Option<Value> {
    let signed: Vec<_> = remotes.iter().filter_map(|remote| remote.stack.signed.as_ref()).collect();
    let of = |which: fn(&cache_storage::layers::Ignored) -> u64| -> u64 {
        signed.iter().map(|signed| which(&signed.ignored())).sum()
    };
    (!signed.is_empty()).then(|| {
        json!({
            "unsigned": of(|ignored| ignored.unsigned),
            "foreign": of(|ignored| ignored.foreign),
            "forged": of(|ignored| ignored.forged),
        })
    })
}
