//! What tells that a file was not touched, without reading it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::AtFlags;
use rustix::io::Errno;

/// A file's or directory's size, times and place, from one `stat`.
///
/// A directory's times move when an entry is added, removed or renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    words: [u64; 7],
}

/// Below this age, in seconds, a stamp does not prove that the content is what was read: file
/// systems stamp with the granularity of a timer tick, some with that of a second (two on FAT).
const TRUSTED_AGE: u64 = 2;

impl Stamp {
    /// Length of [`Stamp::to_bytes`].
    pub(super) const LEN: usize = 56;

    /// The stamp of what `path` leads to, links followed; `None` when there is nothing.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, super::Error> {
        match rustix::fs::stat(path) {
            Ok(stat) => Ok(Some(Self::from_stat(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(super::Error::io(path, errno.into())),
        }
    }

    /// [`Stamp::of`] for a name in an open directory: a third of the cost for a deep path.
    pub(super) fn at(dir: &OwnedFd, name: &[u8]) -> Option<Self> {
        rustix::fs::statat(dir, name, AtFlags::empty()).ok().map(|stat| Self::from_stat(&stat))
    }

    // The field types differ between platforms; only equality matters, so any lossless or
    // wrapping conversion to `u64` serves.
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
    fn from_stat(stat: &rustix::fs::Stat) -> Self {
        Self {
            words: [
                stat.st_size as u64,
                stat.st_mtime as u64,
                stat.st_mtime_nsec as u64,
                stat.st_ctime as u64,
                stat.st_ctime_nsec as u64,
                stat.st_ino as u64,
                stat.st_dev as u64,
            ],
        }
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.words[0]
    }

    /// Inode and device: which file this is.
    pub(super) fn file(&self) -> (u64, u64) {
        (self.words[5], self.words[6])
    }

    /// Whether a later change could leave this stamp as it is. The change time decides: it cannot
    /// be set from outside, unlike the modification time.
    pub(super) fn is_young(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.words[3].saturating_add(TRUSTED_AGE) >= now
    }

    /// Seven little-endian `u64`: size, mtime (s, ns), ctime (s, ns), inode, device.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        for (chunk, word) in out.chunks_exact_mut(8).zip(self.words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The inverse of [`Stamp::to_bytes`].
    pub(super) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut words = [0; 7];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk.iter().rev().fold(0, |acc, byte| (acc << 8) | u64::from(*byte));
        }
        Self { words }
    }
}
