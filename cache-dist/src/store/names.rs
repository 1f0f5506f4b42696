//! Under which names our entries are in the cache of results.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use cache_core::{Digest, RecipeKey};
use prost::Message;

use crate::{CasDigest, DigestFunction};

/// The key of a record's entry.
pub(super) fn record(function: DigestFunction, key: &RecipeKey) -> CasDigest {
    entry(function, "larder record v1", &key.0)
}

/// The key of the entry that says where a blob is.
pub(super) fn blob(function: DigestFunction, digest: &Digest) -> CasDigest {
    entry(function, "larder blob v1", digest)
}

/// A key is the digest of an action. This one has nothing but a salt, so that no real action has
/// its digest.
fn entry(function: DigestFunction, purpose: &str, digest: &Digest) -> CasDigest {
    let mut salt = purpose.as_bytes().to_vec();
    salt.push(0);
    salt.extend_from_slice(digest.as_bytes());
    function.of(&pb::Action { salt, ..pb::Action::default() }.encode_to_vec())
}
