//! How fast bytes come, over all downloads at once.

use std::time::{Duration, Instant};

/// Shorter spans say little.
const SPAN: Duration = Duration::from_millis(100);

/// What has come since downloads began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    under_way: usize,
    /// Bytes that had come when this was last looked at.
    seen: u64,
    /// When that was; `None` while nothing is under way.
    since: Option<Instant>,
    /// Bytes of the downloads under way that have come.
    come: u64,
}

impl Progress {
    /// A download begins; `read` is all that has come so far.
    pub(super) fn begin(&mut self, read: u64) {
        self.under_way += 1;
        if self.under_way == 1 {
            (self.seen, self.since, self.come) = (read, Some(Instant::now()), 0);
        }
    }

    /// A download of so many bytes has ended.
    pub(super) fn end(&mut self, size: u64) {
        self.under_way = self.under_way.saturating_sub(1);
        self.come = self.come.saturating_sub(size);
    }

    /// Downloads that have begun and not ended.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Bytes of the downloads under way that have come.
    pub(super) fn come(&self) -> u64 {
        self.come
    }

    /// What has come since the last time, and in how long; `None` when that says nothing yet.
    pub(super) fn measure(&mut self, read: u64) -> Option<(u64, Duration)> {
        let took = self.since?.elapsed();
        let bytes = read.saturating_sub(self.seen);
        if took < SPAN && self.under_way > 0 {
            return None;
        }
        self.come += bytes;
        self.seen = read;
        self.since = (self.under_way > 0).then(Instant::now);
        if self.under_way == 0 {
            self.come = 0;
        }
        Some((bytes, took))
    }
}
