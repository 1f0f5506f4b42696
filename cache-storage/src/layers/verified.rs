//! Checks every byte that crosses against the digest it goes by.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, Hasher, RecipeKey};
use futures::StreamExt;

use super::support::locked;
use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord, check_blob,
};

/// How many damaged blobs are remembered.
const BAD_KEPT: usize = 10_000;

/// Does not believe the store inside. A blob that is read is hashed as it passes, and its last piece
/// is held back until the digest is known: a blob with wrong, missing or additional bytes ends with
/// [`StoreError::Corrupt`], is counted, and never comes whole. A blob that is written is checked the
/// same way, so that wrong bytes are [`StoreError::Refused`] before the store has all of them.
///
/// A blob that was found damaged counts as absent from then on, for as long as this layer lives;
/// writing it first deletes what is there.
///
/// Records carry a checksum of their own and pass as they are; who wrote them is what
/// [`Signed`](super::Signed) checks.
#[derive(Debug)]
pub struct Verified {
    inner: Arc<dyn Store>,
    corrupt: AtomicU64,
    /// Blobs found damaged, newest at the back.
    bad: Mutex<VecDeque<Digest>>,
}

impl Verified {
    /// `inner`, checked.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, corrupt: AtomicU64::new(0), bad: Mutex::default() }
    }

    /// How many blobs came with wrong bytes.
    #[must_use]
    pub fn corrupt(&self) -> u64 {
        self.corrupt.load(Ordering::Relaxed)
    }

    fn is_bad(&self, digest: &Digest) -> bool {
        locked(&self.bad).contains(digest)
    }

    fn condemn(&self, digest: Digest, found: Digest) -> StoreError {
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        let mut bad = locked(&self.bad);
        if !bad.contains(&digest) {
            if bad.len() >= BAD_KEPT {
                bad.pop_front();
            }
            bad.push_back(digest);
        }
        StoreError::Corrupt { digest, found }
    }

    /// The stream, its last piece only if the whole is right.
    fn check<'a>(&'a self, digest: Digest, blob: SizedBlob<'a>) -> BlobStream<'a> {
        let SizedBlob { size, bytes } = blob;
        let state = Reading { bytes, hasher: Hasher::blob(), held: None, length: 0 };
        futures::stream::unfold(Some(state), move |state| async move {
            let mut state = state?;
            loop {
                match state.bytes.next().await {
                    Some(Ok(piece)) => {
                        state.hasher.update(&piece);
                        state.length += piece.len() as u64;
                        if size.is_some_and(|size| state.length > size) {
                            let error = self.condemn(digest, state.hasher.finish());
                            return Some((Err(error), None));
                        }
                        if let Some(held) = state.held.replace(piece) {
                            return Some((Ok(held), Some(state)));
                        }
                    }
                    Some(Err(error)) => {
                        if let StoreError::Corrupt { found, .. } = error {
                            return Some((Err(self.condemn(digest, found)), None));
                        }
                        return Some((Err(error), None));
                    }
                    None => {
                        let found = state.hasher.finish();
                        if found != digest {
                            return Some((Err(self.condemn(digest, found)), None));
                        }
                        return state.held.map(|held| (Ok(held), None));
                    }
                }
            }
        })
        .boxed()
    }
}

/// A blob on its way.
struct Reading<'a> {
    bytes: BlobStream<'a>,
    hasher: Hasher,
    held: Option<Bytes>,
    length: u64,
}

/// The stream of a blob to be written, with an error before its last piece if the whole is wrong.
fn refuse_wrong(digest: Digest, size: u64, bytes: BlobStream<'_>) -> BlobStream<'_> {
    let state = Reading { bytes, hasher: Hasher::blob(), held: None, length: 0 };
    futures::stream::unfold(Some(state), move |state| async move {
        let mut state = state?;
        loop {
            match state.bytes.next().await {
                Some(Ok(piece)) if state.length <= size => {
                    state.hasher.update(&piece);
                    state.length += piece.len() as u64;
                    if let Some(held) = state.held.replace(piece) {
                        return Some((Ok(held), Some(state)));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                Some(Ok(_)) | None => {
                    let checked = check_blob(&digest, size, &state.hasher.finish(), state.length);
                    return match checked {
                        Ok(()) => state.held.map(|held| (Ok(held), None)),
                        Err(error) => Some((Err(error), None)),
                    };
                }
            }
        }
    })
    .boxed()
}

#[async_trait]
impl Store for Verified {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.inner.get_record(key).await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        self.inner.put_record(key, bytes, expected).await
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.inner.list_records().await
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.inner.delete_record(key).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let mut there = self.inner.contains_blobs(digests).await?;
        for (digest, there) in digests.iter().zip(&mut there) {
            *there &= !self.is_bad(digest);
        }
        Ok(there)
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        if self.is_bad(digest) {
            return Err(StoreError::BlobAbsent(*digest));
        }
        match self.inner.read_sized_blob(digest).await {
            Ok(blob) => Ok(SizedBlob { size: blob.size, bytes: self.check(*digest, blob) }),
            Err(StoreError::Corrupt { found, .. }) => Err(self.condemn(*digest, found)),
            Err(error) => Err(error),
        }
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let bytes = refuse_wrong(*digest, size, bytes);
        if self.is_bad(digest) {
            self.inner.delete_blob(digest).await?;
            self.inner.write_blob(digest, size, bytes).await?;
            locked(&self.bad).retain(|bad| bad != digest);
            return Ok(());
        }
        self.inner.write_blob(digest, size, bytes).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.inner.delete_blob(digest).await?;
        locked(&self.bad).retain(|bad| bad != digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::super::tests::{faulty, get, put, stream};
    use super::*;
    use crate::testing::Fault;

    /// What a reader has got when the stream ends.
    fn taken(store: &Verified, digest: &Digest) -> (usize, Option<StoreError>) {
        block_on(async {
            let mut bytes = store.read_blob(digest).await.unwrap();
            let mut length = 0;
            while let Some(piece) = bytes.next().await {
                match piece {
                    Ok(piece) => length += piece.len(),
                    Err(error) => return (length, Some(error)),
                }
            }
            (length, None)
        })
    }

    #[test]
    fn wrong_or_missing_bytes_are_corrupt_and_never_come_whole() {
        let inner = faulty();
        let digest = put(&*inner, &[7; 5000]);
        for (n, fault) in [Fault::WrongBytes, Fault::CutShort].into_iter().enumerate() {
            let store = Verified::new(inner.clone());
            assert_eq!(get(&store, &digest).unwrap(), [7; 5000]);
            inner.always(Some(fault));
            let (length, error) = taken(&store, &digest);
            assert!(length < 5000, "fault {n}");
            assert!(
                matches!(error, Some(StoreError::Corrupt { digest: named, .. }) if named == digest)
            );
            assert_eq!(store.corrupt(), 1);
            inner.always(None);
        }
    }

    #[test]
    fn a_damaged_blob_is_absent_until_it_is_written_again() {
        let inner = faulty();
        let store = Verified::new(inner.clone());
        let digest = put(&store, &[7; 5000]);
        inner.always(Some(Fault::WrongBytes));
        assert!(get(&store, &digest).is_err());
        inner.always(None);
        assert!(matches!(get(&store, &digest), Err(StoreError::BlobAbsent(_))));
        assert_eq!(block_on(store.contains_blobs(&[digest])).unwrap(), [false]);
        put(&store, &[7; 5000]);
        assert_eq!(inner.calls(crate::Operation::DeleteBlob), 1, "what was there was replaced");
        assert_eq!(block_on(store.contains_blobs(&[digest])).unwrap(), [true]);
        assert_eq!(get(&store, &digest).unwrap(), [7; 5000]);
    }

    /// Takes whatever it is given.
    #[derive(Debug, Default)]
    struct Gullible(Mutex<usize>);

    #[async_trait]
    impl Store for Gullible {
        fn capabilities(&self) -> Capabilities {
            Capabilities::default().with_write(true)
        }
        async fn get_record(&self, _: &RecipeKey) -> Result<Option<StoredRecord>> {
            Ok(None)
        }
        async fn put_record(&self, _: &RecipeKey, _: Bytes, _: Expected) -> Result<Revision> {
            Err(StoreError::Conflict)
        }
        async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
            Ok(futures::stream::empty().boxed())
        }
        async fn delete_record(&self, _: &RecipeKey) -> Result<()> {
            Ok(())
        }
        async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
            Ok(vec![false; digests.len()])
        }
        async fn read_blob(&self, _: &Digest) -> Result<BlobStream<'_>> {
            // More than any announced length, for ever.
            Ok(futures::stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1000]))).boxed())
        }
        async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
            Ok(SizedBlob { size: Some(5000), bytes: self.read_blob(digest).await? })
        }
        async fn write_blob(&self, _: &Digest, _: u64, mut bytes: BlobStream<'_>) -> Result<()> {
            while let Some(piece) = bytes.next().await {
                *locked(&self.0) += piece?.len();
            }
            Ok(())
        }
        async fn delete_blob(&self, _: &Digest) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn wrong_bytes_are_refused_before_the_store_has_all_of_them() {
        let inner = Arc::new(Gullible::default());
        let store = Verified::new(inner.clone());
        for (digest, size) in [
            (Digest::of(b"other"), 5000),
            (Digest::of(&[7; 5000]), 4999),
            (Digest::of(&[7; 5000]), 5001),
        ] {
            let result = block_on(store.write_blob(&digest, size, stream(&[7; 5000])));
            assert!(matches!(result, Err(StoreError::Refused(_))), "{result:?}");
            assert!(std::mem::take(&mut *locked(&inner.0)) < 5000);
        }
        put(&store, &[7; 5000]);
        assert_eq!(*locked(&inner.0), 5000);
    }

    #[test]
    fn a_blob_that_never_ends_is_cut_at_its_announced_length() {
        let store = Verified::new(Arc::new(Gullible::default()));
        let (length, error) = taken(&store, &Digest::of(b"any"));
        assert!(length <= 5000);
        assert!(matches!(error, Some(StoreError::Corrupt { .. })));
    }
}
