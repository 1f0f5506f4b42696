//! Bringing outcomes from a local store to a depot.

use std::collections::BTreeSet;
use std::path::Path;

use cache_core::{Digest, RecipeKey, Record};

use super::pack_writer::PackWriter;
use super::{Depot, Places};
use crate::{Result, Store, StoreError};

/// The length at which a pack is full, in stored bytes: large enough that the bytes take longer than the
/// request, small enough that one outcome is not paid for with many others.
pub const PACK_SIZE: u64 = 16 << 20;

/// An outcome to be published.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The key of its record.
    pub key: RecipeKey,
    /// The record with the one entry.
    pub record: Record,
}

impl Parcel {
    /// The blobs that it names, each once, in order.
    fn blobs(&self) -> Vec<(Digest, u64)> {
        let mut seen = BTreeSet::new();
        let blobs = self.record.entries.iter().flat_map(|entry| entry.outcome.blobs());
        blobs.filter(|(digest, _)| seen.insert(*digest)).collect()
    }
}

/// What became of an outcome.
#[derive(Clone, Debug)]
pub enum Published {
    /// It is there; its blobs are in these places.
    There(Places),
    /// A blob is gone from the local store, or was never good.
    Gone,
    /// The depot's store said this; it may be tried again.
    Failed(StoreError),
}

impl Depot {
    /// Publishes outcomes in order: for each pack its registration, its bytes, then the located records of
    /// its outcomes; so whatever ends this early, no record leads to a pack that is not there, and no pack
    /// is there that [`collect`](Self::collect) cannot find. `scratch` is a local directory for the pack that is being written; no more than one pack,
    /// or one blob that is longer, is on the disk at a time, and no blob is in memory.
    ///
    /// Of two outcomes with a blob in common, the second leads to the pack of the first. One that makes
    /// the pack much too long begins a new one, so that the others do not come at its price.
    pub async fn publish(
        &self,
        local: &dyn Store,
        parcels: &[Parcel],
        scratch: &Path,
        created: u64,
    ) -> Vec<Published> {
        let mut publishing = Publishing {
            depot: self,
            local,
            scratch,
            created,
            places: Places::default(),
            pack: None,
        };
        let mut results = Vec::with_capacity(parcels.len());
        let mut waiting = Vec::new();
        for (at, parcel) in parcels.iter().enumerate() {
            if publishing.bursts(parcel) {
                publishing.settle(parcels, &mut waiting, &mut results).await;
            }
            match publishing.pack(parcel).await {
                Ok(true) => {
                    results.push(None);
                    waiting.push(at);
                }
                Ok(false) => results.push(Some(Published::Gone)),
                Err(error) => results.push(Some(Published::Failed(error))),
            }
            if publishing.is_full() {
                publishing.settle(parcels, &mut waiting, &mut results).await;
            }
        }
        publishing.settle(parcels, &mut waiting, &mut results).await;
        let failed = || Published::Failed(StoreError::Unavailable("it was not tried".into()));
        results.into_iter().map(|result| result.unwrap_or_else(failed)).collect()
    }
}

struct Publishing<'a> {
    depot: &'a Depot,
    local: &'a dyn Store,
    scratch: &'a Path,
    created: u64,
    /// Where the blobs of finished packs are.
    places: Places,
    pack: Option<PackWriter>,
}

impl Publishing<'_> {
    /// Puts an outcome's blobs into the pack; `false` when one is gone.
    async fn pack(&mut self, parcel: &Parcel) -> Result<bool> {
        let packed = self.pack.as_ref().map(PackWriter::members);
        let is_new = |blob: &Digest| {
            self.places.of(blob).is_none() && packed.is_none_or(|packed| !packed.contains(blob))
        };
        let mut blobs = parcel.blobs();
        blobs.retain(|(blob, _)| is_new(blob));
        if blobs.is_empty() {
            return Ok(true);
        }
        let pack = match &mut self.pack {
            Some(pack) => pack,
            none => none.insert(PackWriter::create(self.scratch)?),
        };
        match pack.add(self.local, &blobs).await {
            Ok(()) => Ok(true),
            Err(StoreError::BlobAbsent(_) | StoreError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the pack that was begun would become more than twice as long as it should. Compiled code
    /// is taken to shrink to a third.
    fn bursts(&self, parcel: &Parcel) -> bool {
        let Some(pack) = &self.pack else { return false };
        let blobs = parcel.blobs().into_iter();
        let new = blobs
            .filter(|(blob, _)| self.places.of(blob).is_none() && !pack.members().contains(blob));
        let plain = new.fold(0_u64, |sum, (_, size)| sum.saturating_add(size));
        plain / 3 + pack.length() > 2 * PACK_SIZE
    }

    fn is_full(&self) -> bool {
        self.pack.as_ref().is_some_and(|pack| pack.length() >= PACK_SIZE)
    }

    /// Uploads the pack, then the records of the outcomes that wait for it.
    async fn settle(
        &mut self,
        parcels: &[Parcel],
        waiting: &mut Vec<usize>,
        results: &mut [Option<Published>],
    ) {
        let uploaded = self.upload().await;
        for at in waiting.drain(..) {
            let published = match &uploaded {
                Ok(()) => self.record(&parcels[at]).await,
                Err(error) => Err(error.clone()),
            };
            results[at] = Some(published.unwrap_or_else(Published::Failed));
        }
    }

    async fn upload(&mut self) -> Result<()> {
        let Some(mut writer) = self.pack.take() else { return Ok(()) };
        if writer.members().is_empty() {
            return Ok(());
        }
        let pack = writer.finish()?;
        self.depot.register(pack, self.created).await?;
        self.depot.store.write_blob(&pack.digest, pack.size, writer.bytes()?).await?;
        for blob in writer.members() {
            self.places.insert(*blob, pack);
        }
        Ok(())
    }

    async fn record(&self, parcel: &Parcel) -> Result<Published> {
        let mut places = Places::default();
        for (blob, _) in parcel.blobs() {
            let Some(pack) = self.places.of(&blob) else { return Ok(Published::Gone) };
            places.insert(blob, pack);
        }
        self.depot.add_located(&parcel.key, &parcel.record, &places).await?;
        Ok(Published::There(places))
    }
}
