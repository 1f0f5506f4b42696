//! Many small blobs in one request.

use std::collections::HashMap;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::google::rpc;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tonic::Code;

use super::{Cas, zstd};
use crate::{CasDigest, Client, RemoteError, Result};

/// What a blob's name and status take in a message.
const ENTRY: u64 = 128;
const AT_ONCE: usize = 8;

/// Divides blobs into batches that fit. Those that fit into none are in batches of their own.
pub(super) fn divide<T>(items: Vec<T>, limit: u64, size: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for item in items {
        let needed = size(&item) + ENTRY;
        match batches.last_mut() {
            Some(batch) if needed <= room => batch.push(item),
            _ => {
                batches.push(vec![item]);
                room = limit;
            }
        }
        room = room.saturating_sub(needed);
    }
    batches
}

pub(super) async fn read_many(cas: &Cas, digests: &[CasDigest]) -> Result<Vec<Result<Bytes>>> {
    let limit = cas.client.capabilities().await?.batch;
    let batches = divide(digests.to_vec(), limit, |digest| digest.size);
    let answers: Vec<Vec<Result<Bytes>>> = futures::stream::iter(batches)
        .map(|batch| async move {
            match batch[..] {
                [digest] if digest.size > limit => Ok(vec![cas.read_whole(digest).await]),
                _ => read_batch(&cas.client, &batch).await,
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(answers.into_iter().flatten().collect())
}

/// The blobs in the order asked; all of them fit into one answer.
pub(super) async fn read_batch(
    client: &Client,
    digests: &[CasDigest],
) -> Result<Vec<Result<Bytes>>> {
    let can = client.capabilities().await?;
    let mut asked: Vec<_> = digests.iter().filter(|digest| digest.size > 0).copied().collect();
    asked.sort_unstable();
    asked.dedup();
    let zstd = can.zstd_batches.then_some(i32::from(pb::compressor::Value::Zstd));
    let request = pb::BatchReadBlobsRequest {
        instance_name: client.instance(),
        digests: asked.iter().map(CasDigest::message).collect(),
        acceptable_compressors: zstd.into_iter().collect(),
        digest_function: can.digest_function.number(),
    };
    let mut found = HashMap::new();
    if !asked.is_empty() {
        let answer = client
            .ask("BatchReadBlobs", || {
                let (mut storage, request) = (client.storage(), request.clone());
                async move { storage.batch_read_blobs(request).await }
            })
            .await?;
        for part in answer.responses {
            let digest = CasDigest::required(part.digest.as_ref(), "BatchReadBlobs")?;
            found.insert(digest, open(client, digest, part));
        }
    }
    let none = |digest: &CasDigest| match digest.size {
        // Always there (comments of the CAS service in REAPI), so nobody is asked.
        0 if *digest == can.digest_function.of(b"") => Ok(Bytes::new()),
        _ => Err(RemoteError::Missing(vec![*digest])),
    };
    Ok(digests
        .iter()
        .map(|digest| found.get(digest).cloned().unwrap_or_else(|| none(digest)))
        .collect())
}

/// The bytes of one part of an answer, checked.
fn open(
    client: &Client,
    asked: CasDigest,
    part: pb::batch_read_blobs_response::Response,
) -> Result<Bytes> {
    check(client, asked, part.status.as_ref(), "BatchReadBlobs")?;
    let bytes = match pb::compressor::Value::try_from(part.compressor) {
        Ok(pb::compressor::Value::Identity) => Bytes::from(part.data),
        Ok(pb::compressor::Value::Zstd) => zstd::decompress(&part.data, asked.size)?,
        other => {
            let text = format!("BatchReadBlobs gives a blob by compressor {other:?}");
            return Err(RemoteError::Garbage(text));
        }
    };
    // Known by now: no request is made without.
    let function = client.known_digest_function();
    let found = function.of(&bytes);
    if found == asked { Ok(bytes) } else { Err(RemoteError::Corrupt { asked, found }) }
}

fn check(
    client: &Client,
    digest: CasDigest,
    status: Option<&rpc::Status>,
    what: &str,
) -> Result<()> {
    let Some(status) = status else { return Ok(()) };
    match Code::from(status.code) {
        Code::Ok => Ok(()),
        Code::NotFound => Err(RemoteError::Missing(vec![digest])),
        // The API's code for a full disk or quota in BatchUpdateBlobs.
        Code::ResourceExhausted => Err(RemoteError::Full(crate::status::one_line(&status.message))),
        _ => Err(client.blame().explain_inner(status, what)),
    }
}

/// Writes blobs that fit into one request.
pub(super) async fn write_batch(client: &Client, blobs: &[(CasDigest, Bytes)]) -> Result<()> {
    let can = client.capabilities().await?;
    let requests = blobs.iter().map(|(digest, bytes)| part(*digest, bytes, can.zstd_batches));
    let request = pb::BatchUpdateBlobsRequest {
        instance_name: client.instance(),
        requests: requests.collect(),
        digest_function: can.digest_function.number(),
    };
    let answer = client
        .ask("BatchUpdateBlobs", || {
            let (mut storage, request) = (client.storage(), request.clone());
            async move { storage.batch_update_blobs(request).await }
        })
        .await?;
    let mut told = HashMap::new();
    for part in &answer.responses {
        let digest = CasDigest::required(part.digest.as_ref(), "BatchUpdateBlobs")?;
        told.insert(digest, part.status.as_ref());
    }
    for (digest, _) in blobs {
        let status = told.get(digest).ok_or_else(|| {
            RemoteError::Garbage(format!("BatchUpdateBlobs does not say what became of {digest}"))
        })?;
        check(client, *digest, *status, "BatchUpdateBlobs")?;
    }
    Ok(())
}

fn part(digest: CasDigest, bytes: &Bytes, zstd: bool) -> pb::batch_update_blobs_request::Request {
    let smaller = if zstd { zstd::compress(bytes) } else { None };
    let compressor = match smaller {
        Some(_) => pb::compressor::Value::Zstd,
        None => pb::compressor::Value::Identity,
    };
    pb::batch_update_blobs_request::Request {
        digest: Some(digest.message()),
        data: smaller.unwrap_or_else(|| bytes.to_vec()),
        compressor: compressor.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fit_and_lose_nothing() {
        let sizes = vec![10, 500, 400, 5000, 1, 1, 900, 0];
        let batches = divide(sizes.clone(), 1300, |size| *size);
        assert_eq!(batches.concat(), sizes);
        for batch in &batches {
            let total: u64 = batch.iter().map(|size| size + ENTRY).sum();
            assert!(total <= 1300 || batch.len() == 1, "{batch:?}");
        }
        assert_eq!(batches.len(), 4, "{batches:?}");
    }
}
