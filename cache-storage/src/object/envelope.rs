//! What an object's bytes are, as the [module above](super) documents it: reading.

use std::io;

use bytes::{Bytes, BytesMut};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// Bytes of a header.
pub(super) const HEADER: usize = 16;
const MAGIC: [u8; 4] = *b"\x89ldo";
const VERSION: u8 = 1;
/// Base-2 logarithm of the largest window that is accepted.
const WINDOW_LOG: u32 = 23;
/// Most plain bytes that are decoded at a time.
const PIECE: usize = 128 << 10;

/// How the plain bytes are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    Plain = 0,
    Zstd = 1,
}

/// The header of an object of `length` plain bytes.
pub(super) fn header(encoding: Encoding, length: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = VERSION;
    header[5] = encoding as u8;
    header[8..].copy_from_slice(&length.to_le_bytes());
    header
}

/// Why bytes are not an object's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("it does not begin like an object of this cache")]
    Header,
    #[error("it is shorter than it says")]
    Short,
    #[error("it is longer than it says")]
    Long,
    #[error("its compressed bytes are damaged")]
    Frame,
}

/// Turns an object's bytes into the plain bytes, a piece at a time, and never into more of them
/// than the header announces.
pub(super) struct Decoder {
    input: BytesMut,
    state: State,
}

enum State {
    Header,
    Plain { left: u64 },
    Zstd { decoder: ZstdDecoder<'static>, left: u64, ended: bool },
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { input: BytesMut::new(), state: State::Header }
    }

    /// Adds bytes of the object. Take all output with [`Self::next`] before adding more.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next plain bytes; `None` when more of the object is needed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Damage> {
        self.read_header()?;
        match &mut self.state {
            State::Header => Ok(None),
            State::Plain { left } => {
                *left = left.checked_sub(self.input.len() as u64).ok_or(Damage::Long)?;
                Ok((!self.input.is_empty()).then(|| self.input.split().freeze()))
            }
            State::Zstd { decoder, left, ended } => inflate(decoder, &mut self.input, left, ended),
        }
    }

    /// How many plain bytes are still to come, once the header was read: before any output, the
    /// length of the whole.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.state {
            State::Header => None,
            State::Plain { left } | State::Zstd { left, .. } => Some(*left),
        }
    }

    /// Reads the header if enough bytes are there.
    pub(super) fn read_header(&mut self) -> Result<(), Damage> {
        if matches!(self.state, State::Header) && self.input.len() >= HEADER {
            self.state = begin(&self.input.split_to(HEADER))?;
        }
        Ok(())
    }

    /// Call at the object's end, after all output was taken.
    pub(super) fn finish(&self) -> Result<(), Damage> {
        match &self.state {
            State::Header => Err(Damage::Header),
            State::Plain { left: 0 } | State::Zstd { left: 0, ended: true, .. } => Ok(()),
            State::Plain { .. } | State::Zstd { .. } => Err(Damage::Short),
        }
    }
}

fn begin(header: &[u8]) -> Result<State, Damage> {
    let (start, length) = header.split_at(8);
    let left = u64::from_le_bytes(length.try_into().map_err(|_| Damage::Header)?);
    if start[..4] != MAGIC || start[4] != VERSION || start[6..] != [0, 0] {
        return Err(Damage::Header);
    }
    match start[5] {
        0 => Ok(State::Plain { left }),
        1 => {
            let mut decoder = ZstdDecoder::new().map_err(|_| Damage::Frame)?;
            let window = DParameter::WindowLogMax(WINDOW_LOG);
            decoder.set_parameter(window).map_err(|_| Damage::Frame)?;
            Ok(State::Zstd { decoder, left, ended: false })
        }
        _ => Err(Damage::Header),
    }
}

fn inflate(
    decoder: &mut ZstdDecoder<'static>,
    input: &mut BytesMut,
    left: &mut u64,
    ended: &mut bool,
) -> Result<Option<Bytes>, Damage> {
    loop {
        if *ended {
            return if input.is_empty() { Ok(None) } else { Err(Damage::Long) };
        }
        // One byte more than may come, so that what is too long is seen.
        let room = usize::try_from(*left).map_or(PIECE, |left| PIECE.min(left.saturating_add(1)));
        let mut piece = vec![0; room];
        let (read, written, hint) = step(decoder, input, &mut piece).map_err(|_| Damage::Frame)?;
        let _ = input.split_to(read);
        *ended = hint == 0;
        *left = left.checked_sub(written as u64).ok_or(Damage::Long)?;
        if written > 0 {
            piece.truncate(written);
            return Ok(Some(piece.into()));
        }
        if read == 0 && !*ended {
            return Ok(None);
        }
    }
}

fn step(
    decoder: &mut ZstdDecoder<'static>,
    input: &[u8],
    output: &mut [u8],
) -> io::Result<(usize, usize, usize)> {
    let mut input = InBuffer::around(input);
    let mut output = OutBuffer::around(output);
    let hint = decoder.run(&mut input, &mut output)?;
    Ok((input.pos(), output.pos(), hint))
}
