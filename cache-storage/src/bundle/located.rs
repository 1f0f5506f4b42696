//! A record together with where its blobs are.

use bytes::Bytes;
use cache_core::{Entry, Record};

use super::codec::{self, Reader, put_bytes};
use super::{Damage, Places};

pub(super) const LETTER: u8 = b'l';

/// A record and the places of all blobs that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located {
    /// The record.
    pub record: Record,
    /// Where its blobs are.
    pub places: Places,
}

impl Located {
    /// Puts an entry first, with the places of its blobs; blobs that no entry names any more are
    /// forgotten.
    pub fn add(&mut self, entry: Entry, places: &Places) {
        self.record.add(entry);
        self.places.extend(places);
        let named: std::collections::BTreeSet<_> =
            self.record.entries.iter().flat_map(|entry| entry.outcome.blobs()).collect();
        let named: std::collections::BTreeSet<_> =
            named.into_iter().map(|(digest, _)| digest).collect();
        self.places.retain(|blob| named.contains(blob));
    }

    /// Its bytes (see the [module](super)).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = codec::head(LETTER).to_vec();
        put_bytes(&mut out, &self.record.encode());
        out.extend_from_slice(&self.places.encode());
        codec::seal(out).into()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Damage`]; the record inside is refused as [`Damage::Bytes`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(codec::open(bytes, LETTER)?);
        let record = Record::decode(reader.bytes()?).map_err(|_| Damage::Bytes)?;
        let places = Places::read(&mut reader)?;
        reader.finish()?;
        Ok(Self { record, places })
    }
}
