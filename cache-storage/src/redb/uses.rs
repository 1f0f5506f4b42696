//! The usage index: when each record was last used.
//!
//! Kept in memory and written with the next change to the file. A process that is killed loses
//! what it had not written; a record without a row counts as never used.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_core::RecipeKey;
use redb::WriteTransaction;

use super::RedbStore;
use super::shared::Change;
use super::tables::{RECORDS, USES, now};
use super::trouble::Trouble;
use crate::Result;

/// Uses of this process that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Uses {
    pending: Mutex<HashMap<RecipeKey, u64>>,
}

impl Uses {
    fn pending(&self) -> MutexGuard<'_, HashMap<RecipeKey, u64>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending().is_empty()
    }

    /// Writes what is pending, of records that are there; lost if the change is not kept.
    pub(super) fn write_pending(&self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        let pending = std::mem::take(&mut *self.pending());
        if pending.is_empty() {
            return Ok(());
        }
        let (records, mut uses) = (transaction.open_table(RECORDS)?, transaction.open_table(USES)?);
        for (key, at) in pending {
            let id = key.0.as_bytes();
            if redb::ReadableTable::get(&records, id)?.is_some() {
                uses.insert(id, at)?;
            }
        }
        Ok(())
    }
}

impl RedbStore {
    /// Notes that a record was used now, which keeps it from being evicted before others.
    pub fn touch(&self, key: &RecipeKey) {
        if self.file.is_writable() {
            self.uses.pending().insert(*key, now());
        }
    }

    /// Writes what [`RedbStore::touch`], [`RedbStore::remember`] and reading files have noted.
    /// Dropping the store does so, too.
    ///
    /// # Errors
    /// What the system says; the notes are then lost.
    pub fn flush(&self) -> Result<()> {
        if self.uses.is_empty() && self.memo.is_empty() {
            return Ok(());
        }
        self.file.write(|transaction| {
            self.memo.write_pending(transaction)?;
            self.uses.write_pending(transaction)?;
            Ok(Change::Commit(()))
        })
    }
}
