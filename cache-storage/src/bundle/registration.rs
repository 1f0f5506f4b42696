//! The small record that says that a pack is there.

use bytes::Bytes;
use cache_core::{Hasher, RecipeKey};

use super::codec::{self, Reader};
use super::{Damage, Pack};

pub(super) const LETTER: u8 = b'g';

/// Instead of a time: the pack is being removed, and nobody may lead to it any more.
pub(super) const CONDEMNED: u64 = 0;

/// A pack and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registration {
    /// When somebody last wanted it, in seconds since the Unix epoch; [`CONDEMNED`] while it is removed.
    pub(super) created: u64,
    /// The pack.
    pub(super) pack: Pack,
}

impl Registration {
    /// Whether the pack is being removed.
    pub(super) fn is_condemned(&self) -> bool {
        self.created == CONDEMNED
    }

    /// The key that it is kept under.
    pub(super) fn key(&self) -> RecipeKey {
        let mut hasher = Hasher::keyed("larder 2026-11 pack registration v1");
        hasher.field(self.pack.digest.as_bytes());
        RecipeKey(hasher.finish())
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut out = codec::head(LETTER).to_vec();
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(self.pack.digest.as_bytes());
        out.extend_from_slice(&self.pack.size.to_le_bytes());
        codec::seal(out).into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(codec::open(bytes, LETTER)?);
        let created = reader.u64()?;
        let pack = Pack { digest: reader.digest()?, size: reader.u64()? };
        reader.finish()?;
        Ok(Self { created, pack })
    }
}
