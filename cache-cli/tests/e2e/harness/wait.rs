//! Waiting for what happens by itself.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as stuck.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < LIMIT, "still waiting: {what}");
        sleep(LOOK);
    }
}
