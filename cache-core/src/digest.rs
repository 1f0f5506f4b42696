//! BLAKE3 digests and the domain-separated hasher that makes keys.

use std::fmt;
use std::str::FromStr;

/// A 256-bit BLAKE3 digest. Displays as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected 64 hexadecimal digits")]
pub struct ParseDigestError;

impl Digest {
    /// Length of a digest in bytes.
    pub const LEN: usize = 32;

    /// The plain BLAKE3 digest of `bytes`; what a blob of these bytes is named.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// A digest from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lowercase hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    /// Accepts exactly the form that [`Digest::to_hex`] gives.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseDigestError);
        }
        let hash = blake3::Hash::from_hex(text).map_err(|_| ParseDigestError)?;
        Ok(Self(*hash.as_bytes()))
    }
}

/// An incremental hasher.
///
/// [`Hasher::blob`] gives the plain digest of the bytes; [`Hasher::keyed`] separates domains, so
/// that a key for one purpose never equals a key for another (BLAKE3 `derive_key` mode).
#[derive(Clone, Debug)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Hashes plain bytes; equals [`Digest::of`] over all of them.
    #[must_use]
    pub fn blob() -> Self {
        Self(blake3::Hasher::new())
    }

    /// Hashes within a domain. `context` is a constant that names purpose and version.
    #[must_use]
    pub fn keyed(context: &'static str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    /// Adds bytes as they are, with no length in front.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// Adds one field: its length as a little-endian `u64`, then its bytes. Two different
    /// sequences of fields never feed the hasher the same bytes.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The digest of everything added so far.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_one_form() {
        // The BLAKE3 digest of nothing, from the test vectors of its reference implementation.
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_hex(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
        for bad in [
            "",
            "af",
            &empty.to_uppercase(),
            &empty.replace('a', "g"),
            &empty[1..],
            &format!("{empty}0"),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(ParseDigestError), "{bad}");
        }
    }

    #[test]
    fn hashing_in_pieces_is_hashing_whole() {
        assert_eq!(Hasher::blob().update(b"a").update(b"b").finish(), Digest::of(b"ab"));
    }

    #[test]
    fn fields_and_domains_are_kept_apart() {
        let of = |fields: &[&[u8]], context| {
            let mut hasher = Hasher::keyed(context);
            for field in fields {
                hasher.field(field);
            }
            hasher.finish()
        };
        assert_ne!(of(&[b"ab", b"c"], "one"), of(&[b"a", b"bc"], "one"));
        assert_ne!(of(&[b"abc"], "one"), of(&[b"abc"], "two"));
    }
}
