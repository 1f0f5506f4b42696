//! Fixed integers and lengths, read from bytes that anyone may have written.

use cache_core::Digest;

use super::Damage;

/// Bytes of a magic number with its version.
pub(super) const HEAD: usize = 8;
const VERSION: u8 = 1;

/// The beginning of a thing.
pub(super) fn head(letter: u8) -> [u8; HEAD] {
    [0x89, b'l', b'd', letter, VERSION, 0, 0, 0]
}

/// Checks the beginning of a thing.
pub(super) fn check_head(bytes: &[u8], letter: u8) -> Result<(), Damage> {
    let wanted = head(letter);
    if bytes.len() < HEAD || bytes[..4] != wanted[..4] {
        return Err(Damage::Magic);
    }
    if bytes[4..HEAD] != wanted[4..] {
        return Err(Damage::Version(bytes[4]));
    }
    Ok(())
}

/// A thing with its checksum at the end.
pub(super) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = Digest::of(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    bytes
}

/// What is between the beginning and the checksum of a thing.
pub(super) fn open(bytes: &[u8], letter: u8) -> Result<&[u8], Damage> {
    check_head(bytes, letter)?;
    let end = bytes.len().checked_sub(Digest::LEN).filter(|end| *end >= HEAD);
    let (body, checksum) = bytes.split_at(end.ok_or(Damage::Short)?);
    if Digest::of(body).as_bytes() != checksum {
        return Err(Damage::Bytes);
    }
    Ok(&body[HEAD..])
}

/// Reads from the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        self.take(N)?.try_into().map_err(|_| Damage::Short)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn digest(&mut self) -> Result<Digest, Damage> {
        self.array().map(Digest::from_bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = usize::try_from(self.u64()?).map_err(|_| Damage::Value)?;
        self.take(length)
    }

    /// A count of things that have at least `least` bytes each.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Damage> {
        let count = usize::try_from(self.u32()?).map_err(|_| Damage::Value)?;
        if count.checked_mul(least).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(Damage::Short);
        }
        Ok(count)
    }

    pub(super) fn finish(&self) -> Result<(), Damage> {
        if self.0.is_empty() { Ok(()) } else { Err(Damage::Long) }
    }
}

/// Appends a length and bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a count. More than 2³² things do not fit into memory as they are.
pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}
