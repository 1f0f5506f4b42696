//! Our entries in the cache of results.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bytes::Bytes;
use cache_core::Digest;

use super::ReapiStore;
use super::seal::Sealed;
use crate::{CasDigest, Content, RemoteError, Result, results};

/// Up to so many bytes are in the result itself.
const INLINE: usize = 16 << 10;
/// A longer record is taken for damaged.
const LONGEST_RECORD: u64 = 64 << 20;

/// An entry: what it is, and the blobs that belong to it.
pub(super) struct Entry {
    pub(super) sealed: Sealed,
    pub(super) blobs: Vec<(Digest, CasDigest)>,
}

impl ReapiStore {
    /// The entry under this key; `None` where there is none that is ours and whole.
    pub(super) async fn get_entry(&self, key: CasDigest) -> Result<Option<Entry>> {
        let Some(result) = results::get(&self.client, key).await? else { return Ok(None) };
        let Some(output) = self.standard_output(&result).await? else { return Ok(None) };
        let Some(sealed) = Sealed::decode(&output) else { return Ok(None) };
        let blobs = result.output_files.iter().filter_map(|file| {
            Some((file.path.parse().ok()?, CasDigest::from_message(file.digest.as_ref()?)?))
        });
        Ok(Some(Entry { sealed, blobs: blobs.collect() }))
    }

    /// In the result itself, or fetched: engines may put either for the other.
    async fn standard_output(&self, result: &pb::ActionResult) -> Result<Option<Bytes>> {
        if !result.stdout_raw.is_empty() {
            return Ok(Some(Bytes::copy_from_slice(&result.stdout_raw)));
        }
        let digest = result.stdout_digest.as_ref().and_then(CasDigest::from_message);
        let Some(digest) = digest.filter(|digest| digest.size <= LONGEST_RECORD) else {
            return Ok(None);
        };
        match self.cas.read_whole(digest).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(RemoteError::Missing(_) | RemoteError::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an entry over whatever is under this key.
    pub(super) async fn put_entry(&self, key: CasDigest, entry: Entry) -> Result<()> {
        let file = |(digest, place): (Digest, CasDigest)| pb::OutputFile {
            path: digest.to_hex(),
            digest: Some(place.message()),
            ..pb::OutputFile::default()
        };
        let mut result = pb::ActionResult {
            output_files: entry.blobs.into_iter().map(file).collect(),
            ..pb::ActionResult::default()
        };
        let output = entry.sealed.encode();
        if output.len() <= INLINE {
            result.stdout_raw = output.into();
        } else {
            let function = self.client.capabilities().await?.digest_function;
            let digest = function.of(&output);
            self.cas.upload(&[(digest, Content::Bytes(output))]).await?;
            result.stdout_digest = Some(digest.message());
        }
        results::put(&self.client, key, result).await
    }
}
