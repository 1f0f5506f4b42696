//! Bringing packs: each once, for all who wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cache_core::{Digest, Outcome};
use cache_storage::bundle::Pack;
use cache_storage::{Store, StoreError};
use tokio::sync::watch;

use super::budget;
use super::remote::{AT_ONCE, Remote, count, locked};

/// A pack on its way, or what became of it.
#[derive(Clone, Debug)]
pub(super) struct Download(watch::Receiver<State>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    UnderWay,
    Here,
    Failed,
}

impl Download {
    fn is_under_way(&self) -> bool {
        *self.0.borrow() == State::UnderWay
    }

    /// Waits for the end. Whether the pack's blobs are here.
    async fn end(mut self) -> bool {
        let ended = self.0.wait_for(|state| *state != State::UnderWay).await;
        ended.is_ok_and(|state| *state == State::Here)
    }
}

impl Remote {
    /// The packs that have the blobs of an outcome which the local store does not have. `None` when the
    /// place of one is not known.
    pub(super) async fn missing(&self, outcome: &Outcome) -> Option<Vec<Pack>> {
        let blobs: Vec<Digest> = outcome.blobs().map(|(blob, _)| blob).collect();
        let there = self.disk.contains_blobs(&blobs).await.ok()?;
        let mut packs = Vec::new();
        for (blob, _) in blobs.iter().zip(there).filter(|(_, there)| !there) {
            let pack = self.place_of(blob)?;
            if !packs.contains(&pack) {
                packs.push(pack);
            }
        }
        Some(packs)
    }

    /// How long packs take, those that others wait for included.
    pub(super) fn estimate(&self, packs: &[Pack]) -> Duration {
        let downloads = locked(&self.downloads);
        let new = packs.iter().filter(|pack| !downloads.contains_key(&pack.digest));
        let mut bytes: u64 = new.map(|pack| pack.size).sum();
        // Packs are asked for in order, so what is under way comes first.
        let waits = packs.iter().any(|pack| downloads.contains_key(&pack.digest));
        if !waits {
            let places = downloads.iter().filter(|(_, download)| download.is_under_way()).count();
            bytes += places as u64 * (cache_storage::bundle::PACK_SIZE / 2);
        }
        budget::transfer(&self.history().figures, bytes)
    }

    /// Begins to bring a pack, unless it is on its way.
    pub(super) fn begin(self: &Arc<Self>, pack: Pack) -> Download {
        let mut downloads = locked(&self.downloads);
        if let Some(download) = downloads.get(&pack.digest)
            && (download.is_under_way() || *download.0.borrow() == State::Here)
        {
            return download.clone();
        }
        let (tell, told) = watch::channel(State::UnderWay);
        let download = Download(told);
        downloads.insert(pack.digest, download.clone());
        let remote = self.clone();
        tokio::spawn(async move {
            let state = if remote.bring_pack(&pack).await { State::Here } else { State::Failed };
            if state == State::Failed {
                locked(&remote.downloads).remove(&pack.digest);
            }
            let _ = tell.send(state);
        });
        download
    }

    /// Waits for packs. Whether all are here.
    pub(super) async fn bring_packs(self: &Arc<Self>, packs: &[Pack]) -> bool {
        let downloads: Vec<_> = packs.iter().map(|pack| self.begin(*pack)).collect();
        let mut all = true;
        for download in downloads {
            all &= download.end().await;
        }
        all
    }

    /// Forgets which packs are here, when the local store has lost some of them since.
    pub(super) fn forget_packs(&self, packs: &[Pack]) {
        let mut downloads = locked(&self.downloads);
        for pack in packs {
            if downloads.get(&pack.digest).is_some_and(|download| !download.is_under_way()) {
                downloads.remove(&pack.digest);
            }
        }
    }

    async fn bring_pack(&self, pack: &Pack) -> bool {
        let Ok(_slot) = self.slots.acquire().await else { return false };
        let Some(wanted) = self.wanted_of(pack).await else { return false };
        let began = Instant::now();
        // With others at once this one has a part of the link.
        let at_once = AT_ONCE - self.slots.available_permits().min(AT_ONCE - 1);
        let (fetched, result) = self.depot.fetch(pack, &wanted, &*self.disk).await;
        self.counters.damaged.fetch_add(fetched.damaged, Ordering::Relaxed);
        match result {
            Ok(()) => {
                self.counters.bytes_down.fetch_add(pack.size, Ordering::Relaxed);
                let share = u32::try_from(at_once).unwrap_or(1);
                self.history().transferred(pack.size, began.elapsed() / share);
                self.well();
                fetched.brought.len() == wanted.len()
            }
            Err(error) => {
                self.troubled(&error);
                if matches!(error, StoreError::Corrupt { .. }) {
                    count(&self.counters.damaged);
                }
                // All that was wanted may have come before the error.
                fetched.brought.len() == wanted.len()
            }
        }
    }

    /// The blobs of a pack that are known and not here.
    async fn wanted_of(&self, pack: &Pack) -> Option<BTreeMap<Digest, u64>> {
        let blobs = self.blobs_in(pack);
        let there = self.disk.contains_blobs(&blobs).await.ok()?;
        let absent = blobs.into_iter().zip(there).filter(|(_, there)| !there);
        Some(absent.filter_map(|(blob, _)| Some((blob, self.size_of(&blob)?))).collect())
    }
}
