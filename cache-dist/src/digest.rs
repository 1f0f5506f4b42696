//! Names of blobs in a content-addressable storage (CAS).

use std::fmt;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use sha2::Digest as _;

use crate::{RemoteError, Result};

/// A function that names blobs. Both give 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DigestFunction {
    /// SHA-256: every server has it.
    Sha256,
    /// BLAKE3 with 256 bits.
    Blake3,
}

impl DigestFunction {
    /// The name of `bytes`.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> CasDigest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Hashes bytes that come in pieces.
    #[must_use]
    pub fn hasher(self) -> CasHasher {
        let state = match self {
            Self::Sha256 => State::Sha256(sha2::Sha256::new()),
            Self::Blake3 => State::Blake3(Box::new(blake3::Hasher::new())),
        };
        CasHasher { state, size: 0 }
    }

    pub(crate) fn number(self) -> i32 {
        let value = match self {
            Self::Sha256 => pb::digest_function::Value::Sha256,
            Self::Blake3 => pb::digest_function::Value::Blake3,
        };
        value.into()
    }

    /// What stands before the hash in names of resources: functions that cannot be told by the
    /// length of their hash are named there (`ByteStream` in the comments of REAPI's CAS service).
    pub(crate) fn resource_prefix(self) -> &'static str {
        match self {
            Self::Sha256 => "",
            Self::Blake3 => "blake3/",
        }
    }
}

impl fmt::Display for DigestFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Blake3 => "BLAKE3",
        })
    }
}

/// A blob's name in a CAS: hash and length. Displays as the API writes it, `HASH/LENGTH`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CasDigest {
    /// By the server's digest function.
    pub hash: [u8; 32],
    /// In bytes.
    pub size: u64,
}

impl CasDigest {
    /// The hash as 64 lowercase hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.hash).to_hex().to_string()
    }

    /// From what [`hex`](Self::hex) gives, and a length in bytes.
    #[must_use]
    pub fn from_hex(hex: &str, size: u64) -> Option<Self> {
        let hash = blake3::Hash::from_hex(hex).ok()?;
        Some(Self { hash: *hash.as_bytes(), size })
    }

    /// As a message of the API.
    pub(crate) fn message(&self) -> pb::Digest {
        // A length is that of bytes that somebody has; none has 2^63.
        let size_bytes = i64::try_from(self.size).unwrap_or(i64::MAX);
        pb::Digest { hash: self.hex(), size_bytes }
    }

    /// From a message of the API; `None` where it names no blob of 32 bytes' hash.
    pub(crate) fn from_message(message: &pb::Digest) -> Option<Self> {
        Self::from_hex(&message.hash, u64::try_from(message.size_bytes).ok()?)
    }

    /// From a field of a message that has to be there.
    ///
    /// # Errors
    /// [`RemoteError::Garbage`], naming the field.
    pub(crate) fn required(message: Option<&pb::Digest>, field: &str) -> Result<Self> {
        message
            .and_then(Self::from_message)
            .ok_or_else(|| RemoteError::Garbage(format!("no digest in {field}")))
    }
}

impl fmt::Display for CasDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hex(), self.size)
    }
}

impl fmt::Debug for CasDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CasDigest({self})")
    }
}

/// A running digest.
#[derive(Clone, Debug)]
pub struct CasHasher {
    state: State,
    size: u64,
}

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Blake3(Box<blake3::Hasher>),
}

impl CasHasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
        self.size += bytes.len() as u64;
    }

    /// How many bytes were added.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The name of all that was added.
    #[must_use]
    pub fn finish(self) -> CasDigest {
        let hash = match self.state {
            State::Sha256(hasher) => hasher.finalize().into(),
            State::Blake3(hasher) => *hasher.finalize().as_bytes(),
        };
        CasDigest { hash, size: self.size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nothing_are_those_of_the_standards() {
        // FIPS 180-4's and the BLAKE3 reference implementation's digests of no bytes.
        assert_eq!(
            DigestFunction::Sha256.of(b"").to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/0"
        );
        assert_eq!(
            DigestFunction::Blake3.of(b"").to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262/0"
        );
    }

    #[test]
    fn messages_come_back_and_wrong_ones_are_refused() {
        for function in [DigestFunction::Sha256, DigestFunction::Blake3] {
            let digest = function.of(b"some bytes");
            assert_eq!(CasDigest::from_message(&digest.message()), Some(digest));
        }
        let good = DigestFunction::Sha256.of(b"x").message();
        for (hash, size_bytes) in [("", 1), ("ab", 1), (&good.hash[1..], 1), (&good.hash, -1)] {
            let wrong = pb::Digest { hash: hash.to_owned(), size_bytes };
            assert_eq!(CasDigest::from_message(&wrong), None, "{wrong:?}");
        }
    }
}
