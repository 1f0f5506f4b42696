//! Blobs as zstd frames (RFC 8878) on the wire.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use zstd::stream::raw::{Decoder, Operation};

use crate::content::{Source, Spool, blocking};
use crate::{RemoteError, Result};

const LEVEL: i32 = 3;
/// How much is looked at to tell whether compressing is worth it.
const PROBE: usize = 64 << 10;
/// The largest window, as a power of two: 8 MiB, what RFC 8878 tells decoders to support. A frame
/// that asks for more memory is refused.
const WINDOW_LOG: u32 = 23;

/// Whether bytes that begin so get smaller by a sixteenth at least.
pub(super) fn worth_it(beginning: &[u8]) -> bool {
    let probe = &beginning[..beginning.len().min(PROBE)];
    probe.len() > 256
        && zstd::bulk::compress(probe, LEVEL)
            .is_ok_and(|smaller| smaller.len() < probe.len() - probe.len() / 16)
}

/// One frame, if it is worth it.
pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    if !worth_it(bytes) {
        return None;
    }
    zstd::bulk::compress(bytes, LEVEL).ok().filter(|smaller| smaller.len() < bytes.len())
}

/// The bytes of a frame, which are `size`.
pub(super) fn decompress(frame: &[u8], size: u64) -> Result<Bytes> {
    let mut inflater = Inflater::new(size)?;
    inflater.push(frame)
}

/// The whole of a source as one frame, if it is worth it, and its length.
pub(super) async fn compress_source(source: &Source) -> Result<Option<(Source, u64)>> {
    if !worth_it(&source.read(0, PROBE).await?) {
        return Ok(None);
    }
    let mut encoder = zstd::stream::write::Encoder::new(Spool::default(), LEVEL).map_err(failed)?;
    let mut offset = 0;
    loop {
        let piece = source.read(offset, 1 << 20).await?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        encoder = blocking(move || {
            encoder.write_all(&piece).map_err(failed)?;
            Ok(encoder)
        })
        .await?;
    }
    blocking(move || {
        let spool = encoder.finish().map_err(failed)?;
        let length = spool.length();
        Ok(Some((spool.into_source().map_err(failed)?, length)))
    })
    .await
}

// By value, as `map_err` has it.
#[allow(clippy::needless_pass_by_value)]
fn failed(e: io::Error) -> RemoteError {
    RemoteError::local("compressing a blob", &e)
}

/// Decompresses what comes in pieces, and never makes more than the announced length.
pub(super) struct Inflater {
    decoder: Decoder<'static>,
    left: u64,
}

impl Inflater {
    pub(super) fn new(size: u64) -> Result<Self> {
        let mut decoder = Decoder::new().map_err(failed)?;
        decoder
            .set_parameter(zstd::stream::raw::DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(failed)?;
        Ok(Self { decoder, left: size })
    }

    /// What these bytes add.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<Bytes> {
        let mut all = BytesMut::new();
        let mut buffer = [0; 32 << 10];
        loop {
            let status = self
                .decoder
                .run_on_buffers(bytes, &mut buffer)
                .map_err(|e| RemoteError::Garbage(format!("a damaged zstd frame: {e}")))?;
            bytes = &bytes[status.bytes_read..];
            self.left = self.left.checked_sub(status.bytes_written as u64).ok_or_else(|| {
                RemoteError::Garbage("a zstd frame of more bytes than announced".into())
            })?;
            all.extend_from_slice(&buffer[..status.bytes_written]);
            let idle = status.bytes_read == 0 && status.bytes_written == 0;
            if idle || (bytes.is_empty() && status.bytes_written < buffer.len()) {
                return Ok(all.freeze());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_in_pieces_of_any_size() {
        let bytes = b"larder ".repeat(50_000);
        let frame = compress(&bytes).unwrap();
        for step in [1, 100, frame.len()] {
            let mut inflater = Inflater::new(bytes.len() as u64).unwrap();
            let whole: Vec<u8> =
                frame.chunks(step).flat_map(|piece| inflater.push(piece).unwrap()).collect();
            assert!(whole == bytes, "in steps of {step}");
        }
    }

    #[test]
    fn a_frame_of_more_than_announced_is_refused() {
        let frame = compress(&vec![0; 10 << 20]).unwrap();
        assert!(frame.len() < 10_000, "a small frame of many bytes");
        let error = decompress(&frame, 1000).unwrap_err();
        assert!(matches!(error, RemoteError::Garbage(_)), "{error}");
        assert!(decompress(b"no frame at all", 10).is_err());
    }

    #[test]
    fn what_does_not_get_smaller_stays_plain() {
        let mut state = blake3::Hasher::new().finalize_xof();
        let mut noise = vec![0; 100_000];
        state.fill(&mut noise);
        assert_eq!(compress(&noise), None);
        assert_eq!(compress(b"short"), None);
    }
}
