//! What blobs are called in the CAS, as far as this process has heard.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_core::Digest;

use crate::CasDigest;

/// How many are remembered: some 10 MB. What is forgotten costs a request.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<Digest, CasDigest>>);

impl Places {
    pub(super) fn get(&self, digest: &Digest) -> Option<CasDigest> {
        self.map().get(digest).copied()
    }

    pub(super) fn learn(&self, digest: Digest, place: CasDigest) {
        let mut map = self.map();
        if map.len() >= MOST {
            map.clear();
        }
        map.insert(digest, place);
    }

    pub(super) fn forget(&self, digest: &Digest) {
        self.map().remove(digest);
    }

    /// Every change is one call: the map is whole even if a panic poisoned the lock.
    fn map(&self) -> MutexGuard<'_, HashMap<Digest, CasDigest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
