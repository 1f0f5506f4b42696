//! Blobs: one object each, streamed both ways.

use bytes::Bytes;
use cache_core::{Digest, Hasher};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::ObjectStoreExt;

use super::ObjectStoreBackend;
use super::ask::{Failure, ask, next_piece};
use super::blame::Doing;
use super::encoder::Encoder;
use super::envelope::Decoder;
use super::upload::Upload;
use crate::{BlobStream, Result, SizedBlob, StoreError, check_blob};

/// Longest blob: far above what a compiler writes, and within what every service takes.
const MAX_BLOB: u64 = 16 << 30;
/// Bytes that are hashed and compressed before others get a turn.
const STEP: usize = 256 << 10;
/// Questions under way at once for one call.
const AT_ONCE: usize = 16;

impl ObjectStoreBackend {
    pub(super) async fn has_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let questions = digests.iter().copied().map(|digest| self.has_blob(digest));
        let answers: Vec<_> = futures::stream::iter(questions).buffered(AT_ONCE).collect().await;
        answers.into_iter().collect()
    }

    async fn has_blob(&self, digest: Digest) -> Result<bool> {
        if self.damaged.contains(&digest) {
            return Ok(false);
        }
        match ask(self.store.head(&self.layout.blob(&digest))).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_absent() => Ok(false),
            Err(failure) => {
                let what = format!("looking for blob {digest}");
                Err(failure.explain(&self.blame, Doing::Reading, &what))
            }
        }
    }

    pub(super) async fn open_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let answer = match ask(self.store.get(&self.layout.blob(digest))).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_absent() => return Err(StoreError::BlobAbsent(*digest)),
            Err(failure) => return Err(self.reading_failed(digest, failure)),
        };
        let mut reading = Reading {
            backend: self,
            digest: *digest,
            body: answer.into_stream(),
            decoder: Decoder::new(),
            hasher: Hasher::blob(),
        };
        let size = Some(reading.length().await?);
        let pieces = futures::stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|piece| (piece, reading)))
        });
        Ok(SizedBlob { size, bytes: self.runtime.enter_stream(pieces.boxed()).boxed() })
    }

    fn reading_failed(&self, digest: &Digest, failure: Failure) -> StoreError {
        failure.explain(&self.blame, Doing::Reading, &format!("reading blob {digest}"))
    }

    pub(super) async fn store_blob(
        &self,
        digest: &Digest,
        size: u64,
        mut bytes: BlobStream<'_>,
    ) -> Result<()> {
        self.check_writable()?;
        if size > MAX_BLOB {
            return Err(StoreError::Refused(format!(
                "blob {digest} has {size} bytes; the most is {MAX_BLOB}"
            )));
        }
        let what = || format!("writing blob {digest}");
        let failed = |failure: Failure| failure.explain(&self.blame, Doing::Writing, &what());
        let own = |e: std::io::Error| StoreError::write(what(), e);
        let mut upload = Upload::new(&*self.store, &self.runtime, self.layout.blob(digest));
        let (mut encoder, mut hasher) = (Encoder::new(size), Hasher::blob());
        let mut length = 0;
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            length += piece.len() as u64;
            if length > size {
                break;
            }
            for step in piece.chunks(STEP) {
                hasher.update(step);
                encoder.push(step, &mut upload.waiting).map_err(own)?;
                upload.send_full().await.map_err(failed)?;
                tokio::task::yield_now().await;
            }
        }
        check_blob(digest, size, &hasher.finish(), length)?;
        encoder.finish(&mut upload.waiting).map_err(own)?;
        upload.send_full().await.map_err(failed)?;
        upload.complete().await.map_err(failed)?;
        self.damaged.remove(digest);
        Ok(())
    }

    pub(super) async fn remove_blob(&self, digest: &Digest) -> Result<()> {
        self.remove(&self.layout.blob(digest), &format!("removing blob {digest}")).await
    }
}

/// A blob on its way down.
struct Reading<'a> {
    backend: &'a ObjectStoreBackend,
    digest: Digest,
    body: BoxStream<'static, object_store::Result<Bytes>>,
    decoder: Decoder,
    hasher: Hasher,
}

impl Reading<'_> {
    /// The length that the header announces.
    async fn length(&mut self) -> Result<u64> {
        loop {
            self.decoder.read_header().map_err(|_| self.corrupt())?;
            if let Some(length) = self.decoder.left() {
                return Ok(length);
            }
            if !self.receive().await? {
                return Err(self.corrupt());
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.decoder.next().map_err(|_| self.corrupt())? {
                self.hasher.update(&bytes);
                return Ok(Some(bytes));
            }
            if !self.receive().await? {
                return if self.is_right() { Ok(None) } else { Err(self.corrupt()) };
            }
        }
    }

    /// Waits for more of the object; false at its end.
    async fn receive(&mut self) -> Result<bool> {
        let piece = next_piece(&mut self.body, self.backend.idle).await;
        let piece = piece.map_err(|failure| self.backend.reading_failed(&self.digest, failure))?;
        piece.iter().for_each(|piece| self.decoder.push(piece));
        Ok(piece.is_some())
    }

    fn is_right(&self) -> bool {
        self.decoder.finish().is_ok() && self.hasher.finish() == self.digest
    }

    /// Until it is written again, the blob counts as absent for this process.
    fn corrupt(&self) -> StoreError {
        self.backend.damaged.add(self.digest);
        StoreError::Corrupt { digest: self.digest, found: self.hasher.finish() }
    }
}
