//! Reading primitives from a slice, with every length checked first.

use super::DecodeError;
use crate::Digest;

type Result<T> = std::result::Result<T, DecodeError>;

/// A cursor over bytes that are not trusted.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    pub(super) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Ends reading; nothing may be left.
    pub(super) const fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(super) fn digest(&mut self) -> Result<Digest> {
        Ok(Digest::from_bytes(self.array()?))
    }

    /// An unsigned LEB128 of up to 64 bits, in its shortest form.
    pub(super) fn varint(&mut self) -> Result<u64> {
        if let Some((&byte @ 0..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && byte > 1 {
                return Err(DecodeError::Malformed("integer too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(DecodeError::Malformed("integer longer than needed"));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("integer too large"))
    }

    /// A count of items that take at least `min` bytes each: never more than can follow.
    pub(super) fn count(&mut self, min: usize) -> Result<usize> {
        let count = self.varint()?;
        self.check_count(count, min)
    }

    /// Checks that `count` items of at least `min` bytes each can follow.
    pub(super) fn check_count(&self, count: u64, min: usize) -> Result<usize> {
        match usize::try_from(count) {
            Ok(count) if count <= self.remaining() / min.max(1) => Ok(count),
            _ => Err(DecodeError::Truncated),
        }
    }

    /// A varint length and that many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.count(1)?;
        self.take(len)
    }

    /// A `u64` length and that many bytes.
    pub(super) fn long_bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.u64()?;
        let len = self.check_count(len, 1)?;
        self.take(len)
    }

    /// Bytes that must be UTF-8.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Malformed("name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::writer::Writer;

    #[test]
    fn varints_round_trip() {
        for value in [0, 1, 127, 128, 300, 1 << 14, (1 << 63) - 1, 1 << 63, u64::MAX] {
            let mut writer = Writer::default();
            writer.varint(value);
            let mut reader = Reader::new(writer.as_bytes());
            assert_eq!(reader.varint(), Ok(value));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn varints_have_one_form() {
        let malformed =
            |bytes: &[u8]| matches!(Reader::new(bytes).varint(), Err(DecodeError::Malformed(_)));
        assert!(malformed(&[0x80, 0]), "two bytes for zero");
        assert!(malformed(&[0xff, 0x80, 0]), "three bytes for 127");
        assert!(malformed(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), "65 bits");
        assert!(malformed(&[0x80; 11]), "no end");
        assert_eq!(Reader::new(&[0x80]).varint(), Err(DecodeError::Truncated));
    }

    #[test]
    fn counts_are_compared_with_what_remains() {
        assert_eq!(Reader::new(&[2, 0, 0, 0]).count(2), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[1, 0, 0, 0]).count(2), Ok(1));
        let mut huge = Writer::default();
        huge.varint(u64::MAX);
        assert_eq!(Reader::new(huge.as_bytes()).bytes(), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[0xff; 8]).long_bytes(), Err(DecodeError::Truncated));
    }
}
