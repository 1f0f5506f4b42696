//! Records as results of actions that never run.

use bytes::Bytes;
use cache_core::{Digest, RecipeKey, wire};
use cache_storage::{Expected, Result, Revision, StoreError, StoredRecord};
use futures::lock::MutexGuard;

use super::entries::Entry;
use super::names;
use super::seal::Sealed;
use super::{LOCKS, ReapiStore};
use crate::CasDigest;

impl ReapiStore {
    pub(super) async fn load_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let Some(entry) = self.get_entry(self.record_key(key).await?).await? else {
            return Ok(None);
        };
        let Sealed::Record(bytes) = entry.sealed else { return Ok(None) };
        for (digest, place) in entry.blobs {
            self.places.learn(digest, place);
        }
        let revision = revision(&bytes);
        Ok(Some(StoredRecord { bytes, revision }))
    }

    pub(super) async fn swap_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        self.check_writable().await?;
        let _turn = self.turn(key).await;
        let current = self.load_record(key).await?.map(|record| record.revision);
        let expected = match expected {
            Expected::Absent => None,
            Expected::Revision(revision) => Some(revision),
        };
        if current != expected {
            return Err(StoreError::Conflict);
        }
        let revision = revision(&bytes);
        let blobs = self.known_places(&bytes);
        let entry = Entry { sealed: Sealed::Record(bytes), blobs };
        self.put_entry(self.record_key(key).await?, entry).await?;
        Ok(revision)
    }

    pub(super) async fn remove_record(&self, key: &RecipeKey) -> Result<()> {
        self.check_writable().await?;
        let _turn = self.turn(key).await;
        let name = self.record_key(key).await?;
        if self.load_record(key).await?.is_some() {
            self.put_entry(name, Entry { sealed: Sealed::Gone, blobs: Vec::new() }).await?;
        }
        Ok(())
    }

    /// Where the blobs are that a record names: those that were written or looked up here, which
    /// for a record that was read and added to are all.
    fn known_places(&self, record: &[u8]) -> Vec<(Digest, CasDigest)> {
        let refs = wire::refs(record).unwrap_or_default();
        refs.iter().filter_map(|(digest, _)| Some((*digest, self.places.get(digest)?))).collect()
    }

    async fn record_key(&self, key: &RecipeKey) -> Result<CasDigest> {
        Ok(names::record(self.client.capabilities().await?.digest_function, key))
    }

    async fn turn(&self, key: &RecipeKey) -> MutexGuard<'_, ()> {
        self.locks[usize::from(key.0.as_bytes()[0]) % LOCKS].lock().await
    }
}

/// The state of a record is its content.
fn revision(bytes: &[u8]) -> Revision {
    Revision(Bytes::copy_from_slice(Digest::of(bytes).as_bytes()))
}
