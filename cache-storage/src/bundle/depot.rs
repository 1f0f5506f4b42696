//! Packs, located records and bundles in a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use super::bundle_record::BundleRecord;
use super::{Index, Located, Pack, Places, Recognised};
use crate::{Expected, Result, Store, StoreError};

/// How often a lost race for a record is run again.
pub(super) const TRIES: usize = 16;

/// What a store that is far away holds (see the [module](super)).
#[derive(Clone, Debug)]
pub struct Depot {
    pub(super) store: Arc<dyn Store>,
    unread: Arc<[AtomicU64; 3]>,
}

/// Records that were read and count as absent, for what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Begin like ours and are not whole.
    pub damaged: u64,
    /// Of another version of larder.
    pub other_version: u64,
    /// Not ours.
    pub foreign: u64,
}

impl Depot {
    /// In a store, mostly one behind [`layers`](crate::layers).
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, unread: Arc::default() }
    }

    /// What was found under keys and could not be used, by this depot and its clones.
    #[must_use]
    pub fn unread(&self) -> Unread {
        let [damaged, other_version, foreign] =
            [0, 1, 2].map(|at: usize| self.unread[at].load(Ordering::Relaxed));
        Unread { damaged, other_version, foreign }
    }

    /// Counts a record that cannot be used.
    fn pass_over(&self, bytes: &[u8]) {
        let at = match Recognised::of(bytes) {
            // It is ours, but not what belongs under this key.
            Recognised::Readable | Recognised::Damaged => 0,
            Recognised::OtherVersion => 1,
            Recognised::Foreign => 2,
        };
        self.unread[at].fetch_add(1, Ordering::Relaxed);
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether it can be written.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.store.capabilities().write
    }

    /// The record of a key, with its blobs' places: one request. What is damaged, of another version, or
    /// another key's is absent.
    ///
    /// # Errors
    /// What the store says.
    pub async fn find(&self, key: &RecipeKey) -> Result<Option<Located>> {
        let Some(found) = self.store.get_record(key).await? else { return Ok(None) };
        let located = Located::decode(&found.bytes).ok();
        let located = located.filter(|located| located.record.recipe.key() == *key);
        if located.is_none() {
            self.pass_over(&found.bytes);
        }
        Ok(located)
    }

    /// Where the index of a build is, as a blob: one request. What is damaged or of another version is
    /// absent.
    ///
    /// # Errors
    /// What the store says.
    pub async fn find_build(&self, key: &RecipeKey) -> Result<Option<Pack>> {
        let Some(found) = self.store.get_record(key).await? else { return Ok(None) };
        let bundle = BundleRecord::decode(&found.bytes).ok();
        if bundle.is_none() {
            self.pass_over(&found.bytes);
        }
        Ok(bundle.map(|bundle| Pack { digest: bundle.index, size: bundle.size }))
    }

    /// The index of a build: one request. What is damaged or of another version is absent.
    ///
    /// # Errors
    /// What the store says; [`StoreError::BlobAbsent`] where only the record was left.
    pub async fn read_index(&self, at: &Pack) -> Result<Option<Index>> {
        let mut bytes = Vec::new();
        let mut pieces = self.store.read_blob(&at.digest).await?;
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > at.size.min(super::MAX_INDEX as u64) {
                return Ok(None);
            }
        }
        if Digest::of(&bytes) != at.digest {
            return Ok(None);
        }
        Ok(Index::decode(&bytes).ok())
    }

    /// The index of a build: two requests.
    ///
    /// # Errors
    /// As [`find_build`](Self::find_build) and [`read_index`](Self::read_index).
    pub async fn find_index(&self, key: &RecipeKey) -> Result<Option<Index>> {
        match self.find_build(key).await? {
            Some(at) => self.read_index(&at).await,
            None => Ok(None),
        }
    }

    /// Makes a build known under some keys; what was there is replaced. Outcomes of which a pack is not
    /// there any more are left out; the answer names those packs, so that their blobs can be published
    /// again. Costs a request for each pack, one for each key, and two for the index.
    ///
    /// # Errors
    /// What the store says; [`StoreError::Full`] for an index of more than [`MAX_INDEX`](super::MAX_INDEX)
    /// bytes.
    pub async fn publish_index(
        &self,
        keys: &[RecipeKey],
        index: &Index,
        created: u64,
    ) -> Result<Vec<Pack>> {
        let mut lost = Vec::new();
        for pack in index.places.packs() {
            if !self.renew(pack, created).await? {
                lost.push(pack);
            }
        }
        let left = if lost.is_empty() { None } else { Some(without(index, &lost)) };
        let index = left.as_ref().unwrap_or(index);
        let bytes = index.encode().map_err(|error| StoreError::write("an index", error))?;
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        // The index is a blob like a pack, and found like one when nothing leads to it any more.
        self.register(Pack { digest, size }, created).await?;
        let pieces = futures::stream::iter([Ok(bytes)]).boxed();
        self.store.write_blob(&digest, size, pieces).await?;
        let packs = index.places.packs();
        let record = BundleRecord { created, index: digest, size, packs }.encode();
        for key in keys {
            self.update(key, &mut |_| Some(record.clone())).await?;
        }
        Ok(lost)
    }

    /// Writes what `change` makes of a record; first as if there were none, since there mostly is none.
    pub(super) async fn update(
        &self,
        key: &RecipeKey,
        change: &mut (dyn FnMut(Option<&Bytes>) -> Option<Bytes> + Send),
    ) -> Result<()> {
        let Some(new) = change(None) else { return Ok(()) };
        match self.store.put_record(key, new, Expected::Absent).await {
            Err(StoreError::Conflict) => {}
            other => return other.map(drop),
        }
        for _ in 0..TRIES {
            let found = self.store.get_record(key).await?;
            let Some(new) = change(found.as_ref().map(|found| &found.bytes)) else { return Ok(()) };
            let expected =
                found.map_or(Expected::Absent, |found| Expected::Revision(found.revision));
            match self.store.put_record(key, new, expected).await {
                Err(StoreError::Conflict) => {}
                other => return other.map(drop),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Adds entries to the located record of their key.
    pub(super) async fn add_located(
        &self,
        key: &RecipeKey,
        record: &cache_core::Record,
        places: &Places,
    ) -> Result<()> {
        self.update(key, &mut |found| {
            let known = found.and_then(|bytes| Located::decode(bytes).ok());
            let mut located =
                known.filter(|known| known.record.recipe == record.recipe).unwrap_or_default();
            located.record.recipe = record.recipe.clone();
            for entry in record.entries.iter().rev() {
                located.add(entry.clone(), places);
            }
            Some(located.encode())
        })
        .await
    }
}

/// The index without the outcomes that need one of these packs.
fn without(index: &Index, lost: &[Pack]) -> Index {
    let mut left = index.clone();
    left.places.retain(|blob| index.places.of(blob).is_none_or(|pack| !lost.contains(&pack)));
    let places = &left.places;
    left.units.retain(|unit| {
        let entries = &unit.record.entries;
        entries.iter().all(|entry| places.for_outcome(&entry.outcome).is_some())
    });
    left
}
