//! Which pack has which blob.

use std::collections::BTreeMap;

use cache_core::{Digest, Outcome};

use super::Damage;
use super::codec::{Reader, put_count};

/// A pack: its name and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pack {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its length in bytes, as stored.
    pub size: u64,
}

const PACK_LEN: usize = Digest::LEN + 8;
const PLACE_LEN: usize = Digest::LEN + 4;

/// Blobs and the packs that have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<Digest, Pack>);

impl Places {
    /// Notes where a blob is; what was known of it before is forgotten.
    pub fn insert(&mut self, blob: Digest, pack: Pack) {
        self.0.insert(blob, pack);
    }

    /// The pack that has a blob.
    #[must_use]
    pub fn of(&self, blob: &Digest) -> Option<Pack> {
        self.0.get(blob).copied()
    }

    /// Takes all that another knows.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(blob, pack)| (*blob, *pack)));
    }

    /// The same for some blobs only; `None` when one of them has no place.
    #[must_use]
    pub fn for_outcome(&self, outcome: &Outcome) -> Option<Self> {
        let places = outcome.blobs().map(|(blob, _)| Some((blob, self.of(&blob)?)));
        places.collect::<Option<BTreeMap<_, _>>>().map(Self)
    }

    /// The packs, each once, in the order of their digests.
    #[must_use]
    pub fn packs(&self) -> Vec<Pack> {
        let mut packs: Vec<Pack> = self.0.values().copied().collect();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    /// All blobs and their packs.
    pub fn iter(&self) -> impl Iterator<Item = (&Digest, &Pack)> {
        self.0.iter()
    }

    /// Forgets the blobs for which `keep` does not hold.
    pub fn retain(&mut self, keep: impl Fn(&Digest) -> bool) {
        self.0.retain(|blob, _| keep(blob));
    }

    /// Its bytes (see the [module](super)).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let packs = self.packs();
        let mut out = Vec::new();
        put_packs(&mut out, &packs);
        put_count(&mut out, self.0.len());
        for (blob, pack) in &self.0 {
            out.extend_from_slice(blob.as_bytes());
            put_count(&mut out, packs.binary_search(pack).unwrap_or(usize::MAX));
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(bytes);
        let places = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(places)
    }

    /// One set of places has one encoding: blobs ascend, and each pack has one of them.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damage> {
        let packs = read_packs(reader)?;
        let mut used = vec![false; packs.len()];
        let mut places = BTreeMap::new();
        for _ in 0..reader.count(PLACE_LEN)? {
            let blob = reader.digest()?;
            let at = usize::try_from(reader.u32()?).map_err(|_| Damage::Value)?;
            if places.last_key_value().is_some_and(|(last, _)| *last >= blob) {
                return Err(Damage::Value);
            }
            places.insert(blob, *packs.get(at).ok_or(Damage::Value)?);
            used[at] = true;
        }
        if used.contains(&false) { Err(Damage::Value) } else { Ok(Self(places)) }
    }
}

/// Appends a list of packs.
pub(super) fn put_packs(out: &mut Vec<u8>, packs: &[Pack]) {
    put_count(out, packs.len());
    for pack in packs {
        out.extend_from_slice(pack.digest.as_bytes());
        out.extend_from_slice(&pack.size.to_le_bytes());
    }
}

/// Reads a list of packs, which must ascend.
pub(super) fn read_packs(reader: &mut Reader<'_>) -> Result<Vec<Pack>, Damage> {
    let mut packs: Vec<Pack> = Vec::new();
    for _ in 0..reader.count(PACK_LEN)? {
        let next = Pack { digest: reader.digest()?, size: reader.u64()? };
        if packs.last().is_some_and(|last| *last >= next) {
            return Err(Damage::Value);
        }
        packs.push(next);
    }
    Ok(packs)
}
