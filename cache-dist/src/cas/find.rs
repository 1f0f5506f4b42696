//! Which blobs the engine lacks.

use std::collections::BTreeSet;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use futures::{StreamExt, TryStreamExt};

use crate::{CasDigest, Client, RemoteError, Result};

/// Digests in one request: 75 bytes each, so that a request stays below the smallest limit on
/// messages that is known, 64 KiB.
const MOST: usize = 800;
const AT_ONCE: usize = 8;

pub(super) async fn missing(client: &Client, digests: &[CasDigest]) -> Result<Vec<CasDigest>> {
    let unique: Vec<_> = digests.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let parts: Vec<_> = unique.chunks(MOST).map(<[_]>::to_vec).collect();
    let answers: Vec<Vec<CasDigest>> = futures::stream::iter(parts)
        .map(|part| ask(client, part))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(answers.concat())
}

async fn ask(client: &Client, digests: Vec<CasDigest>) -> Result<Vec<CasDigest>> {
    let request = pb::FindMissingBlobsRequest {
        instance_name: client.instance(),
        blob_digests: digests.iter().map(CasDigest::message).collect(),
        digest_function: client.capabilities().await?.digest_function.number(),
    };
    let answer = client
        .ask("FindMissingBlobs", || {
            let (mut storage, request) = (client.storage(), request.clone());
            async move { storage.find_missing_blobs(request).await }
        })
        .await?;
    let asked: BTreeSet<_> = digests.into_iter().collect();
    let mut missing = BTreeSet::new();
    for message in &answer.missing_blob_digests {
        let digest = CasDigest::required(Some(message), "FindMissingBlobs")?;
        if !asked.contains(&digest) {
            let text = format!("FindMissingBlobs names {digest}, which was not asked for");
            return Err(RemoteError::Garbage(text));
        }
        missing.insert(digest);
    }
    Ok(missing.into_iter().collect())
}
