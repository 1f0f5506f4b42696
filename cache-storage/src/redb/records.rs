//! Records: one row each, sealed.

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;
use redb::ReadableTable;

use super::RedbStore;
use super::shared::Change;
use super::tables::{RECORDS, SEAL, USES, now, seal, table};
use super::trouble::Trouble;
use crate::{Expected, RecordKeyStream, Result, Revision, StoreError, StoredRecord};

impl RedbStore {
    pub(super) fn load_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let found = self.file.read(|_, snapshot| {
            let Some(records) = table(&snapshot, RECORDS)? else { return Ok(None) };
            records.get(key.0.as_bytes())?.map(|row| unseal(key, row.value())).transpose()
        })?;
        Ok(found.flatten())
    }

    pub(super) fn swap_record(
        &self,
        key: &RecipeKey,
        bytes: &[u8],
        expected: &Expected,
    ) -> Result<Revision> {
        if bytes.len() as u64 > Self::MAX_RECORD {
            return Err(StoreError::Refused(format!(
                "record {key} has {} bytes; the most is {}",
                bytes.len(),
                Self::MAX_RECORD
            )));
        }
        let id = key.0.as_bytes();
        let seal = seal(id, bytes);
        let sealed = [seal.as_bytes(), bytes].concat();
        let swapped = self.file.write(|transaction| {
            let mut records = transaction.open_table(RECORDS)?;
            let found =
                records.get(id)?.map(|row| unseal(key, row.value()).map(|old| old.revision));
            let agrees = match (found.transpose()?, expected) {
                (None, Expected::Absent) => true,
                (Some(found), Expected::Revision(expected)) => found == *expected,
                _ => false,
            };
            if !agrees {
                return Ok(Change::None(false));
            }
            records.insert(id, &*sealed)?;
            transaction.open_table(USES)?.insert(id, now())?;
            self.memo.write_pending(transaction)?;
            self.uses.write_pending(transaction)?;
            Ok(Change::Commit(true))
        })?;
        if swapped { Ok(revision(&seal)) } else { Err(StoreError::Conflict) }
    }

    pub(super) fn remove_record(&self, key: &RecipeKey) -> Result<()> {
        self.file.check_writable()?;
        let id = key.0.as_bytes();
        let there = self.file.read(|_, snapshot| match table(&snapshot, RECORDS)? {
            Some(records) => Ok(records.get(id)?.is_some()),
            None => Ok(false),
        })?;
        if there != Some(true) {
            return Ok(());
        }
        self.file.write(|transaction| {
            transaction.open_table(USES)?.remove(id)?;
            let removed = transaction.open_table(RECORDS)?.remove(id)?.is_some();
            Ok(if removed { Change::Commit(()) } else { Change::None(()) })
        })
    }

    pub(super) fn stream_records(&self) -> Result<RecordKeyStream<'_>> {
        let keys = self.file.read(|_, snapshot| {
            let Some(records) = table(&snapshot, RECORDS)? else { return Ok(Vec::new()) };
            records
                .iter()?
                .map(|row| Ok(RecipeKey(Digest::from_bytes(*row?.0.value()))))
                .collect::<Result<Vec<_>, Trouble>>()
        })?;
        Ok(futures::stream::iter(keys.unwrap_or_default().into_iter().map(Ok)).boxed())
    }
}

/// The record in a row, if it is the one that was put there.
pub(super) fn unseal(key: &RecipeKey, row: &[u8]) -> Result<StoredRecord, Trouble> {
    let bad = || Trouble::corrupt(format!("the bytes of record {key} are not those stored"));
    let (stated, bytes) = row.split_at_checked(SEAL).ok_or_else(bad)?;
    let found = seal(key.0.as_bytes(), bytes);
    if found.as_bytes() != stated {
        return Err(bad());
    }
    Ok(StoredRecord { revision: revision(&found), bytes: Bytes::copy_from_slice(bytes) })
}

fn revision(seal: &Digest) -> Revision {
    Revision(Bytes::copy_from_slice(seal.as_bytes()))
}
