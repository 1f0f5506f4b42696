//! Blobs that were found damaged: absent until they are written again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_core::Digest;

/// How many are remembered. Where more are damaged, the bucket is.
const MOST: usize = 4096;

/// A set of digests.
#[derive(Debug, Default)]
pub(super) struct Damaged(Mutex<BTreeSet<Digest>>);

impl Damaged {
    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.set().contains(digest)
    }

    pub(super) fn add(&self, digest: Digest) {
        let mut set = self.set();
        if set.len() < MOST {
            set.insert(digest);
        }
    }

    pub(super) fn remove(&self, digest: &Digest) {
        self.set().remove(digest);
    }

    /// Every change is one call: the set is whole even if a panic poisoned the lock.
    fn set(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
