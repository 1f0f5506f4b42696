//! Moving bytes between files: hashing as they pass, or sharing blocks.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::{Digest, Hasher};

/// Fits the second-level cache, so that hashing reads what copying has just brought in; and large
/// enough for BLAKE3's wide instructions.
const BUFFER: usize = 128 << 10;

/// Which side of a copy failed.
#[derive(Debug)]
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies all of `from` to `to` in one pass and gives the digest and number of the bytes.
pub(super) fn copy_hashing(
    from: &mut impl Read,
    to: &mut impl Write,
) -> Result<(Digest, u64), CopyError> {
    let mut hasher = Hasher::blob();
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), total)),
            Ok(count) => count,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(CopyError::Read(e)),
        };
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(CopyError::Write)?;
        total += count as u64;
    }
}

/// The digest and number of the bytes that `from` gives.
pub(super) fn hash(from: &mut impl Read) -> io::Result<(Digest, u64)> {
    copy_hashing(from, &mut io::sink()).map_err(|e| match e {
        CopyError::Read(e) | CopyError::Write(e) => e,
    })
}

/// Whether the store's file system shares blocks, as far as tried. One refusal for lack of support
/// is enough: a clone never leaves the file system of its source, and a copy is always right.
#[derive(Debug, Default)]
pub(super) struct Reflinks {
    unsupported: AtomicBool,
}

impl Reflinks {
    /// Makes `to` share the blocks of `from` (`ioctl_ficlone(2)`); false where that cannot be.
    pub(super) fn clone_blocks(&self, from: &File, to: &File) -> bool {
        if self.unsupported.load(Ordering::Relaxed) {
            return false;
        }
        let (cloned, unsupported) = ficlone(from, to);
        if unsupported {
            self.unsupported.store(true, Ordering::Relaxed);
        }
        cloned
    }
}

/// Whether it worked, and whether it never will.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ficlone(from: &File, to: &File) -> (bool, bool) {
    use rustix::io::Errno;
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => (true, false),
        Err(e) => (false, matches!(e, Errno::OPNOTSUPP | Errno::NOTTY)),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ficlone(_from: &File, _to: &File) -> (bool, bool) {
    (false, true)
}
