//! Emptying the spool.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cache_core::wire::RecordView;
use cache_core::{Content, Digest, RecipeKey, Record};
use cache_rustc::engine::units_of;
use cache_storage::bundle::{
    Index, IndexUnit, PACK_SIZE, Pack, Parcel, Places, Published, Snapshot,
};
use cache_storage::{Result, Store, StoreError};
use futures::StreamExt;

use super::protocol::Left;
use super::remote::{Known, Remote, count};
use super::spool::Item;

/// How often the spool is looked at again before it is left to the next time.
const ROUNDS: usize = 8;
/// Outcomes that are published before their spool files are removed; and at least their bytes.
const BATCH: usize = 256;
const BATCH_BYTES: u64 = 256 << 20;
/// A pack that has fewer bytes is worth putting together with others.
const SMALL_PACK: u64 = PACK_SIZE / 2;
/// So many packs more than necessary are accepted.
const SPARE_PACKS: u64 = 2;

impl Remote {
    /// Uploads what is in the spool, and what comes to it meanwhile. What fails stays there.
    pub(super) async fn upload(self: &Arc<Self>) -> Left {
        let before = self.counters.uploaded.load(Ordering::Relaxed);
        // One at a time, whatever settings and version of this program they have. This thread does nothing
        // else; and without the lock the worst is that something goes up twice.
        let lock = File::create(self.dir.join("uploading"));
        let _one_at_a_time = lock.ok().filter(|lock| lock.lock().is_ok());
        let mut trouble = None;
        for _ in 0..ROUNDS {
            trouble = self.upload_once().await;
            if trouble.is_some() || self.spool.items().is_empty() {
                break;
            }
        }
        if let Some(error) = &trouble {
            self.troubled(error);
        }
        Left {
            uploaded: self.counters.uploaded.load(Ordering::Relaxed) - before,
            left: self.spool.items().len() as u64,
            trouble: trouble.map(|error| error.to_string()),
        }
    }

    async fn upload_once(&self) -> Option<StoreError> {
        let mut outcomes = Vec::new();
        let mut builds = Vec::new();
        for item in self.spool.items() {
            match &item {
                Item::Outcome { key, outcome } => outcomes.push((item.clone(), *key, *outcome)),
                Item::Build { exact, near } => builds.push((item.clone(), *exact, near.clone())),
            }
        }
        let mut trouble = None;
        let wanted: Vec<_> = outcomes.iter().map(|(_, key, outcome)| (*key, *outcome)).collect();
        for (done, (item, ..)) in self.publish(&wanted, false).await.into_iter().zip(&outcomes) {
            match done {
                Ok(_) => self.spool.remove(item),
                Err(error) => trouble = Some(error),
            }
        }
        if trouble.is_none() {
            for (item, exact, near) in builds {
                match self.publish_build(exact, &near).await {
                    Ok(()) => self.spool.remove(&item),
                    Err(error) => trouble = Some(error),
                }
            }
        }
        trouble
    }

    /// Publishes outcomes that are not known to be there; with `anew`, all. For each its places, or `None`
    /// for one that the local store does not have any more.
    async fn publish(
        &self,
        wanted: &[(RecipeKey, Digest)],
        anew: bool,
    ) -> Vec<Result<Option<Places>>> {
        let mut results: Vec<Option<Result<Option<Places>>>> = vec![None; wanted.len()];
        let mut batch: Vec<(usize, Parcel)> = Vec::new();
        let mut bytes = 0;
        for (at, (key, outcome)) in wanted.iter().enumerate() {
            if let Some(places) = self.placed.get(outcome).filter(|_| !anew) {
                results[at] = Some(Ok(Some(places)));
                continue;
            }
            let Some(record) = self.local(key, outcome).await else {
                count(&self.counters.gone);
                results[at] = Some(Ok(None));
                continue;
            };
            bytes += blob_bytes(&record);
            batch.push((at, Parcel { key: *key, record }));
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                self.publish_batch(&mut batch, &mut results).await;
                bytes = 0;
            }
        }
        self.publish_batch(&mut batch, &mut results).await;
        results.into_iter().map(|result| result.unwrap_or(Ok(None))).collect()
    }

    async fn publish_batch(
        &self,
        batch: &mut Vec<(usize, Parcel)>,
        results: &mut [Option<Result<Option<Places>>>],
    ) {
        let parcels: Vec<Parcel> = batch.iter().map(|(_, parcel)| parcel.clone()).collect();
        let scratch = self.dir.join("packing");
        let published = self.depot.publish(&*self.disk, &parcels, &scratch, now()).await;
        for ((at, parcel), published) in batch.drain(..).zip(published) {
            results[at] = Some(match published {
                Published::There(places) => {
                    count(&self.counters.uploaded);
                    for entry in &parcel.record.entries {
                        self.placed.put(&entry.outcome.digest(), &places);
                    }
                    let known = Known { record: Arc::new(parcel.record), whole: false };
                    self.learn(parcel.key, known, &places);
                    Ok(Some(places))
                }
                Published::Gone => {
                    count(&self.counters.gone);
                    Ok(None)
                }
                Published::Failed(error) => Err(error),
            });
        }
    }

    /// The local record of a key with nothing but the one outcome.
    async fn local(&self, key: &RecipeKey, outcome: &Digest) -> Option<Record> {
        let stored = self.disk.get_record(key).await.ok()??;
        let Record { recipe, entries } = Record::decode(&stored.bytes).ok()?;
        let entry = entries.into_iter().find(|entry| entry.outcome.digest() == *outcome)?;
        Some(Record { recipe, entries: vec![entry] })
    }

    /// Publishes a build: outcomes that are not there yet, then its index.
    async fn publish_build(&self, exact: RecipeKey, near: &[RecipeKey]) -> Result<()> {
        let Some(snapshot) = self.snapshot(&exact).await else { return Ok(()) };
        let digest = Digest::of(&snapshot.blob);
        if self.placed.has_build(&exact.0.to_hex(), &digest) {
            return Ok(());
        }
        let units: Vec<_> =
            units_of(&snapshot.blob).iter().map(|unit| (unit.key, unit.outcome)).collect();
        let mut index = Index { snapshot, ..Index::default() };
        let mut of_unit = Vec::new();
        for ((key, outcome), placed) in units.iter().zip(self.publish(&units, false).await) {
            if let (Some(places), Some(record)) = (placed?, self.local(key, outcome).await) {
                index.places.extend(&places);
                index.units.push(IndexUnit { key: *key, record });
                of_unit.push((*key, *outcome));
            }
        }
        self.put_together(&mut index, &of_unit).await?;
        let keys = [&[exact], near].concat();
        let lost = self.depot.publish_index(&keys, &index, now()).await?;
        count(&self.counters.uploaded);
        if lost.is_empty() {
            self.placed.put_build(&exact.0.to_hex(), &digest);
            return Ok(());
        }
        // Somebody removed packs that this machine held for there: their outcomes go up once more.
        for ((_, outcome), unit) in of_unit.iter().zip(&index.units) {
            let mut blobs = unit.record.entries.iter().flat_map(|entry| entry.outcome.blobs());
            let is_lost = |pack: Pack| lost.contains(&pack);
            if blobs.any(|(blob, _)| index.places.of(&blob).is_some_and(is_lost)) {
                self.placed.forget(outcome);
            }
        }
        Err(StoreError::Unavailable("packs were removed meanwhile; it is tried again".into()))
    }

    /// Packs outcomes anew that lie scattered in many small packs.
    async fn put_together(&self, index: &mut Index, units: &[(RecipeKey, Digest)]) -> Result<()> {
        let packs = index.places.packs();
        let bytes: u64 = packs.iter().map(|pack| pack.size).sum();
        if (packs.len() as u64) <= bytes / PACK_SIZE + SPARE_PACKS {
            return Ok(());
        }
        let is_small = |pack: Pack| pack.size < SMALL_PACK;
        let mut small = Vec::new();
        for ((key, outcome), unit) in units.iter().zip(&index.units) {
            let mut blobs = unit.record.entries.iter().flat_map(|entry| entry.outcome.blobs());
            if blobs.any(|(blob, _)| index.places.of(&blob).is_some_and(is_small)) {
                small.push((*key, *outcome));
            }
        }
        for places in self.publish(&small, true).await {
            if let Some(places) = places? {
                index.places.extend(&places);
            }
        }
        Ok(())
    }

    /// A build's snapshot from the local store.
    async fn snapshot(&self, exact: &RecipeKey) -> Option<Snapshot> {
        let stored = self.disk.get_record(exact).await.ok()??;
        let record = RecordView::parse(&stored.bytes).ok()?;
        let outcome = record.entries().first()?.outcome().ok()?;
        let Content::Blob { digest, .. } = outcome.outputs.first()?.content else { return None };
        let mut pieces = self.disk.read_blob(&digest).await.ok()?;
        let mut blob = Vec::new();
        while let Some(piece) = pieces.next().await {
            blob.extend_from_slice(&piece.ok()?);
        }
        Some(Snapshot { record: stored.bytes.clone(), blob: Bytes::from(blob) })
    }
}

fn blob_bytes(record: &Record) -> u64 {
    let blobs = record.entries.iter().flat_map(|entry| entry.outcome.blobs());
    blobs.collect::<BTreeMap<_, _>>().values().sum()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}
