//! Eviction: the least recently used records go, and blobs that no record names.
//!
//! What keeps a blob, whatever the budget:
//!
//! - a record that names it, as long as that record stays. A record stays while anybody has it
//!   pinned; an eviction takes the record's pin lock for itself, without waiting, before it
//!   removes the record. A replaced record that somebody has pinned goes on to count.
//! - its ctime being younger than the grace period. Coming into the store moves it, and so does
//!   finding a blob present when storing it again; a writer thus has the grace period to store the
//!   record. mtime would not do: blobs are hard links of files that the compiler wrote, whose
//!   mtime is older and must not be touched.
//!
//! A record with a young blob is left alone, since evicting it would free little. So a budget can
//! be exceeded by what was used within the grace period.
//!
//! Blobs are listed before records: what is stored meanwhile can only add names to what was listed,
//! and ctimes are looked at again, under a lock, at the moment of removal.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache_core::{Digest, RecipeKey, wire};

use super::DiskStore;
use super::blobs::changed_at;
use super::layout::since_epoch;
use super::lock::Lock;
use super::records::{list, read_record};
use super::usage::{Counter, Level, on_disk};
use super::walk::walk;
use crate::{Result, StoreError};

/// Leftovers are swept and the counter is set right at least this often.
const UPKEEP: Duration = Duration::from_secs(24 * 3600);

/// What a collection did. Bytes are in whole 4 KiB blocks per file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
    /// Records evicted.
    pub records_evicted: u64,
    /// Records left alone because somebody was using them, or had just used them.
    pub records_in_use: u64,
    /// Blobs removed.
    pub blobs_removed: u64,
    /// Leftovers of killed writers, old quarantine and the like.
    pub leftovers_removed: u64,
}

#[derive(Default)]
struct Inventory {
    records: Vec<Listed>,
    blobs: HashMap<Digest, Blob>,
    bytes: u64,
}

struct Listed {
    key: RecipeKey,
    used: SystemTime,
    size: u64,
    names: Vec<Digest>,
}

struct Blob {
    size: u64,
    changed: SystemTime,
    /// How many surviving records name it.
    named: u32,
}

impl DiskStore {
    /// Evicts until the store takes at most `target_bytes`, and sweeps leftovers. Waits for
    /// another collection to end.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]; [`StoreError::Io`] when something cannot be read, with nothing
    /// removed: not knowing what a record names, nothing is safe to remove.
    pub fn gc(&self, target_bytes: u64) -> Result<GcReport> {
        self.check_writable()?;
        let _lock = Lock::Gc
            .exclusive(&self.layout)
            .map_err(|e| StoreError::write("locking for eviction", e))?;
        self.collect(target_bytes, None)
    }

    /// Evicts down to nine tenths of the budget if the store has grown over it, and does the
    /// daily upkeep. `None` when nothing was due, or another process is at it. To be called when a
    /// build has been served: when nothing is due it costs reading one small file.
    ///
    /// # Errors
    /// As [`DiskStore::gc`].
    pub fn maybe_gc(&self) -> Result<Option<GcReport>> {
        if !self.writable {
            return Ok(None);
        }
        self.usage.flush(&self.layout);
        let level = Counter::level(&self.layout);
        let budget = self.options.budget.bytes(self.root());
        if !is_due(level, budget) {
            return Ok(None);
        }
        let lock = Lock::Gc.try_exclusive(&self.layout);
        let Some(_lock) = lock.map_err(|e| StoreError::write("locking for eviction", e))? else {
            return Ok(None);
        };
        // Somebody else may have just done it.
        let level = Counter::level(&self.layout);
        if !is_due(level, budget) {
            return Ok(None);
        }
        let target = match budget {
            None => u64::MAX,
            Some(budget) if level.bytes > budget => budget / 10 * 9,
            Some(budget) => budget,
        };
        self.collect(target, budget).map(Some)
    }

    fn collect(&self, target: u64, budget: Option<u64>) -> Result<GcReport> {
        let leftovers_removed = self.sweep_leftovers();
        let failed = |e| StoreError::read(format!("walking {}", self.root().display()), e);
        let mut stock = self.take_inventory().map_err(failed)?;
        let mut report = GcReport { before: stock.bytes, leftovers_removed, ..GcReport::default() };
        let orphans: Vec<_> = stock
            .blobs
            .iter()
            .filter(|(_, blob)| blob.named == 0)
            .map(|(digest, _)| *digest)
            .collect();
        self.remove_unnamed(&mut stock, &orphans, &mut report);
        self.evict(&mut stock, target, &mut report);
        report.after = stock.bytes;
        // Where little could be freed, the next try waits until there is something to gain.
        let quiet_until = match budget {
            Some(budget) if stock.bytes > budget / 20 * 19 => stock.bytes + budget / 20,
            _ => 0,
        };
        let level = Level { bytes: stock.bytes, quiet_until, collected: since_epoch().as_secs() };
        Counter::set(&self.layout, level);
        Ok(report)
    }

    fn take_inventory(&self) -> io::Result<Inventory> {
        let mut stock = Inventory::default();
        walk(&self.layout.blobs(), |found| {
            if let Some(digest) = found.digest {
                let (size, changed) = (found.meta.len(), changed_at(&found.meta));
                stock.bytes += on_disk(size);
                stock.blobs.insert(digest, Blob { size, changed, named: 0 });
            }
        })?;
        let mut trouble = Ok(());
        walk(&self.layout.records(), |found| {
            let Some(digest) = found.digest else { return };
            match names_in(&found.path) {
                Ok(Some(names)) => {
                    stock.add_names(&names);
                    stock.bytes += on_disk(found.meta.len());
                    stock.records.push(Listed {
                        key: RecipeKey(digest),
                        used: found.meta.modified().unwrap_or(UNIX_EPOCH),
                        size: found.meta.len(),
                        names,
                    });
                }
                Ok(None) => {}
                Err(e) => trouble = Err(e),
            }
        })?;
        trouble?;
        for (_, path) in list(&self.layout.retired())? {
            // Still pinned, or it would have been swept.
            stock.add_names(&names_in(&path)?.unwrap_or_default());
        }
        Ok(stock)
    }

    fn evict(&self, stock: &mut Inventory, target: u64, report: &mut GcReport) {
        let mut records = std::mem::take(&mut stock.records);
        records.sort_unstable_by_key(|record| record.used);
        for record in records {
            if stock.bytes <= target {
                return;
            }
            let young =
                |name| stock.blobs.get(name).is_some_and(|blob: &Blob| self.is_young(blob.changed));
            if record.names.iter().any(young) || !self.evict_record(&record) {
                report.records_in_use += 1;
                continue;
            }
            stock.bytes = stock.bytes.saturating_sub(on_disk(record.size));
            report.records_evicted += 1;
            for name in &record.names {
                if let Some(blob) = stock.blobs.get_mut(name) {
                    blob.named = blob.named.saturating_sub(1);
                }
            }
            self.remove_unnamed(stock, &record.names, report);
        }
    }

    /// Removes a record unless it is pinned or was used since it was listed.
    fn evict_record(&self, record: &Listed) -> bool {
        let path = self.layout.record(&record.key);
        let Ok(_swap) = Lock::Record(&record.key).exclusive(&self.layout) else { return false };
        let Ok(Some(_pin)) = Lock::Pin(&record.key).try_exclusive(&self.layout) else {
            return false;
        };
        let used = fs::symlink_metadata(&path).and_then(|meta| meta.modified());
        used.is_ok_and(|used| used == record.used) && fs::remove_file(&path).is_ok()
    }

    /// Removes those of `digests` that no record names and that are not young.
    fn remove_unnamed(&self, stock: &mut Inventory, digests: &[Digest], report: &mut GcReport) {
        for batch in digests.chunks(64) {
            let Ok(_sweep) = Lock::Sweep.exclusive(&self.layout) else { return };
            for digest in batch {
                let Some(blob) = stock.blobs.get(digest).filter(|blob| blob.named == 0) else {
                    continue;
                };
                let path = self.layout.blob(digest);
                let young = fs::symlink_metadata(&path)
                    .map_or(true, |meta| self.is_young(changed_at(&meta).max(blob.changed)));
                if !young && fs::remove_file(&path).is_ok() {
                    stock.bytes = stock.bytes.saturating_sub(on_disk(blob.size));
                    stock.blobs.remove(digest);
                    report.blobs_removed += 1;
                }
            }
        }
    }

    fn is_young(&self, changed: SystemTime) -> bool {
        SystemTime::now().duration_since(changed).map_or(true, |age| age <= self.options.grace)
    }
}

impl Inventory {
    fn add_names(&mut self, names: &[Digest]) {
        for name in names {
            if let Some(blob) = self.blobs.get_mut(name) {
                blob.named += 1;
            }
        }
    }
}

fn is_due(level: Level, budget: Option<u64>) -> bool {
    let over = budget.is_some_and(|budget| level.bytes > budget && level.bytes > level.quiet_until);
    let now = since_epoch().as_secs();
    let fresh = level.collected <= now && now - level.collected < UPKEEP.as_secs();
    over || (level.bytes > 0 && !fresh)
}

/// The blobs that a record names; `None` when it is gone. A record that does not decode names
/// nothing that anybody could restore. One that may not be read could.
fn names_in(path: &Path) -> io::Result<Option<Vec<Digest>>> {
    match read_record(path) {
        Ok(Some(bytes)) => {
            let names = wire::refs(&bytes).unwrap_or_default();
            Ok(Some(names.into_iter().map(|(digest, _)| digest).collect()))
        }
        Ok(None) => Ok(None),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(e),
        Err(_) => Ok(Some(Vec::new())),
    }
}
