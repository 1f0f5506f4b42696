//! Reading a pack as it comes.

use bytes::{Buf, Bytes, BytesMut};
use cache_core::Digest;
use futures::stream::Fuse;
use futures::{StreamExt, stream};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::Damage;
use super::codec::{self, HEAD, Reader};
use crate::{BlobStream, Result, StoreError};

pub(super) const LETTER: u8 = b'p';
/// Base-2 logarithm of the window of frames, and of the largest that is accepted.
pub(super) const WINDOW_LOG: u32 = 23;
/// Bytes of a member in a group's head.
const MEMBER: usize = Digest::LEN + 8;
/// No outcome has more files, and a head is kept in memory.
const MOST_MEMBERS: usize = 1 << 20;
/// A frame does not become more bytes than so many times its own: what is passed over costs time too.
const MOST_RATIO: u64 = 1024;
/// Most plain bytes that are made at a time.
const PIECE: usize = 128 << 10;

/// How long a group of so many plain bytes has to be stored at least. zstd makes far less of zeros; then the
/// writer adds some.
pub(super) const fn least_stored(plain: u64) -> u64 {
    plain.saturating_sub(PIECE as u64).div_ceil(MOST_RATIO)
}

/// A member of a pack, by what the pack says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Reads a pack group by group, and in a group member by member, and keeps no more of it in memory than a
/// piece and the window of a frame.
pub struct PackReader<'a> {
    source: Fuse<BlobStream<'a>>,
    /// Why the source ended, when it was not the pack's end.
    broken: Option<StoreError>,
    buffer: BytesMut,
    begun: bool,
    /// Bytes of the current group's frame that were not read yet.
    stored: u64,
    decoder: Option<Decoder<'static>>,
    /// Read and not inflated.
    input: Bytes,
    /// Bytes of the current member that are still to come.
    left: u64,
}

impl std::fmt::Debug for PackReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackReader").field("stored", &self.stored).finish_non_exhaustive()
    }
}

/// An error of a pack's bytes.
fn damaged(damage: Damage) -> StoreError {
    StoreError::Refused(format!("a pack: {damage}"))
}

impl<'a> PackReader<'a> {
    /// Reads what comes from `source`.
    #[must_use]
    pub fn new(source: BlobStream<'a>) -> Self {
        Self {
            // Streams of some layers may not be asked again after their end, and a member that is cut
            // short is followed by the question for the next.
            source: source.fuse(),
            broken: None,
            buffer: BytesMut::new(),
            begun: false,
            stored: 0,
            decoder: None,
            input: Bytes::new(),
            left: 0,
        }
    }

    /// What the source said when it broke off. A member's bytes say it too, but there it cannot be told
    /// from an error of whoever stores them.
    #[must_use]
    pub fn broken(&self) -> Option<&StoreError> {
        self.broken.as_ref()
    }

    /// The members of the next group; what was not read of the one before is passed over without
    /// inflating it. `None` at the end.
    ///
    /// # Errors
    /// What the source says; [`StoreError::Refused`] for bytes that are no pack.
    pub async fn next_group(&mut self) -> Result<Option<Vec<Member>>> {
        if !self.begun {
            self.want(HEAD).await?;
            codec::check_head(&self.buffer, LETTER).map_err(damaged)?;
            self.buffer.advance(HEAD);
            self.begun = true;
        }
        while self.stored > 0 {
            self.frame_bytes().await?;
        }
        (self.decoder, self.input, self.left) = (None, Bytes::new(), 0);
        if self.buffer.is_empty() && !self.more().await? {
            return Ok(None);
        }
        self.want(4).await?;
        let count = usize::try_from(self.buffer.get_u32_le()).unwrap_or(usize::MAX);
        if count > MOST_MEMBERS {
            return Err(damaged(Damage::Value));
        }
        let mut members = Vec::new();
        for _ in 0..count {
            self.want(MEMBER).await?;
            let head = self.buffer.split_to(MEMBER);
            let mut reader = Reader(&head);
            let digest = reader.digest().map_err(damaged)?;
            members.push(Member { digest, size: reader.u64().map_err(damaged)? });
        }
        self.want(8).await?;
        self.stored = self.buffer.get_u64_le();
        let plain = members.iter().try_fold(0_u64, |sum, member| sum.checked_add(member.size));
        if plain.is_none_or(|plain| least_stored(plain) > self.stored) {
            return Err(damaged(Damage::Value));
        }
        Ok(Some(members))
    }

    /// The bytes of the group's next member: exactly as many as it says it has, or an error. They are
    /// checked by whoever stores them. What was not read of the member before is passed over.
    ///
    /// # Errors
    /// [`StoreError::Refused`], also from within the stream.
    pub async fn next_member(&mut self, member: &Member) -> Result<BlobStream<'_>> {
        while self.left > 0 {
            self.inflate().await?;
        }
        if self.decoder.is_none() {
            let mut decoder = Decoder::new().map_err(|_| damaged(Damage::Bytes))?;
            let window = DParameter::WindowLogMax(WINDOW_LOG);
            decoder.set_parameter(window).map_err(|_| damaged(Damage::Bytes))?;
            self.decoder = Some(decoder);
        }
        self.left = member.size;
        let pieces = stream::try_unfold(self, |pack| async move {
            if pack.left == 0 {
                return Ok(None);
            }
            let piece = pack.inflate().await?;
            Ok(Some((piece, pack)))
        });
        Ok(pieces.boxed())
    }

    /// Some of the current member's bytes.
    async fn inflate(&mut self) -> Result<Bytes> {
        let mut out = BytesMut::zeroed(PIECE);
        loop {
            let room = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
            let Some(decoder) = &mut self.decoder else { return Err(damaged(Damage::Bytes)) };
            let mut input = InBuffer::around(&self.input);
            let mut output = OutBuffer::around(&mut out[..room]);
            // Also without input: there may be output that did not fit before.
            decoder.run(&mut input, &mut output).map_err(|_| damaged(Damage::Bytes))?;
            let (read, made) = (input.pos(), output.pos());
            self.input.advance(read);
            if made > 0 {
                self.left -= made as u64;
                out.truncate(made);
                return Ok(out.freeze());
            }
            if self.input.is_empty() {
                self.input = self.frame_bytes().await?;
                if self.input.is_empty() {
                    return Err(damaged(Damage::Short));
                }
            }
        }
    }

    /// Some of the frame's bytes; empty when all were read.
    async fn frame_bytes(&mut self) -> Result<Bytes> {
        if self.stored > 0 && self.buffer.is_empty() && !self.more().await? {
            return Err(damaged(Damage::Short));
        }
        let here = usize::try_from(self.stored).unwrap_or(usize::MAX).min(self.buffer.len());
        self.stored -= here as u64;
        Ok(self.buffer.split_to(here).freeze())
    }

    async fn want(&mut self, length: usize) -> Result<()> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(damaged(Damage::Short));
            }
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<bool> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        while let Some(piece) = self.source.next().await {
            let piece = piece.inspect_err(|error| self.broken = Some(error.clone()))?;
            if !piece.is_empty() {
                self.buffer.extend_from_slice(&piece);
                return Ok(true);
            }
        }
        Ok(false)
    }
}
