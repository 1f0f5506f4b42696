//! Keeping the store within its budget.

use cache_rustc::engine::{Report, Served, Supplied};
use cache_storage::DiskStore;

/// Evicts when that is due: after a unit was stored, when all its output has been passed on and
/// its metadata announced, so that units which wait for it are already running.
pub(super) fn if_due(store: &DiskStore) {
    // What fails here is found by `larder gc` and `larder doctor`; the build must not notice.
    let _ = store.maybe_gc();
}

/// Whether something came into the store.
pub(super) fn may_be_due(report: &Report) -> bool {
    let stored = matches!(report.served, Served::Miss { not_stored: None, .. });
    stored || matches!(report.supplied, Supplied::Brought | Supplied::Overtook)
}
