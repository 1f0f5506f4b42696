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
/// Bytes before a member's frame.
pub(super) const MEMBER_HEAD: usize = Digest::LEN + 16;
/// Base-2 logarithm of the largest window that is accepted: what inflating keeps in memory. Writers here
/// need 21 at most (zstd, `clevels.h`, levels 3 and 6).
pub(super) const WINDOW_LOG: u32 = 23;
/// Most plain bytes that are made at a time.
const PIECE: usize = 128 << 10;

/// A member of a pack, by what the pack says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The length of its frame in bytes.
    pub stored: u64,
}

/// Reads a pack member by member, and keeps no more of it in memory than a piece.
pub struct PackReader<'a> {
    source: Fuse<BlobStream<'a>>,
    /// Why the source ended, when it was not the pack's end.
    broken: Option<StoreError>,
    buffer: BytesMut,
    begun: bool,
    /// Bytes of the current member's frame that were not read yet.
    left: u64,
}

impl std::fmt::Debug for PackReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackReader").field("left", &self.left).finish_non_exhaustive()
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
        // Streams of some layers may not be asked again after their end, and a member that is cut
        // short is followed by the question for the next.
        let source = source.fuse();
        Self { source, broken: None, buffer: BytesMut::new(), begun: false, left: 0 }
    }

    /// What the source said when it broke off. A member's bytes say it too, but there it cannot be told
    /// from an error of whoever stores them.
    #[must_use]
    pub fn broken(&self) -> Option<&StoreError> {
        self.broken.as_ref()
    }

    /// The next member; what was not read of the one before is passed over. `None` at the end.
    ///
    /// # Errors
    /// What the source says; [`StoreError::Refused`] for bytes that are no pack.
    pub async fn next(&mut self) -> Result<Option<Member>> {
        if !self.begun {
            self.want(HEAD).await?;
            codec::check_head(&self.buffer, LETTER).map_err(damaged)?;
            self.buffer.advance(HEAD);
            self.begun = true;
        }
        while self.left > 0 {
            self.frame_bytes().await?;
        }
        if self.buffer.is_empty() && !self.more().await? {
            return Ok(None);
        }
        self.want(MEMBER_HEAD).await?;
        let head = self.buffer.split_to(MEMBER_HEAD);
        let mut reader = Reader(&head);
        let mut read = || -> std::result::Result<Member, Damage> {
            Ok(Member { digest: reader.digest()?, size: reader.u64()?, stored: reader.u64()? })
        };
        let member = read().map_err(damaged)?;
        self.left = member.stored;
        Ok(Some(member))
    }

    /// The bytes of the current member: at most as many as it says it has. They are checked by
    /// whoever stores them. Call once after [`next`](Self::next).
    ///
    /// # Errors
    /// When there is no memory for inflating.
    pub fn bytes(&mut self, member: &Member) -> Result<BlobStream<'_>> {
        let mut decoder = Decoder::new().map_err(|_| damaged(Damage::Bytes))?;
        decoder
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(|_| damaged(Damage::Bytes))?;
        let inflating = Inflating { pack: self, decoder, input: Bytes::new(), left: member.size };
        Ok(stream::try_unfold(inflating, |mut inflating| async move {
            Ok(inflating.next().await?.map(|piece| (piece, inflating)))
        })
        .boxed())
    }

    /// Some of the frame's bytes; empty when all were read.
    async fn frame_bytes(&mut self) -> Result<Bytes> {
        if self.left > 0 && self.buffer.is_empty() && !self.more().await? {
            return Err(damaged(Damage::Short));
        }
        let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.buffer.len());
        self.left -= here as u64;
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

struct Inflating<'r, 'a> {
    pack: &'r mut PackReader<'a>,
    decoder: Decoder<'static>,
    input: Bytes,
    /// Plain bytes that are still to come.
    left: u64,
}

impl Inflating<'_, '_> {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut out = BytesMut::zeroed(PIECE);
        while self.left > 0 {
            if self.input.is_empty() {
                self.input = self.pack.frame_bytes().await?;
                if self.input.is_empty() {
                    return Err(damaged(Damage::Short));
                }
            }
            let room = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
            let mut input = InBuffer::around(&self.input);
            let mut output = OutBuffer::around(&mut out[..room]);
            self.decoder.run(&mut input, &mut output).map_err(|_| damaged(Damage::Bytes))?;
            let (read, made) = (input.pos(), output.pos());
            self.input.advance(read);
            if made > 0 {
                self.left -= made as u64;
                out.truncate(made);
                return Ok(Some(out.freeze()));
            }
        }
        Ok(None)
    }
}
