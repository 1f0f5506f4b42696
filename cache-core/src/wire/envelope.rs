//! The frozen part: what every version reads and writes alike.

use super::DecodeError;
use super::reader::Reader;
use super::writer::Writer;
use crate::Digest;

/// The payload version that this program reads and writes.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"\x89ldr";
const ENVELOPE_VERSION: u8 = 1;
pub(super) const KIND_RECORD: u8 = 1;
pub(super) const KIND_SIGNED: u8 = 2;
const REF_LEN: usize = Digest::LEN + size_of::<u64>();

/// An envelope whose structure and checksum are right.
pub(super) struct Envelope<'a> {
    kind: u8,
    version: u16,
    refs: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.array::<4>()? != MAGIC {
            return Err(DecodeError::Magic);
        }
        let envelope = reader.u8()?;
        if envelope != ENVELOPE_VERSION {
            return Err(DecodeError::Envelope { version: envelope });
        }
        let kind = reader.u8()?;
        let version = reader.u16()?;
        let count = reader.u64()?;
        let count = reader.check_count(count, REF_LEN)?;
        let refs = reader.take(count * REF_LEN)?;
        let payload = reader.long_bytes()?;
        let body = &bytes[..bytes.len() - reader.remaining()];
        let checksum = reader.digest()?;
        reader.finish()?;
        if Digest::of(body) != checksum {
            return Err(DecodeError::Checksum);
        }
        Ok(Self { kind, version, refs, payload })
    }

    /// The payload, if it is of this kind and version.
    pub(super) fn payload(&self, kind: u8, version: u16) -> Result<&'a [u8], DecodeError> {
        if self.kind != kind {
            return Err(DecodeError::Kind { kind: self.kind });
        }
        if self.version != version {
            return Err(DecodeError::Unsupported { version: self.version });
        }
        Ok(self.payload)
    }

    /// The refs, checked to be strictly ascending.
    pub(super) fn refs(&self) -> Result<Vec<(Digest, u64)>, DecodeError> {
        let mut reader = Reader::new(self.refs);
        let mut refs: Vec<(Digest, u64)> = Vec::with_capacity(self.refs.len() / REF_LEN);
        while reader.remaining() > 0 {
            let next = (reader.digest()?, reader.u64()?);
            if refs.last().is_some_and(|last| *last >= next) {
                return Err(DecodeError::Malformed("refs out of order"));
            }
            refs.push(next);
        }
        Ok(refs)
    }
}

/// Puts a payload into an envelope. `refs` are sorted and freed of repeats here.
pub(super) fn seal(
    kind: u8,
    version: u16,
    mut refs: Vec<(Digest, u64)>,
    payload: &[u8],
) -> Vec<u8> {
    refs.sort_unstable();
    refs.dedup();
    let mut writer = Writer::default();
    writer.raw(&MAGIC);
    writer.u8(ENVELOPE_VERSION);
    writer.u8(kind);
    writer.u16(version);
    writer.u64(refs.len() as u64);
    for (digest, size) in &refs {
        writer.digest(digest);
        writer.u64(*size);
    }
    writer.u64(payload.len() as u64);
    writer.raw(payload);
    let checksum = Digest::of(writer.as_bytes());
    writer.digest(&checksum);
    writer.into_bytes()
}

/// The blobs that a record names, with their sizes in bytes, ascending, each once.
///
/// Reads only the envelope, which is the same in all versions: a garbage collector learns what to
/// keep from records that it cannot decode.
///
/// # Errors
/// Any [`DecodeError`] but [`Kind`](DecodeError::Kind) and
/// [`Unsupported`](DecodeError::Unsupported).
pub fn refs(bytes: &[u8]) -> Result<Vec<(Digest, u64)>, DecodeError> {
    Envelope::open(bytes)?.refs()
}
