//! All that is to be known of a build, in one blob.

use bytes::Bytes;
use cache_core::{RecipeKey, Record};

use super::codec::{self, HEAD, Reader, put_bytes, put_count};
use super::pack_reader::WINDOW_LOG;
use super::{Damage, Places};

const LETTER: u8 = b'i';
/// Enough for most of the gain; an index is some ten thousand bytes per compressed one.
const LEVEL: i32 = 6;
/// The most plain bytes an index may have: they are in memory when it is read.
pub const MAX_INDEX: usize = 64 << 20;

/// One outcome of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexUnit {
    /// The key of its record.
    pub key: RecipeKey,
    /// The record with the one entry.
    pub record: Record,
}

/// What the engine wrote down of a build, for filling a target directory: opaque here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The bytes of the record that leads to it.
    pub record: Bytes,
    /// The one blob that the record names.
    pub blob: Bytes,
}

/// A build: its outcomes in the order in which cargo wanted them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Where the blobs of all outcomes are.
    pub places: Places,
    /// What the engine wrote down.
    pub snapshot: Snapshot,
    /// The outcomes.
    pub units: Vec<IndexUnit>,
}

impl Index {
    /// Its bytes (see the [module](super)).
    ///
    /// # Errors
    /// What compressing says; [`ErrorKind::FileTooLarge`](std::io::ErrorKind::FileTooLarge) beyond
    /// [`MAX_INDEX`], which nobody would read.
    pub fn encode(&self) -> std::io::Result<Bytes> {
        let mut body = self.places.encode();
        put_bytes(&mut body, &self.snapshot.record);
        put_bytes(&mut body, &self.snapshot.blob);
        put_count(&mut body, self.units.len());
        for unit in &self.units {
            body.extend_from_slice(unit.key.0.as_bytes());
            put_bytes(&mut body, &unit.record.encode());
        }
        if body.len() > MAX_INDEX {
            let why = format!("it has {} bytes; the most is {MAX_INDEX}", body.len());
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
        }
        let mut out = codec::head(LETTER).to_vec();
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        out.extend(zstd::bulk::compress(&body, LEVEL)?);
        Ok(out.into())
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        codec::check_head(bytes, LETTER)?;
        let mut reader = Reader(&bytes[HEAD..]);
        let length = usize::try_from(reader.u64()?).map_err(|_| Damage::Value)?;
        if length > MAX_INDEX {
            return Err(Damage::Value);
        }
        let body = inflate(reader.0, length)?;
        let mut reader = Reader(&body);
        let places = Places::read(&mut reader)?;
        let bytes = |reader: &mut Reader<'_>| reader.bytes().map(Bytes::copy_from_slice);
        let snapshot = Snapshot { record: bytes(&mut reader)?, blob: bytes(&mut reader)? };
        let mut units = Vec::new();
        for _ in 0..reader.count(40)? {
            let key = RecipeKey(reader.digest()?);
            let record = Record::decode(reader.bytes()?).map_err(|_| Damage::Bytes)?;
            if record.recipe.key() != key {
                return Err(Damage::Value);
            }
            units.push(IndexUnit { key, record });
        }
        reader.finish()?;
        Ok(Self { places, snapshot, units })
    }
}

/// Inflates one frame to exactly `length` bytes. Memory grows with what really comes, so that a small
/// frame with a large claim costs nothing.
fn inflate(frame: &[u8], length: usize) -> Result<Vec<u8>, Damage> {
    use std::io::Read;
    let mut decoder = zstd::stream::read::Decoder::with_buffer(frame).map_err(|_| Damage::Bytes)?;
    decoder.window_log_max(WINDOW_LOG).map_err(|_| Damage::Bytes)?;
    let mut body = Vec::new();
    let most = length as u64 + 1;
    decoder.single_frame().take(most).read_to_end(&mut body).map_err(|_| Damage::Bytes)?;
    match body.len().cmp(&length) {
        std::cmp::Ordering::Less => Err(Damage::Short),
        std::cmp::Ordering::Equal => Ok(body),
        std::cmp::Ordering::Greater => Err(Damage::Long),
    }
}
