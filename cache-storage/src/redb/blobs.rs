//! Blobs: one row that says how long, and the bytes in chunks.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cache_core::{Digest, Hasher};
use futures::StreamExt;
use redb::{ReadOnlyTable, ReadTransaction, WriteTransaction};

use super::RedbStore;
use super::shared::{Change, Reading, guarded};
use super::tables::{BLOBS, CHUNKS, milliseconds, now, table};
use super::trouble::Trouble;
use crate::{BlobStream, Result, StoreError, check_blob};

/// Bytes of a chunk; redb gives a value whole pages, a power of two of them.
const CHUNK: usize = 256 * 1024 - 512;

impl RedbStore {
    pub(super) fn has_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let found = self.file.read(|_, snapshot| {
            let Some(blobs) = table(&snapshot, BLOBS)? else {
                return Ok(vec![false; digests.len()]);
            };
            digests.iter().map(|digest| Ok(blobs.get(digest.as_bytes())?.is_some())).collect()
        })?;
        Ok(found.unwrap_or_else(|| vec![false; digests.len()]))
    }

    pub(super) fn stream_blob(&self, digest: &Digest) -> Result<(u64, BlobStream<'_>)> {
        let reader = self.file.read(|handle, snapshot| {
            let (Some(blobs), Some(chunks)) = (table(&snapshot, BLOBS)?, table(&snapshot, CHUNKS)?)
            else {
                return Ok(None);
            };
            let Some(row) = blobs.get(digest.as_bytes())? else { return Ok(None) };
            let (size, hasher) = (row.value().0, Hasher::blob());
            let handle = handle.clone();
            let left = size;
            Ok(Some(Reader { chunks, snapshot, handle, hasher, digest: *digest, next: 0, left }))
        })?;
        let reader = reader.flatten().ok_or(StoreError::BlobAbsent(*digest))?;
        let size = reader.left;
        let stream = futures::stream::unfold(Some(reader), move |reader| async move {
            let mut reader = reader?;
            match guarded(|| reader.next()) {
                Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
                Ok(None) => {
                    let found = reader.hasher.finish();
                    (found != reader.digest).then(|| {
                        let digest = reader.digest;
                        let reason = format!("the bytes of blob {digest} are not those stored");
                        self.file.condemn(&reader.handle, &reason);
                        (Err(StoreError::Corrupt { digest, found }), None)
                    })
                }
                Err(trouble) => Some((Err(self.give_up_reading(&reader, trouble)), None)),
            }
        });
        Ok((size, stream.boxed()))
    }

    fn give_up_reading(&self, reader: &Reader, trouble: Trouble) -> StoreError {
        let reason = match trouble {
            Trouble::Failed(error) => return error,
            Trouble::Damaged(_, reason) => {
                self.file.condemn(&reader.handle, &reason);
                reason
            }
            Trouble::Stale(reason) => reason,
            Trouble::Unclean => "the file needs repair".into(),
        };
        let context = format!("reading blob {}", reader.digest);
        StoreError::read(context, std::io::Error::other(reason))
    }

    pub(super) async fn take_stream(
        &self,
        digest: &Digest,
        size: u64,
        mut bytes: BlobStream<'_>,
    ) -> Result<()> {
        self.file.check_writable()?;
        if size > Self::MAX_BLOB {
            return Err(StoreError::Refused(format!(
                "blob {digest} has {size} bytes; the most in a redb store is {}",
                Self::MAX_BLOB
            )));
        }
        // All of it before the file is locked: others do not wait for a slow stream.
        let (mut whole, mut hasher) = (BytesMut::new(), Hasher::blob());
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            hasher.update(&piece);
            whole.extend_from_slice(&piece);
            if whole.len() as u64 > size {
                break;
            }
        }
        check_blob(digest, size, &hasher.finish(), whole.len() as u64)?;
        if self.has_fresh_blob(digest, size)? {
            return Ok(());
        }
        self.file.write(|transaction| {
            put_chunks(transaction, digest, &whole)?;
            self.memo.write_pending(transaction)?;
            self.uses.write_pending(transaction)?;
            Ok(Change::Commit(()))
        })
    }

    /// Whether the blob is there, and will be kept long enough for its record to be written.
    fn has_fresh_blob(&self, digest: &Digest, size: u64) -> Result<bool> {
        let oldest = now().saturating_sub(milliseconds(self.grace) / 4);
        let fresh = self.file.read(|_, snapshot| {
            let Some(blobs) = table(&snapshot, BLOBS)? else { return Ok(false) };
            let row = blobs.get(digest.as_bytes())?;
            Ok(row.is_some_and(|row| row.value().0 == size && row.value().1 >= oldest))
        })?;
        Ok(fresh.unwrap_or(false))
    }

    pub(super) fn remove_blob(&self, digest: &Digest) -> Result<()> {
        self.file.check_writable()?;
        if self.has_blobs(&[*digest])? == [false] {
            return Ok(());
        }
        self.file.write(|transaction| {
            let removed = remove_chunks(transaction, digest)?;
            Ok(if removed { Change::Commit(()) } else { Change::None(()) })
        })
    }
}

/// A blob on its way out, as it was when the reading began.
struct Reader {
    // In the order they are dropped.
    chunks: ReadOnlyTable<&'static [u8; 36], &'static [u8]>,
    #[expect(dead_code, reason = "keeps the pages that `chunks` reads")]
    snapshot: ReadTransaction,
    handle: Arc<Reading>,
    hasher: Hasher,
    digest: Digest,
    next: u32,
    left: u64,
}

impl Reader {
    /// The next piece.
    fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        if self.left == 0 {
            return Ok(None);
        }
        let other_length = || Trouble::corrupt(format!("blob {} has another length", self.digest));
        let row = self.chunks.get(&chunk_key(&self.digest, self.next))?;
        let row = row.ok_or_else(other_length)?;
        let piece = Bytes::copy_from_slice(row.value());
        self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(other_length)?;
        self.hasher.update(&piece);
        self.next += 1;
        Ok(Some(piece))
    }
}

fn put_chunks(
    transaction: &WriteTransaction,
    digest: &Digest,
    whole: &[u8],
) -> Result<(), Trouble> {
    let mut chunks = transaction.open_table(CHUNKS)?;
    for (number, chunk) in (0..).zip(whole.chunks(CHUNK)) {
        chunks.insert(&chunk_key(digest, number), chunk)?;
    }
    let row = (whole.len() as u64, now());
    transaction.open_table(BLOBS)?.insert(digest.as_bytes(), row)?;
    Ok(())
}

/// Removes a blob's rows; whether there were any.
pub(super) fn remove_chunks(
    transaction: &WriteTransaction,
    digest: &Digest,
) -> Result<bool, Trouble> {
    let mut chunks = transaction.open_table(CHUNKS)?;
    let mut number = 0;
    while chunks.remove(&chunk_key(digest, number))?.is_some() {
        number += 1;
    }
    Ok(transaction.open_table(BLOBS)?.remove(digest.as_bytes())?.is_some())
}

fn chunk_key(digest: &Digest, number: u32) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(digest.as_bytes());
    key[32..].copy_from_slice(&number.to_be_bytes());
    key
}
