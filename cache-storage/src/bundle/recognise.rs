//! Telling what lies under a key, for people who look at a store.

use cache_core::Record;
use cache_core::wire::open_signed;

use super::collect::Kind;
use super::{Damage, codec};

/// Of located records, bundles, registrations, and the objects around all of them.
const LETTERS: [u8; 4] = *b"lbgo";

/// What a record's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// A located record, a bundle or a registration that this version reads.
    Readable,
    /// One that another version wrote.
    OtherVersion,
    /// One of which the bytes are damaged.
    Damaged,
    /// Something else.
    Foreign,
}

impl Recognised {
    /// Looks at a record's bytes, or at those in an envelope with a signature, which is not checked.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let inner = open_signed(bytes).map(|signed| signed.record);
        let bytes = inner.unwrap_or(bytes);
        match Kind::of(bytes) {
            Kind::Leads(..) | Kind::Registers(_) => return Self::Readable,
            Kind::Newer => return Self::OtherVersion,
            Kind::Foreign => {}
        }
        match Record::decode(bytes) {
            Ok(_) => return Self::Foreign,
            Err(error) if error.is_foreign() => return Self::OtherVersion,
            Err(_) => {}
        }
        let [mut damaged, mut other] = [false; 2];
        for letter in LETTERS {
            match codec::check_head(bytes, letter) {
                Ok(()) | Err(Damage::Version(1)) => damaged = true,
                Err(Damage::Version(_)) => other = true,
                Err(_) => {}
            }
        }
        match (other, damaged) {
            (true, _) => Self::OtherVersion,
            (false, true) => Self::Damaged,
            (false, false) => Self::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Located;
    use bytes::Bytes;
    use cache_core::wire::{SignedRecord, seal_signed};

    use super::*;

    #[test]
    fn what_lies_there_is_told_by_its_first_bytes() {
        let ours = Located::default().encode();
        let signed = SignedRecord { key: [1; 32], signature: [2; 64], record: &ours };
        let mut newer = ours.to_vec();
        newer[4] = 2;
        let mut damaged = ours.to_vec();
        damaged[20] ^= 1;
        let record = Record::default().encode();
        let mut newer_record = record.clone();
        newer_record[4] = 9;
        for (bytes, want) in [
            (ours.clone(), Recognised::Readable),
            (seal_signed(&signed).into(), Recognised::Readable),
            (newer.into(), Recognised::OtherVersion),
            (damaged.into(), Recognised::Damaged),
            (record.into(), Recognised::Foreign),
            (newer_record.into(), Recognised::OtherVersion),
            (Bytes::from_static(b"\x89ldo\x02\0\0\0newer"), Recognised::OtherVersion),
            (Bytes::from_static(b"PNG"), Recognised::Foreign),
            (Bytes::new(), Recognised::Foreign),
        ] {
            assert_eq!(Recognised::of(&bytes), want, "{bytes:?}");
        }
    }
}
