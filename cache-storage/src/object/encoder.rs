//! Plain bytes to an object's, a piece at a time.

use std::io;

use bytes::BytesMut;
use zstd::stream::raw::{CParameter, Encoder as ZstdEncoder, InBuffer, Operation, OutBuffer};

use super::envelope::{Encoding, HEADER, header};

/// zstd's own default: most of the gain, at several times the speed of a network.
const LEVEL: i32 = 3;
/// How many of the first bytes decide whether the blob is compressed.
const TRIAL: usize = 64 << 10;
/// Compressed bytes are made this many at a time.
const PIECE: usize = 64 << 10;

/// Makes an object of `length` plain bytes.
pub(super) struct Encoder {
    length: u64,
    /// The first bytes, until there are enough to decide.
    trial: BytesMut,
    state: State,
}

enum State {
    Undecided,
    Plain,
    Zstd(ZstdEncoder<'static>),
}

impl Encoder {
    pub(super) fn new(length: u64) -> Self {
        Self { length, trial: BytesMut::new(), state: State::Undecided }
    }

    /// Appends to `out` what `bytes` become.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> io::Result<()> {
        match &mut self.state {
            State::Undecided => {
                let wanted = (TRIAL - self.trial.len()).min(bytes.len());
                self.trial.extend_from_slice(&bytes[..wanted]);
                if self.trial.len() < TRIAL {
                    return Ok(());
                }
                self.decide(out)?;
                self.push(&bytes[wanted..], out)
            }
            State::Plain => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            State::Zstd(encoder) => compress(encoder, bytes, out),
        }
    }

    /// Appends to `out` what is left at the end.
    pub(super) fn finish(mut self, out: &mut BytesMut) -> io::Result<()> {
        if matches!(self.state, State::Undecided) {
            self.decide(out)?;
        }
        let State::Zstd(mut encoder) = self.state else { return Ok(()) };
        let mut piece = vec![0; PIECE];
        loop {
            let mut buffer = OutBuffer::around(&mut piece[..]);
            let left = encoder.finish(&mut buffer, true)?;
            out.extend_from_slice(buffer.as_slice());
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Compresses if that saves a sixteenth of the first bytes.
    fn decide(&mut self, out: &mut BytesMut) -> io::Result<()> {
        let trial = std::mem::take(&mut self.trial);
        let tried = zstd::bulk::compress(&trial, LEVEL)?.len();
        let (encoding, state) = if tried + trial.len() / 16 < trial.len() {
            let mut encoder = ZstdEncoder::new(LEVEL)?;
            encoder.set_parameter(CParameter::ContentSizeFlag(true))?;
            (Encoding::Zstd, State::Zstd(encoder))
        } else {
            (Encoding::Plain, State::Plain)
        };
        self.state = state;
        out.reserve(HEADER + trial.len());
        out.extend_from_slice(&header(encoding, self.length));
        self.push(&trial, out)
    }
}

fn compress(
    encoder: &mut ZstdEncoder<'static>,
    bytes: &[u8],
    out: &mut BytesMut,
) -> io::Result<()> {
    let mut input = InBuffer::around(bytes);
    let mut piece = vec![0; PIECE];
    while input.pos() < bytes.len() {
        let mut buffer = OutBuffer::around(&mut piece[..]);
        encoder.run(&mut input, &mut buffer)?;
        out.extend_from_slice(buffer.as_slice());
    }
    Ok(())
}

/// A whole object, for bytes that are in memory anyway.
pub(super) fn encode(bytes: &[u8]) -> io::Result<BytesMut> {
    let (mut encoder, mut out) = (Encoder::new(bytes.len() as u64), BytesMut::new());
    encoder.push(bytes, &mut out)?;
    encoder.finish(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::envelope::{Damage, Decoder};
    use super::*;

    fn decode(object: &[u8], piece: usize) -> Result<Vec<u8>, Damage> {
        let (mut decoder, mut plain) = (Decoder::new(), Vec::new());
        for bytes in object.chunks(piece) {
            decoder.push(bytes);
            while let Some(bytes) = decoder.next()? {
                plain.extend_from_slice(&bytes);
            }
        }
        decoder.finish().map(|()| plain)
    }

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let mut hasher = cache_core::Hasher::blob();
        let blocks = std::iter::repeat_with(|| *hasher.field(b"more").finish().as_bytes());
        blocks.flatten().take(length).collect()
    }

    #[test]
    fn the_first_bytes_decide_what_is_compressed() {
        let text = b"fn main() {}\n".repeat(20_000);
        let object = encode(&text).unwrap();
        assert_eq!(object[5], Encoding::Zstd as u8);
        assert!(object.len() < text.len() / 10);
        let noise = noise(200_000);
        let object = encode(&noise).unwrap();
        assert_eq!(object[5], Encoding::Plain as u8);
        assert_eq!(object.len(), noise.len() + HEADER);
        assert_eq!(decode(&object, 10_000), Ok(noise));
    }

    #[test]
    fn no_more_bytes_come_out_than_announced() {
        let zeros = vec![0; 50 << 20];
        let mut object = encode(&zeros).unwrap();
        object[8..HEADER].copy_from_slice(&1000_u64.to_le_bytes());
        let mut decoder = Decoder::new();
        decoder.push(&object);
        assert_eq!(decoder.next(), Err(Damage::Long), "a bomb is refused at its first piece");
        object[8..HEADER].copy_from_slice(&(60_u64 << 20).to_le_bytes());
        assert_eq!(decode(&object, 4096), Err(Damage::Short));
    }

    #[test]
    fn an_object_has_one_end() {
        for plain in [noise(1000), b"a".repeat(1000)] {
            let object = encode(&plain).unwrap();
            for length in 0..object.len() {
                assert!(decode(&object[..length], 64).is_err(), "cut to {length}");
            }
            let longer = [&object[..], b"x"].concat();
            assert_eq!(decode(&longer, 64), Err(Damage::Long));
        }
    }

    #[test]
    fn a_window_larger_than_allowed_is_refused() {
        let mut encoder = ZstdEncoder::new(LEVEL).unwrap();
        encoder.set_parameter(CParameter::WindowLog(24)).unwrap();
        let plain = noise(20 << 20);
        let mut object = BytesMut::from(&header(Encoding::Zstd, plain.len() as u64)[..]);
        compress(&mut encoder, &plain, &mut object).unwrap();
        assert_eq!(decode(&object, 1 << 20), Err(Damage::Frame));
    }

    proptest! {
        #[test]
        fn every_object_decodes_to_what_it_was_made_of(
            seeds in proptest::collection::vec(any::<u8>(), 0..40),
            piece in 1_usize..5000,
        ) {
            let plain: Vec<u8> =
                seeds.iter().flat_map(|seed| vec![*seed; usize::from(*seed) * 37]).collect();
            let object = encode(&plain).unwrap();
            prop_assert_eq!(decode(&object, piece), Ok(plain));
        }

        #[test]
        fn damaged_objects_never_panic(
            at in any::<prop::sample::Index>(), byte: u8, piece in 1_usize..5000,
        ) {
            let plain = [noise(3000), b"abc".repeat(2000)].concat();
            let mut object = encode(&plain).unwrap();
            let at = at.index(object.len());
            object[at] = byte;
            // A digest over the plain bytes finds what the format does not.
            let _ = decode(&object, piece);
        }
    }
}
