//! The tables of the file. A change to what a table's bytes mean changes its name, so that
//! versions of this crate can share one file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache_core::{Digest, Hasher};
use redb::{Key, ReadOnlyTable, ReadTransaction, TableDefinition, TableError, Value};

use super::trouble::Trouble;

/// Key of a record → seal of key and record, then the record.
pub(super) const RECORDS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("records-v1");
/// Digest of a blob → its length in bytes, and when it was last written or found present by a
/// writer, in milliseconds since 1970.
pub(super) const BLOBS: TableDefinition<&[u8; 32], (u64, u64)> = TableDefinition::new("blobs-v1");
/// Digest of a blob and number of the chunk (big-endian, from 0) → its bytes.
pub(super) const CHUNKS: TableDefinition<&[u8; 36], &[u8]> = TableDefinition::new("chunks-v1");
/// Key of a record → when it was last used, in milliseconds since 1970.
pub(super) const USES: TableDefinition<&[u8; 32], u64> = TableDefinition::new("uses-v1");
/// Tag of a file's stamp → the file's digest, and the beginning of the seal of both.
pub(super) const MEMO: TableDefinition<&[u8; 16], &[u8; 48]> = TableDefinition::new("memo-v1");

/// Bytes of a [`seal`].
pub(super) const SEAL: usize = Digest::LEN;

/// The table as of a snapshot; `None` when nobody has made it yet.
pub(super) fn table<K: Key + 'static, V: Value + 'static>(
    snapshot: &ReadTransaction,
    definition: TableDefinition<K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, Trouble> {
    match snapshot.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Ties bytes to the key they are stored under: redb does not check what it reads.
pub(super) fn seal(key: &[u8], bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::keyed("larder 2026-11 redb seal v1");
    hasher.update(key).update(bytes);
    hasher.finish()
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
