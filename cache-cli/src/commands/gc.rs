//! `larder gc`: eviction on request.

use anyhow::{Context, Result, anyhow};
use cache_storage::Budget;

use crate::config::{Config, size};
use crate::places;
use crate::text::{bytes, count};

/// Evicts down to `limit`, or to the configured budget.
///
/// # Errors
/// When there is no store, it cannot be written, or `limit` is not a size.
pub(super) fn run(limit: Option<&str>) -> Result<bool> {
    let config = Config::load();
    let budget = match limit {
        None => config.size.value,
        Some(text) => {
            size(text).map_err(|bad| anyhow!("--size {text}: {}; {}", bad.message, bad.fix))?
        }
    };
    let store = places::open_store(&config)?;
    let target = match budget {
        Budget::Bytes(bytes) => bytes,
        other => other.bytes(store.root()).unwrap_or(u64::MAX),
    };
    let report = store.gc(target).context("nothing was evicted")?;
    sayln!(
        "{}: {} before, {} now; {} and {} removed, {} of killed processes",
        store.root().display(),
        bytes(report.before),
        bytes(report.after),
        count(report.records_evicted, "record"),
        count(report.blobs_removed, "blob"),
        count(report.leftovers_removed, "leftover"),
    );
    if report.after > target {
        sayln!(
            "still over {}: {} in use or used in the last ten minutes",
            bytes(target),
            count(report.records_in_use, "record")
        );
    }
    Ok(true)
}
