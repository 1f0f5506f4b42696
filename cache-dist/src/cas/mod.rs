//! The content-addressable storage of an engine.

mod batch;
mod find;
mod present;
mod read;
mod upload;
mod write;
mod zstd;

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

pub(crate) use present::Uploader;

use crate::{CasDigest, Client, Content, Result};

/// The bytes of a blob, in pieces of any size. Bytes that are not those of the digest end it with
/// an error; what has come before is to be used only once it has ended well.
pub type CasStream = BoxStream<'static, Result<Bytes>>;

/// The content-addressable storage of an engine: blobs by digest. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cas {
    client: Client,
}

impl Cas {
    /// The storage of this engine.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Those of the blobs that the engine does not have, in any order, each once. Any number may be
    /// asked for.
    ///
    /// # Errors
    /// What the requests meet.
    pub async fn missing(&self, digests: &[CasDigest]) -> Result<Vec<CasDigest>> {
        find::missing(&self.client, digests).await
    }

    /// A blob. What fits into a batch comes in one piece, anything longer as a stream that is
    /// taken up again where it was broken off.
    ///
    /// # Errors
    /// [`RemoteError::Missing`](crate::RemoteError::Missing), possibly from within the stream; what
    /// the requests meet.
    pub async fn read(&self, digest: CasDigest) -> Result<CasStream> {
        if digest.size <= self.client.capabilities().await?.batch {
            let bytes = self.read_small(digest).await?;
            return Ok(futures::stream::iter([Ok(bytes)]).boxed());
        }
        read::stream(&self.client, digest).await
    }

    /// A blob that is kept in memory whole.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_whole(&self, digest: CasDigest) -> Result<Bytes> {
        let mut stream = self.read(digest).await?;
        let mut whole = bytes::BytesMut::new();
        while let Some(piece) = stream.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole.freeze())
    }

    /// Many blobs at once, in the order asked; each is kept in memory whole.
    ///
    /// # Errors
    /// Those of single blobs are in the answer; what the requests meet.
    pub async fn read_many(&self, digests: &[CasDigest]) -> Result<Vec<Result<Bytes>>> {
        batch::read_many(self, digests).await
    }

    /// Makes sure that the engine has all these blobs: asks which it lacks, and uploads those.
    /// Returns what was uploaded.
    ///
    /// # Errors
    /// [`RemoteError::Refused`](crate::RemoteError::Refused) when bytes are not those of their
    /// digest, or too many; [`RemoteError::Full`](crate::RemoteError::Full); what the requests meet.
    pub async fn upload(&self, blobs: &[(CasDigest, Content)]) -> Result<Uploaded> {
        upload::missing(self, blobs).await
    }

    /// The engine.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn read_small(&self, digest: CasDigest) -> Result<Bytes> {
        let mut answers = batch::read_batch(&self.client, &[digest]).await?;
        answers.pop().unwrap_or_else(|| Err(crate::RemoteError::Missing(vec![digest])))
    }
}

/// What was uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// How many blobs.
    pub blobs: u64,
    /// Their length, uncompressed.
    pub bytes: u64,
    /// How many of those that were asked for were there already.
    pub found: u64,
    /// How long asking and uploading took.
    pub time: Duration,
}

impl std::ops::AddAssign for Uploaded {
    fn add_assign(&mut self, other: Self) {
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.found += other.found;
        self.time += other.time;
    }
}
