//! A blob as a stream that survives broken connections.

use std::collections::VecDeque;

use bazel_remote_apis::google::bytestream::{ReadRequest, ReadResponse};
use bytes::Bytes;
use futures::StreamExt;
use tonic::{Code, Status, Streaming};

use super::CasStream;
use super::zstd::Inflater;
use crate::retry::{pause, within};
use crate::{CasDigest, CasHasher, Client, RemoteError, Result};

const WHAT: &str = "ByteStream.Read";

/// Opens the stream; the blob is there, or this fails.
pub(super) async fn stream(client: &Client, digest: CasDigest) -> Result<CasStream> {
    let can = client.capabilities().await?;
    let mut reader = Reader {
        client: client.clone(),
        digest,
        hasher: can.digest_function.hasher(),
        zstd: can.zstd_streams,
        incoming: None,
        ready: VecDeque::new(),
        tries: 0,
    };
    // The first piece tells whether the blob is there at all.
    if let Some(piece) = reader.next().await? {
        reader.ready.push_back(piece);
    }
    let stream = futures::stream::try_unfold(reader, |mut reader| async move {
        let piece = match reader.ready.pop_front() {
            Some(piece) => Some(piece),
            None => reader.next().await?,
        };
        Ok(piece.map(|piece| (piece, reader)))
    });
    Ok(stream.boxed())
}

struct Incoming {
    pieces: Streaming<ReadResponse>,
    inflater: Option<Inflater>,
}

struct Reader {
    client: Client,
    digest: CasDigest,
    /// Over all that was given out.
    hasher: CasHasher,
    zstd: bool,
    incoming: Option<Incoming>,
    ready: VecDeque<Bytes>,
    /// Since bytes last came.
    tries: u32,
}

impl Reader {
    /// The next bytes; `None` at the end, once the digest was found right.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.attempt().await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    self.tries = 0;
                    self.hasher.update(&bytes);
                    if self.hasher.size() > self.digest.size {
                        return Err(RemoteError::Garbage(format!(
                            "more bytes than blob {} has",
                            self.digest
                        )));
                    }
                    return Ok(Some(bytes));
                }
                Ok(None) => return self.finish(),
                Err(RemoteError::Unavailable(_)) if self.tries < self.client.limits().retries => {
                    self.incoming = None;
                    let pause = pause(self.client.limits(), self.tries);
                    self.tries += 1;
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Bytes>> {
        let idle = self.client.limits().idle;
        let incoming = match &mut self.incoming {
            Some(incoming) => incoming,
            none => {
                let offset = self.hasher.size();
                none.insert(open(&self.client, self.digest, offset, self.zstd).await?)
            }
        };
        let message = within(idle, WHAT, async {
            incoming
                .pieces
                .message()
                .await
                .map_err(|status| explain(&self.client, self.digest, &status))
        });
        let Some(message) = message.await? else { return Ok(None) };
        let bytes = match &mut incoming.inflater {
            Some(inflater) => inflater.push(&message.data)?,
            None => Bytes::from(message.data),
        };
        Ok(Some(bytes))
    }

    fn finish(&mut self) -> Result<Option<Bytes>> {
        let found = self.hasher.clone().finish();
        if found == self.digest {
            return Ok(None);
        }
        Err(RemoteError::Corrupt { asked: self.digest, found })
    }
}

/// The whole rest is asked for: `BuildGrid` answers a limited read with `DATA_LOSS`.
async fn open(client: &Client, digest: CasDigest, offset: u64, zstd: bool) -> Result<Incoming> {
    let prefix = client.known_digest_function().resource_prefix();
    let kind = if zstd { "compressed-blobs/zstd" } else { "blobs" };
    let request = ReadRequest {
        resource_name: client.resource(&format!("{kind}/{prefix}{digest}")),
        read_offset: i64::try_from(offset).unwrap_or(i64::MAX),
        read_limit: 0,
    };
    let mut streams = client.streams();
    let answer = streams.read(request);
    let pieces = within(client.limits().idle, WHAT, async {
        let response = answer.await.map_err(|status| explain(client, digest, &status))?;
        Ok(response.into_inner())
    })
    .await?;
    // An offset counts plain bytes in either case (comments of the CAS service in REAPI).
    let inflater = if zstd { Some(Inflater::new(digest.size - offset)?) } else { None };
    Ok(Incoming { pieces, inflater })
}

fn explain(client: &Client, digest: CasDigest, status: &Status) -> RemoteError {
    match status.code() {
        Code::NotFound => RemoteError::Missing(vec![digest]),
        _ => client.blame().explain(status, WHAT),
    }
}
