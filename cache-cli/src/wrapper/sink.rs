//! The compiler's streams on their way to cargo.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_rustc::engine::{Sink, StdStreams};

/// Passes the streams on and counts their lines.
#[derive(Debug, Default)]
pub(super) struct Passed {
    out: AtomicU64,
    err: AtomicU64,
}

impl Passed {
    /// How many lines went to standard output and to standard error.
    pub(super) fn lines(&self) -> (u64, u64) {
        (self.out.load(Ordering::Relaxed), self.err.load(Ordering::Relaxed))
    }
}

impl Sink for Passed {
    fn stdout(&self, bytes: &[u8]) {
        StdStreams.stdout(bytes);
        self.out.fetch_add(lines(bytes), Ordering::Relaxed);
    }

    fn stderr(&self, bytes: &[u8]) {
        StdStreams.stderr(bytes);
        self.err.fetch_add(lines(bytes), Ordering::Relaxed);
    }
}

/// Lines, an unfinished last one included.
fn lines(bytes: &[u8]) -> u64 {
    bytes.split_inclusive(|byte| *byte == b'\n').count() as u64
}
