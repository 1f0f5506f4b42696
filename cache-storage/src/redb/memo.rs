//! The digest memo as a table: stamps of files whose digests are known.
//!
//! Says and forgets what [`MemoTable`](crate::MemoTable) does, of files; what is learnt is kept in
//! memory and written with the next change to the file, since a change of its own would cost
//! several syncs.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_core::Digest;
use redb::{ReadableTableMetadata, WriteTransaction};

use super::RedbStore;
use super::shared::Change;
use super::tables::{MEMO, seal, table};
use super::trouble::Trouble;
use crate::Result;
use crate::disk::memo::{digest_of, file_tag};
use crate::disk::stamp::Stamp;

/// A table this long is forgotten: most of it is of files and boots long gone.
const MOST: u64 = 131_072;
/// Learnt, but not yet written: more are not kept.
const MOST_PENDING: usize = 16_384;

type Tag = [u8; 16];

/// What this process has learnt and not written yet.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    pending: Mutex<HashMap<Tag, Digest>>,
}

impl Learnt {
    fn pending(&self) -> MutexGuard<'_, HashMap<Tag, Digest>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, stamp: &Stamp, digest: &Digest) {
        if let Some(tag) = file_tag(stamp) {
            let mut pending = self.pending();
            if pending.len() < MOST_PENDING {
                pending.insert(tag, *digest);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending().is_empty()
    }

    /// Writes what is pending; lost if the change is not kept.
    pub(super) fn write_pending(&self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        let pending = std::mem::take(&mut *self.pending());
        if pending.is_empty() {
            return Ok(());
        }
        if transaction.open_table(MEMO)?.len()? >= MOST {
            transaction.delete_table(MEMO)?;
        }
        let mut memo = transaction.open_table(MEMO)?;
        for (tag, digest) in pending {
            memo.insert(&tag, &row(&tag, &digest))?;
        }
        Ok(())
    }
}

impl RedbStore {
    /// The digest of each regular file, in the order asked: remembered, or else read and, if the
    /// file is old enough, remembered. All look-ups are made in one snapshot of the store.
    ///
    /// # Errors
    /// For each file what opening or reading it says; `InvalidInput` for what is no regular file.
    pub fn digest_files(&self, paths: &[&Path]) -> Vec<io::Result<Digest>> {
        let stamps: Vec<_> = paths.iter().map(|path| stamp_of(path)).collect();
        let tags: Vec<_> =
            stamps.iter().map(|stamp| stamp.as_ref().ok().and_then(file_tag)).collect();
        let known = self.known(&tags);
        let digest = |((path, stamp), known): ((&&Path, io::Result<Stamp>), Option<Digest>)| {
            stamp?;
            known.map_or_else(|| self.read_file(path), Ok)
        };
        paths.iter().zip(stamps).zip(known).map(digest).collect()
    }

    /// Remembers the digest of a file for its producer, who knows that it is finished.
    pub fn remember(&self, path: &Path, digest: &Digest) {
        if self.file.is_writable()
            && let Ok(stamp) = stamp_of(path)
        {
            self.memo.add(&stamp, digest);
        }
    }

    /// Forgets every digest, for all processes.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`](crate::StoreError::ReadOnly) and what the system says.
    pub fn clear_memo(&self) -> Result<()> {
        self.memo.pending().clear();
        self.file.write(|transaction| {
            let known = transaction.delete_table(MEMO)?;
            Ok(if known { Change::Commit(()) } else { Change::None(()) })
        })
    }

    fn read_file(&self, path: &Path) -> io::Result<Digest> {
        let (digest, settled) = digest_of(path)?;
        if let Some(stamp) = settled.filter(|_| self.file.is_writable()) {
            self.memo.add(&stamp, &digest);
        }
        Ok(digest)
    }

    /// Nothing is known where the file cannot be read.
    fn known(&self, tags: &[Option<Tag>]) -> Vec<Option<Digest>> {
        let mut known: Vec<_> = {
            let pending = self.memo.pending();
            tags.iter().map(|tag| pending.get(tag.as_ref()?).copied()).collect()
        };
        let found = self.file.read(|_, snapshot| {
            let Some(memo) = table(&snapshot, MEMO)? else { return Ok(Vec::new()) };
            let look_up = |tag: &Option<Tag>| {
                let Some(tag) = tag else { return Ok(None) };
                Ok(memo.get(tag)?.and_then(|row| digest_in(tag, row.value())))
            };
            tags.iter().map(look_up).collect::<Result<Vec<_>, Trouble>>()
        });
        for (known, found) in known.iter_mut().zip(found.ok().flatten().unwrap_or_default()) {
            *known = known.or(found);
        }
        known
    }
}

fn stamp_of(path: &Path) -> io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    if meta.is_file() {
        Ok(Stamp::of(&meta))
    } else {
        // Reading a pipe would wait; reading a device may never end.
        Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"))
    }
}

fn row(tag: &Tag, digest: &Digest) -> [u8; 48] {
    let mut row = [0; 48];
    row[..32].copy_from_slice(digest.as_bytes());
    row[32..].copy_from_slice(&seal(tag, digest.as_bytes()).as_bytes()[..16]);
    row
}

/// The digest in a row, if it is the one that was put there.
fn digest_in(tag: &Tag, stored: &[u8; 48]) -> Option<Digest> {
    let digest = Digest::from_bytes(*stored.first_chunk()?);
    (row(tag, &digest) == *stored).then_some(digest)
}
