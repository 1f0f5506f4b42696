//! Bringing to an engine what it lacks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::{Cas, Uploaded, batch, write};
use crate::content::Source;
use crate::{CasDigest, Content, RemoteError, Result};

const AT_ONCE: usize = 8;

pub(super) async fn missing(cas: &Cas, blobs: &[(CasDigest, Content)]) -> Result<Uploaded> {
    let began = Instant::now();
    let contents: HashMap<_, _> =
        blobs.iter().map(|(digest, content)| (*digest, content)).collect();
    let digests: Vec<_> = contents.keys().copied().collect();
    let missing = cas.missing(&digests).await?;
    let limit = cas.client.capabilities().await?.batch;
    let uploaded = Uploaded {
        blobs: missing.len() as u64,
        bytes: missing.iter().map(|digest| digest.size).sum(),
        found: digests.len().saturating_sub(missing.len()) as u64,
        time: Duration::ZERO,
    };
    let parts = batch::divide(missing, limit, |digest| digest.size);
    futures::stream::iter(parts)
        .map(|part| send(cas, part, &contents, limit))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(Uploaded { time: began.elapsed(), ..uploaded })
}

async fn send(
    cas: &Cas,
    digests: Vec<CasDigest>,
    contents: &HashMap<CasDigest, &Content>,
    limit: u64,
) -> Result<()> {
    let content = |digest: &CasDigest| {
        contents.get(digest).copied().ok_or_else(|| RemoteError::Missing(vec![*digest]))
    };
    if let [digest] = digests[..]
        && digest.size > limit
    {
        return cas.write(digest, &content(&digest)?.open().await?).await;
    }
    let mut batch = Vec::with_capacity(digests.len());
    for digest in digests {
        let source = content(&digest)?.open().await?;
        batch.push((digest, whole(&source, digest).await?));
    }
    batch::write_batch(&cas.client, &batch).await
}

/// All the bytes of a small blob. The server checks their digest, which costs it a message; their
/// number is checked here.
async fn whole(source: &Source, digest: CasDigest) -> Result<Bytes> {
    let most = usize::try_from(digest.size).unwrap_or(usize::MAX);
    let bytes = source.read(0, most).await?;
    if bytes.len() as u64 != digest.size {
        let text = format!("blob {digest} has only {} bytes by now", bytes.len());
        return Err(RemoteError::Refused(text));
    }
    Ok(bytes)
}

impl Cas {
    /// Writes a blob, whether it is there or not.
    pub(crate) async fn write(&self, digest: CasDigest, source: &Source) -> Result<()> {
        let can = self.client.capabilities().await?;
        if can.largest_blob.is_some_and(|largest| digest.size > largest) {
            return Err(RemoteError::Refused(format!(
                "blob {digest} is larger than the engine takes"
            )));
        }
        if digest.size <= can.batch {
            let bytes = whole(source, digest).await?;
            return batch::write_batch(&self.client, &[(digest, bytes)]).await;
        }
        write::stream(&self.client, digest, source).await
    }
}
