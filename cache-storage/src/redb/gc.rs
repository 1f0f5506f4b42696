//! Eviction: the least recently used records go, and blobs that no record names.

use std::collections::{BTreeMap, BTreeSet};

use cache_core::{Digest, RecipeKey, wire};
use redb::{ReadableTable, WriteTransaction};

use super::RedbStore;
use super::blobs::remove_chunks;
use super::records::unseal;
use super::shared::Change;
use super::tables::{BLOBS, RECORDS, USES, milliseconds, now};
use super::trouble::Trouble;
use crate::{GcReport, Result};

struct Listed {
    id: [u8; 32],
    used: u64,
    size: u64,
    names: Vec<Digest>,
}

struct Stock {
    /// Most recently used first.
    records: Vec<Listed>,
    /// Length, and when written.
    blobs: BTreeMap<Digest, (u64, u64)>,
}

impl RedbStore {
    /// Evicts the least recently used records until records and blobs take at most `target_bytes`,
    /// and removes blobs that no record names, except those of the grace period. The room is used
    /// again; the file itself gets shorter only by what is free at its end. Other writers wait
    /// meanwhile.
    ///
    /// The report counts bytes stored, not blocks; it has no leftovers, which redb takes back by
    /// itself.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`](crate::StoreError::ReadOnly) and what the system says. All of it
    /// happens, or nothing.
    pub fn gc(&self, target_bytes: u64) -> Result<GcReport> {
        self.file.write(|transaction| {
            self.uses.write_pending(transaction)?;
            let stock = take_stock(transaction)?;
            let report = self.evict(transaction, &stock, target_bytes)?;
            Ok(Change::Commit(report))
        })
    }

    fn evict(
        &self,
        transaction: &WriteTransaction,
        stock: &Stock,
        target: u64,
    ) -> Result<GcReport, Trouble> {
        let oldest = now().saturating_sub(milliseconds(self.grace));
        let young = |digest: &Digest| stock.blobs.get(digest).is_some_and(|blob| blob.1 > oldest);
        let blob_bytes: u64 = stock.blobs.values().map(|blob| blob.0).sum();
        let record_bytes: u64 = stock.records.iter().map(|record| record.size).sum();
        let mut report = GcReport { before: blob_bytes + record_bytes, ..GcReport::default() };

        let mut kept: BTreeSet<_> =
            stock.blobs.keys().copied().filter(|name| young(name)).collect();
        let mut bytes: u64 = kept.iter().map(|name| stock.blobs[name].0).sum();
        let mut records = transaction.open_table(RECORDS)?;
        let mut uses = transaction.open_table(USES)?;
        let mut full = false;
        for record in &stock.records {
            let mut fresh: Vec<_> =
                record.names.iter().filter(|name| !kept.contains(name)).collect();
            fresh.sort_unstable();
            fresh.dedup();
            let lengths = fresh.iter().filter_map(|name| stock.blobs.get(name)).map(|blob| blob.0);
            let more = record.size + lengths.sum::<u64>();
            full |= bytes + more > target;
            if !full {
                bytes += more;
                kept.extend(fresh);
            } else {
                records.remove(&record.id)?;
                uses.remove(&record.id)?;
                report.records_evicted += 1;
            }
        }
        drop((records, uses));
        for digest in stock.blobs.keys().filter(|digest| !kept.contains(digest)) {
            remove_chunks(transaction, digest)?;
            report.blobs_removed += 1;
        }
        report.after = bytes;
        Ok(report)
    }
}

fn take_stock(transaction: &WriteTransaction) -> Result<Stock, Trouble> {
    let (rows, uses) = (transaction.open_table(RECORDS)?, transaction.open_table(USES)?);
    let mut records = Vec::new();
    for row in rows.iter()? {
        let (id, sealed) = row?;
        let id = *id.value();
        let stored = unseal(&RecipeKey(Digest::from_bytes(id)), sealed.value())?;
        // A record that does not decode names nothing that anybody could restore.
        let names = wire::refs(&stored.bytes).unwrap_or_default();
        records.push(Listed {
            id,
            used: uses.get(&id)?.map_or(0, |at| at.value()),
            size: stored.bytes.len() as u64,
            names: names.into_iter().map(|(digest, _)| digest).collect(),
        });
    }
    records.sort_unstable_by_key(|record| std::cmp::Reverse(record.used));
    let mut blobs = BTreeMap::new();
    for row in transaction.open_table(BLOBS)?.iter()? {
        let (digest, blob) = row?;
        blobs.insert(Digest::from_bytes(*digest.value()), blob.value());
    }
    Ok(Stock { records, blobs })
}
