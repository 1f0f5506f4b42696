//! Bringing packs: each once, for all who wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{Digest, Outcome};
use cache_storage::bundle::Pack;
use cache_storage::{Operation, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::budget;
use super::remote::{AT_ONCE, Remote, count, locked};

/// A pack on its way, or what became of it.
#[derive(Clone, Debug)]
pub(super) struct Download {
    state: watch::Receiver<State>,
    /// When it was asked for among the others: packs come in this order.
    turn: u64,
    size: u64,
    wanted: Arc<Wanted>,
}

/// Who wants a download. One that nobody wants any more is dropped.
#[derive(Debug, Default)]
struct Wanted {
    waiting: AtomicUsize,
    /// It is for a whole build: somebody will ask.
    ahead: AtomicBool,
    by_nobody: Notify,
}

/// As long as it lives, a download is wanted.
struct Want(Arc<Wanted>);

impl Want {
    fn of(wanted: &Arc<Wanted>) -> Self {
        wanted.waiting.fetch_add(1, Ordering::SeqCst);
        Self(wanted.clone())
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        let others = self.0.waiting.fetch_sub(1, Ordering::SeqCst) > 1;
        if !others && !self.0.ahead.load(Ordering::SeqCst) {
            self.0.by_nobody.notify_one();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    UnderWay,
    Here,
    Failed,
}

impl Download {
    fn is_under_way(&self) -> bool {
        *self.state.borrow() == State::UnderWay
    }

    /// Waits for the end. Whether the pack's blobs are here.
    async fn end(mut self) -> bool {
        let _want = Want::of(&self.wanted);
        let ended = self.state.wait_for(|state| *state != State::UnderWay).await;
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

    /// How long packs take, after those that were asked for before them.
    pub(super) fn estimate(&self, packs: &[Pack]) -> Duration {
        let downloads = locked(&self.downloads);
        let known = |pack: &&Pack| downloads.get(&pack.digest).is_some_and(Download::is_under_way);
        let new: u64 = packs.iter().filter(|pack| !known(pack)).map(|pack| pack.size).sum();
        let last = packs.iter().filter_map(|pack| Some(downloads.get(&pack.digest)?.turn)).max();
        // What is new comes after all that is under way.
        let last = if new > 0 { u64::MAX } else { last.unwrap_or(0) };
        let before = downloads.values().filter(|other| other.is_under_way() && other.turn <= last);
        let asked: u64 = before.map(|other| other.size).sum();
        let come = self.progress().come();
        budget::transfer(&self.history().figures, new + asked.saturating_sub(come))
    }

    /// Begins to bring a pack, unless it is on its way.
    pub(super) fn begin(self: &Arc<Self>, pack: Pack) -> Download {
        let mut downloads = locked(&self.downloads);
        if let Some(download) = downloads.get(&pack.digest)
            && (download.is_under_way() || *download.state.borrow() == State::Here)
        {
            return download.clone();
        }
        let (tell, told) = watch::channel(State::UnderWay);
        let turn = downloads.values().map(|other| other.turn + 1).max().unwrap_or(0);
        let wanted = Arc::new(Wanted::default());
        let download = Download { state: told, turn, size: pack.size, wanted: wanted.clone() };
        downloads.insert(pack.digest, download.clone());
        let remote = self.clone();
        tokio::spawn(async move {
            let came = remote.bring_pack(&pack, wanted).await;
            let state = if came { State::Here } else { State::Failed };
            if state == State::Failed {
                locked(&remote.downloads).remove(&pack.digest);
            }
            let _ = tell.send(state);
        });
        download
    }

    /// Begins to bring a pack that somebody is going to ask for.
    pub(super) fn begin_ahead(self: &Arc<Self>, pack: Pack) {
        self.begin(pack).wanted.ahead.store(true, Ordering::SeqCst);
    }

    /// Drops what was begun ahead and nobody waits for.
    pub(super) fn none_ahead(&self, packs: &[Pack]) {
        let downloads = locked(&self.downloads);
        for download in packs.iter().filter_map(|pack| downloads.get(&pack.digest)) {
            download.wanted.ahead.store(false, Ordering::SeqCst);
            // Looks whether there is anybody, and says so if not.
            drop(Want::of(&download.wanted));
        }
    }

    /// Waits for packs.
    pub(super) async fn bring_packs(self: &Arc<Self>, packs: &[Pack]) {
        let downloads = packs.iter().map(|pack| self.begin(*pack).end());
        futures::future::join_all(downloads).await;
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

    async fn bring_pack(self: &Arc<Self>, pack: &Pack, by: Arc<Wanted>) -> bool {
        // On a slow link, those that come first are to be whole first.
        let slots = if self.history().figures.is_slow() { AT_ONCE / 2 } else { 1 };
        let slots = u32::try_from(slots).unwrap_or(1);
        let slot = tokio::select! {
            slot = self.slots.acquire_many(slots) => slot,
            () = by.by_nobody.notified() => return false,
        };
        let Ok(_slot) = slot else { return false };
        let Some(wanted) = self.wanted_of(pack).await else { return false };
        let count_wanted = wanted.len();
        self.progress().begin(self.bytes_read());
        let (remote, pack, runtime) = (self.clone(), *pack, Handle::current());
        // Inflating and writing take a thread's whole time; others must be answered meanwhile.
        let done = tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    fetched = remote.depot.fetch(&pack, &wanted, &*remote.disk) => Some(fetched),
                    () = by.by_nobody.notified() => None,
                }
            })
        });
        let done = done.await;
        self.progress().end(pack.size);
        self.measure();
        let Ok(Some((fetched, result))) = done else {
            count(&self.counters.dropped);
            return false;
        };
        self.counters.damaged.fetch_add(fetched.damaged, Ordering::Relaxed);
        match result {
            Ok(()) => {
                self.counters.bytes_down.fetch_add(pack.size, Ordering::Relaxed);
                self.well();
            }
            Err(error) => {
                self.troubled(&error);
                // The layer that checks counts what is not what its name says.
                if matches!(error, StoreError::Refused(_)) {
                    count(&self.counters.damaged);
                }
            }
        }
        // All that was wanted may have come before an error.
        fetched.brought.len() == count_wanted
    }

    /// Bytes of blobs that came so far.
    pub(super) fn bytes_read(&self) -> u64 {
        let figures = self.stack.requests.snapshot();
        figures.get(&Operation::ReadBlob).map_or(0, |figures| figures.bytes)
    }

    /// Learns from what has come since the last time how fast the link is.
    pub(super) fn measure(&self) {
        let measured = self.progress().measure(self.bytes_read());
        if let Some((bytes, took)) = measured {
            self.history().transferred(bytes, took);
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
