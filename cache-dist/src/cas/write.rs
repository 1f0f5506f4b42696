//! A blob written as a stream, taken up where it was broken off.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bazel_remote_apis::google::bytestream::{QueryWriteStatusRequest, WriteRequest};
use futures::{Stream, StreamExt};
use tonic::Code;

use super::zstd;
use crate::content::Source;
use crate::retry::{pause, within};
use crate::{CasDigest, Client, RemoteError, Result};

const WHAT: &str = "ByteStream.Write";
/// In one message: below the limits of all servers known, and long enough to cost little.
const PIECE: usize = 60 << 10;
/// What a slow line is granted: a second for so many bytes.
const SLOWEST: u64 = 64 << 10;

/// Writes the bytes of a blob.
pub(super) async fn stream(client: &Client, digest: CasDigest, source: &Source) -> Result<()> {
    let can = client.capabilities().await?;
    let smaller = if can.zstd_streams { zstd::compress_source(source).await? } else { None };
    let compressed = smaller.is_some();
    let (source, length) = smaller.unwrap_or_else(|| (source.clone(), digest.size));
    Upload { client, digest, source, length, compressed }.run().await
}

struct Upload<'a> {
    client: &'a Client,
    digest: CasDigest,
    /// What travels, and its length.
    source: Source,
    length: u64,
    compressed: bool,
}

impl Upload<'_> {
    async fn run(&self) -> Result<()> {
        let limits = self.client.limits();
        let (mut name, mut offset, mut tries) = (self.name(), 0, 0);
        loop {
            let error = match self.send(&name, offset).await {
                Ok(true) => return Ok(()),
                Ok(false) => RemoteError::Unavailable(format!("{WHAT} ended early")),
                Err(error) => error,
            };
            if tries == limits.retries || !matches!(error, RemoteError::Unavailable(_)) {
                return Err(error);
            }
            tokio::time::sleep(pause(limits, tries)).await;
            tries += 1;
            match self.ask_progress(&name).await {
                Some((_, true)) => return Ok(()),
                Some((committed, false)) if committed <= self.length => offset = committed,
                // Forgotten, or never heard of.
                _ => (name, offset) = (self.name(), 0),
            }
        }
    }

    /// The upload's name: `[INSTANCE/]uploads/UUID/blobs/[FUNCTION/]HASH/LENGTH`, with
    /// `compressed-blobs/zstd` for `blobs` where that is what travels (comments of REAPI's CAS).
    fn name(&self) -> String {
        let prefix = self.client.known_digest_function().resource_prefix();
        let kind = if self.compressed { "compressed-blobs/zstd" } else { "blobs" };
        let unique = crate::unique::name();
        self.client.resource(&format!("uploads/{unique}/{kind}/{prefix}{}", self.digest))
    }

    /// Sends the rest; whether the server has all then. It may say so before it has read all, when
    /// somebody else has written the blob.
    async fn send(&self, name: &str, offset: u64) -> Result<bool> {
        let trouble = Arc::new(Mutex::new(None));
        let stream = self.pieces(name.to_owned(), offset, Arc::clone(&trouble));
        let time = self.client.limits().idle + Duration::from_secs(self.length / SLOWEST);
        let mut streams = self.client.streams();
        let answer = within(time, WHAT, async { Ok(streams.write(stream).await) }).await?;
        if let Some(error) = trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        match answer {
            Ok(answer) => {
                let committed = answer.into_inner().committed_size;
                // -1 is a compressed blob's that was there already.
                let all = u64::try_from(committed)
                    .is_ok_and(|n| n == self.length || n == self.digest.size);
                Ok(all || (self.compressed && committed == -1))
            }
            Err(status) if status.code() == Code::AlreadyExists => Ok(true),
            Err(status) if status.code() == Code::ResourceExhausted && !overloaded(&status) => {
                Err(RemoteError::Full(crate::status::one_line(status.message())))
            }
            Err(status) => Err(self.client.blame().explain(&status, WHAT)),
        }
    }

    fn pieces(
        &self,
        name: String,
        from: u64,
        trouble: Arc<Mutex<Option<RemoteError>>>,
    ) -> impl Stream<Item = WriteRequest> + Send + 'static {
        let (source, length) = (self.source.clone(), self.length);
        futures::stream::unfold(Some(from), move |offset| {
            let (name, source, trouble) = (name.clone(), source.clone(), Arc::clone(&trouble));
            async move {
                let offset = offset?;
                let most = usize::try_from(length - offset).unwrap_or(PIECE).min(PIECE);
                let read = match source.read(offset, most).await {
                    Ok(bytes) if bytes.len() == most => Ok(bytes),
                    Ok(_) => {
                        Err(RemoteError::Refused("a file got shorter while it was uploaded".into()))
                    }
                    Err(error) => Err(error),
                };
                let bytes = match read {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return None;
                    }
                };
                let next = offset + bytes.len() as u64;
                let request = WriteRequest {
                    // Needed in the first message only.
                    resource_name: if offset == from { name } else { String::new() },
                    write_offset: i64::try_from(offset).unwrap_or(i64::MAX),
                    finish_write: next == length,
                    data: bytes.into(),
                };
                Some((request, (next < length).then_some(next)))
            }
        })
        .boxed()
    }

    /// How many bytes the server has, and whether that is all; `None` if it does not know.
    async fn ask_progress(&self, name: &str) -> Option<(u64, bool)> {
        let request = QueryWriteStatusRequest { resource_name: name.to_owned() };
        let mut streams = self.client.streams();
        let answer =
            self.client.ask_once("QueryWriteStatus", streams.query_write_status(request)).await;
        let answer = answer.ok()?;
        Some((u64::try_from(answer.committed_size).ok()?, answer.complete))
    }
}

/// Whether a server that says it has no resources means: later.
fn overloaded(status: &tonic::Status) -> bool {
    let text = status.message().to_ascii_lowercase();
    !["quota", "disk", "space", "storage"].iter().any(|word| text.contains(word))
}
