//! How a store on disk is opened.

use std::path::Path;
use std::time::Duration;

/// How much disk the store may take before the least recently used records go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Budget {
    /// The smaller of 20 GiB and a tenth of the file system the store is on.
    #[default]
    Auto,
    /// This many bytes, counted in whole 4 KiB blocks per file.
    Bytes(u64),
    /// No limit: nothing is evicted except on request.
    Unlimited,
}

const AUTO_MAX: u64 = 20 << 30;
const AUTO_SHARE: u64 = 10;

impl Budget {
    /// The budget in bytes for a store at `root`; `None` when there is no limit.
    #[must_use]
    pub fn bytes(self, root: &Path) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Unlimited => None,
            Self::Auto => Some(rustix::fs::statvfs(root).map_or(AUTO_MAX, |disk| {
                AUTO_MAX.min(disk.f_blocks.saturating_mul(disk.f_frsize) / AUTO_SHARE)
            })),
        }
    }
}

/// How a [`DiskStore`](crate::DiskStore) is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// Never write, even where that would be allowed.
    pub read_only: bool,
    /// When [`DiskStore::maybe_gc`](crate::DiskStore::maybe_gc) starts to evict.
    pub budget: Budget,
    /// How long a blob that no record names is kept, counted from when it last came into the
    /// store or was linked from it: its writer may be about to store the record.
    pub grace: Duration,
}

impl Default for DiskOptions {
    /// Writable, [`Budget::Auto`], ten minutes of grace.
    fn default() -> Self {
        Self { read_only: false, budget: Budget::Auto, grace: Duration::from_secs(600) }
    }
}
