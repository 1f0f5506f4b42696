//! A small lossy memory of what was already logged, so that a repeated event costs no system call.
//!
//! One slot per hash, last writer wins: two events that share a slot push each other out and are logged
//! again, which is harmless. Relaxed atomics are enough, since a slot is a whole fact.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SLOTS: usize = 4096;

static SEEN: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];

/// Whether this event is new here; it is remembered either way.
pub(crate) fn first_time(hash: u64) -> bool {
    let hash = hash | 1; // an empty slot is 0
    let Some(slot) = SEEN.get((hash >> 20) as usize % SLOTS) else { return true };
    if slot.load(Relaxed) == hash {
        return false;
    }
    slot.store(hash, Relaxed);
    true
}

/// FNV-1a, 64 bits, fed piece by piece.
#[derive(Clone, Copy)]
pub(crate) struct Fnv(pub(crate) u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
    #[must_use]
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        let mut h = self.0;
        for &b in bytes {
            h = (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
        Fnv(h)
    }
}
