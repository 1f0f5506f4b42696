//! A record with a signature, in an envelope of its own.

use super::DecodeError;
use super::envelope::{Envelope, KIND_SIGNED, refs, seal};
use super::reader::Reader;

const VERSION: u16 = 1;

/// A record and the signature that it came with, which nobody has checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedRecord<'a> {
    /// Whose signature it says it is: an ed25519 public key.
    pub key: [u8; 32],
    /// The ed25519 signature.
    pub signature: [u8; 64],
    /// The record's bytes.
    pub record: &'a [u8],
}

/// Puts a record and its signature into an envelope with the record's refs, so that a garbage
/// collector keeps its blobs. Bytes that are no record have no refs.
#[must_use]
pub fn seal_signed(signed: &SignedRecord<'_>) -> Vec<u8> {
    let mut payload = Vec::with_capacity(96 + signed.record.len());
    payload.extend_from_slice(&signed.key);
    payload.extend_from_slice(&signed.signature);
    payload.extend_from_slice(signed.record);
    seal(KIND_SIGNED, VERSION, refs(signed.record).unwrap_or_default(), &payload)
}

/// Takes a signed record out of its envelope. The signature is not checked here.
///
/// # Errors
/// Any [`DecodeError`]; [`Kind`](DecodeError::Kind) for a record that is not signed.
pub fn open_signed(bytes: &[u8]) -> Result<SignedRecord<'_>, DecodeError> {
    let envelope = Envelope::open(bytes)?;
    let mut reader = Reader::new(envelope.payload(KIND_SIGNED, VERSION)?);
    let (key, signature) = (reader.array()?, reader.array()?);
    let record = reader.take(reader.remaining())?;
    if envelope.refs()? != refs(record).unwrap_or_default() {
        return Err(DecodeError::Malformed("refs are not those of the signed record"));
    }
    Ok(SignedRecord { key, signature, record })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Content, Digest, Entry, Observation, Outcome, Output, Recipe, Record, Role, Template,
    };

    fn record() -> Vec<u8> {
        let mut recipe = Recipe::new();
        recipe.push("name", "any");
        let outputs = vec![Output {
            role: Role::Other,
            path: Template::Plain(b"out".to_vec()),
            content: Content::Blob { digest: Digest::of(b"out"), size: 3 },
            mode: 0o644,
        }];
        let outcome = Outcome { outputs, ..Outcome::default() };
        let entry = Entry { observation: Observation::default(), outcome, created: 1 };
        Record { recipe, entries: vec![entry] }.encode()
    }

    #[test]
    fn what_was_sealed_comes_out_and_keeps_its_refs() {
        for record in [record(), b"no record".to_vec(), Vec::new()] {
            let signed = SignedRecord { key: [1; 32], signature: [2; 64], record: &record };
            let bytes = seal_signed(&signed);
            assert_eq!(open_signed(&bytes), Ok(signed));
            assert_eq!(refs(&bytes).unwrap(), refs(&record).unwrap_or_default());
            assert_eq!(Record::decode(&bytes), Err(DecodeError::Kind { kind: KIND_SIGNED }));
        }
        assert_eq!(refs(&record()).unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_a_signed_record_is_refused() {
        assert_eq!(open_signed(&record()), Err(DecodeError::Kind { kind: 1 }));
        let (record, key, signature) = (record(), [1; 32], [2; 64]);
        let bytes = seal_signed(&SignedRecord { key, signature, record: &record });
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(open_signed(&wrong).is_err(), "byte {at}");
            assert!(open_signed(&bytes[..at]).is_err(), "cut at {at}");
        }
        let payload = [&key[..], &signature[..], &record].concat();
        let without_refs = seal(KIND_SIGNED, VERSION, Vec::new(), &payload);
        assert!(matches!(open_signed(&without_refs), Err(DecodeError::Malformed(_))));
        let newer = seal(KIND_SIGNED, VERSION + 1, Vec::new(), &payload);
        assert_eq!(open_signed(&newer), Err(DecodeError::Unsupported { version: VERSION + 1 }));
        let short = seal(KIND_SIGNED, VERSION, Vec::new(), &[0; 95]);
        assert_eq!(open_signed(&short), Err(DecodeError::Truncated));
    }
}
