//! Telling [`collect`](Depot::collect) which packs are wanted.
//!
//! A registration is the one thing that both a publisher and a collection write before they act, by
//! compare-and-swap, so that one of them sees the other:
//!
//! - A publisher registers a pack with the present time *before* it uploads it, and *before* it leads to
//!   one that was there already.
//! - A collection condemns a pack by swapping the registration that it read *before* it removes the pack.
//!   Whose registration has changed meanwhile, stays.
//!
//! So a pack that somebody leads to is condemned only if its registration was more than a day old
//! ([`CollectOptions::orphans_before`](super::CollectOptions::orphans_before)) when it was led to, and
//! [`renew`](Depot::renew) does not let that happen. Clocks may differ by half a day.

use super::registration::{CONDEMNED, Registration};
use super::{Depot, Pack};
use crate::{Expected, Result, StoreError};

/// A registration that is younger needs no renewal, in seconds: half of what a collection waits.
const FRESH: u64 = 12 * 60 * 60;

impl Depot {
    /// Notes that a blob is wanted that is about to be written.
    ///
    /// # Errors
    /// What the store says; [`StoreError::Conflict`] while the very same blob is being removed.
    pub(super) async fn register(&self, pack: Pack, created: u64) -> Result<()> {
        let registration = Registration { created: created.max(CONDEMNED + 1), pack };
        let mut condemned = false;
        self.update(&registration.key(), &mut |found| {
            let found = found.and_then(|bytes| Registration::decode(bytes).ok());
            condemned = found.is_some_and(|found| found.is_condemned());
            (!condemned).then(|| registration.encode())
        })
        .await?;
        if condemned { Err(StoreError::Conflict) } else { Ok(()) }
    }

    /// Sees to it that a pack which is to be led to stays for a while. `false` when it is gone or about
    /// to be. One request, or two when it was registered long ago.
    pub(super) async fn renew(&self, pack: Pack, now: u64) -> Result<bool> {
        let renewed = Registration { created: now.max(CONDEMNED + 1), pack };
        let key = renewed.key();
        for _ in 0..super::depot::TRIES {
            let Some(found) = self.store.get_record(&key).await? else { return Ok(false) };
            match Registration::decode(&found.bytes) {
                Ok(known) if !known.is_condemned() && known.pack == pack => {
                    if known.created.saturating_add(FRESH) >= now {
                        return Ok(true);
                    }
                }
                _ => return Ok(false),
            }
            let expected = Expected::Revision(found.revision);
            match self.store.put_record(&key, renewed.encode(), expected).await {
                Err(StoreError::Conflict) => {}
                other => return other.map(|_| true),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Takes a registration that nobody has changed since it was read as the sign that its pack may be
    /// removed. `false` when somebody has.
    pub(super) async fn condemn(&self, pack: Pack, read: Expected) -> Result<bool> {
        let condemned = Registration { created: CONDEMNED, pack };
        match self.store.put_record(&condemned.key(), condemned.encode(), read).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
