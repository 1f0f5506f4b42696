//! The small record that leads to an index.

use bytes::Bytes;
use cache_core::Digest;

use super::codec::{self, Reader};
use super::places::{put_packs, read_packs};
use super::{Damage, Pack};

pub(super) const LETTER: u8 = b'b';

/// Where a build's index is, and which packs it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BundleRecord {
    /// When it was written, in seconds since the Unix epoch.
    pub(super) created: u64,
    /// The index.
    pub(super) index: Digest,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Each pack once.
    pub(super) packs: Vec<Pack>,
}

impl BundleRecord {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = codec::head(LETTER).to_vec();
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(self.index.as_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        put_packs(&mut out, &self.packs);
        codec::seal(out).into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(codec::open(bytes, LETTER)?);
        let (created, index, size) = (reader.u64()?, reader.digest()?, reader.u64()?);
        let packs = read_packs(&mut reader)?;
        reader.finish()?;
        Ok(Self { created, index, size, packs })
    }
}
