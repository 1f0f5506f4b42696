//! Blobs in the CAS.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use cache_core::{Digest, Hasher};
use cache_storage::{BlobStream, Result, SizedBlob, StoreError};
use futures::{StreamExt, TryStreamExt};

use super::entries::Entry;
use super::seal::Sealed;
use super::{ReapiStore, names};
use crate::content::Spool;
use crate::{CasDigest, CasStream, RemoteError};

/// Requests at once for the places of blobs that are not known.
const AT_ONCE: usize = 16;
/// Up to so many bytes are uploaded without asking whether they are there.
const SMALL: u64 = 64 << 10;

impl ReapiStore {
    pub(super) async fn has_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let unique: BTreeSet<_> = digests.iter().copied().collect();
        let found: Vec<(Digest, Option<CasDigest>)> = futures::stream::iter(unique)
            .map(|digest| async move { Ok::<_, StoreError>((digest, self.place(digest).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let places: HashMap<_, _> =
            found.into_iter().filter_map(|(digest, place)| Some((digest, place?))).collect();
        let asked: Vec<_> = places.values().copied().collect();
        let missing: BTreeSet<_> = self.cas.missing(&asked).await?.into_iter().collect();
        let there = |digest| places.get(digest).is_some_and(|place| !missing.contains(place));
        Ok(digests.iter().map(there).collect())
    }

    pub(super) async fn open_blob(&self, digest: Digest) -> Result<SizedBlob<'static>> {
        let place = self.place(digest).await?.ok_or(StoreError::BlobAbsent(digest))?;
        match self.cas.read(place).await {
            Ok(stream) => Ok(SizedBlob { size: Some(place.size), bytes: checked(digest, stream) }),
            Err(error) => {
                self.places.forget(&digest);
                Err(blob_error(digest, &Hasher::blob(), error))
            }
        }
    }

    pub(super) async fn store_blob(
        &self,
        digest: Digest,
        size: u64,
        bytes: BlobStream<'_>,
    ) -> Result<()> {
        self.check_writable().await?;
        if let Some(place) = self.places.get(&digest)
            && place.size == size
            && self.cas.missing(&[place]).await?.is_empty()
        {
            return Ok(());
        }
        let (place, spool) = self.take_in(digest, size, bytes).await?;
        let source = spool.into_source().map_err(|e| StoreError::write("a temporary file", e))?;
        if place.size <= SMALL || !self.cas.missing(&[place]).await?.is_empty() {
            self.cas.write(place, &source).await?;
        }
        let entry = Entry { sealed: Sealed::Place, blobs: vec![(digest, place)] };
        self.put_entry(self.blob_key(&digest).await?, entry).await?;
        self.places.learn(digest, place);
        Ok(())
    }

    /// All the bytes, checked, and their name in the CAS, which is needed before the first byte
    /// can be sent.
    async fn take_in(
        &self,
        digest: Digest,
        size: u64,
        mut bytes: BlobStream<'_>,
    ) -> Result<(CasDigest, Spool)> {
        let mut place = self.client.capabilities().await?.digest_function.hasher();
        let mut name = Hasher::blob();
        let mut spool = Spool::default();
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            place.update(&piece);
            name.update(&piece);
            if place.size() > size {
                let text = format!("blob {digest}: {size} bytes announced, more given");
                return Err(StoreError::Refused(text));
            }
            spool = spool.add(piece).await?;
        }
        let (found, length) = (name.finish(), place.size());
        if length != size {
            let text = format!("blob {digest}: {size} bytes announced, only {length} given");
            return Err(StoreError::Refused(text));
        }
        if found != digest {
            let text = format!("blob {digest}: the bytes are those of {found}");
            return Err(StoreError::Refused(text));
        }
        Ok((place.finish(), spool))
    }

    pub(super) async fn remove_blob(&self, digest: Digest) -> Result<()> {
        self.check_writable().await?;
        if self.place(digest).await?.is_some() {
            let entry = Entry { sealed: Sealed::Gone, blobs: Vec::new() };
            self.put_entry(self.blob_key(&digest).await?, entry).await?;
        }
        self.places.forget(&digest);
        Ok(())
    }

    /// What a blob is called in the CAS; `None` if nobody has said so.
    async fn place(&self, digest: Digest) -> Result<Option<CasDigest>> {
        if let Some(place) = self.places.get(&digest) {
            return Ok(Some(place));
        }
        let Some(entry) = self.get_entry(self.blob_key(&digest).await?).await? else {
            return Ok(None);
        };
        match (entry.sealed, entry.blobs.first()) {
            (Sealed::Place, Some((named, place))) if *named == digest => {
                self.places.learn(digest, *place);
                Ok(Some(*place))
            }
            _ => Ok(None),
        }
    }

    async fn blob_key(&self, digest: &Digest) -> Result<CasDigest> {
        Ok(names::blob(self.client.capabilities().await?.digest_function, digest))
    }
}

/// The stream, ending with an error unless its bytes are those of `digest`. Who can write results
/// can name any blob as the place of another.
fn checked(digest: Digest, stream: CasStream) -> BlobStream<'static> {
    let state = (stream, Hasher::blob(), false);
    futures::stream::unfold(state, move |(mut stream, mut hasher, ended)| async move {
        if ended {
            return None;
        }
        let item: Result<Bytes> = match stream.next().await {
            Some(Ok(piece)) => {
                hasher.update(&piece);
                Ok(piece)
            }
            Some(Err(error)) => Err(blob_error(digest, &hasher, error)),
            None if hasher.finish() == digest => return None,
            None => Err(StoreError::Corrupt { digest, found: hasher.finish() }),
        };
        let ended = item.is_err();
        Some((item, (stream, hasher, ended)))
    })
    .boxed()
}

fn blob_error(digest: Digest, so_far: &Hasher, error: RemoteError) -> StoreError {
    match error {
        RemoteError::Missing(_) => StoreError::BlobAbsent(digest),
        RemoteError::Corrupt { .. } => StoreError::Corrupt { digest, found: so_far.finish() },
        other => other.into(),
    }
}
