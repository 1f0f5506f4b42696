//! What the result of one of our entries says in place of an action's output.

use bytes::{BufMut, Bytes, BytesMut};
use cache_core::Digest;

/// `\x89ldr`: no text, and no other format that is known.
const MAGIC: &[u8; 4] = b"\x89ldr";
const VERSION: u8 = 1;
const HEADER: usize = 8 + Digest::LEN;

/// What an entry is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sealed {
    /// A record's bytes.
    Record(Bytes),
    /// A blob's place: its name in the CAS is the entry's only output file.
    Place,
    /// Something that was deleted.
    Gone,
}

impl Sealed {
    fn kind(&self) -> u8 {
        match self {
            Self::Record(_) => 1,
            Self::Place => 2,
            Self::Gone => 3,
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        let payload = match self {
            Self::Record(bytes) => bytes.clone(),
            Self::Place | Self::Gone => Bytes::new(),
        };
        let mut bytes = BytesMut::with_capacity(HEADER + payload.len());
        bytes.put_slice(MAGIC);
        bytes.put_slice(&[VERSION, self.kind(), 0, 0]);
        bytes.put_slice(Digest::of(&payload).as_bytes());
        bytes.put_slice(&payload);
        bytes.freeze()
    }

    /// `None` for bytes that are not ours, damaged, or of another version.
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        let (header, payload) = (bytes.get(..HEADER)?, bytes.slice(HEADER..));
        let (magic, rest) = header.split_at(4);
        let (words, digest) = rest.split_at(4);
        if magic != MAGIC || words[0] != VERSION || digest != Digest::of(&payload).as_bytes() {
            return None;
        }
        match words[1] {
            1 => Some(Self::Record(payload)),
            2 => Some(Self::Place),
            3 => Some(Self::Gone),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_comes_back_and_nothing_else_does() {
        let record = Sealed::Record(Bytes::from_static(b"a record"));
        for sealed in [record.clone(), Sealed::Record(Bytes::new()), Sealed::Place, Sealed::Gone] {
            assert_eq!(Sealed::decode(&sealed.encode()), Some(sealed));
        }
        let bytes = record.encode();
        for end in 0..bytes.len() {
            assert_eq!(Sealed::decode(&bytes.slice(..end)), None, "cut to {end}");
        }
        for position in (0..bytes.len()).filter(|position| !(6..8).contains(position)) {
            let mut changed = bytes.to_vec();
            changed[position] ^= 0x40;
            assert_eq!(Sealed::decode(&changed.into()), None, "changed at {position}");
        }
    }
}
