//! Small files that remember an answer: checksummed, written atomically, never needed.
//!
//! Layout: 8 bytes of magic (kind and version), 32 bytes BLAKE3 of the payload, the payload. A
//! file that is not exactly that is as good as absent.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::Digest;

/// Kind and layout version of a memo.
pub(super) type Magic = [u8; 8];

const HEADER: usize = 8 + Digest::LEN;
/// Larger files are not read: no honest memo comes near.
const MAX_LEN: u64 = 16 << 20;

/// The payload of the memo at `path`, if it is whole and of this kind.
pub(super) fn read(path: &Path, magic: &Magic) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 << 10);
    fs::File::open(path).ok()?.take(MAX_LEN).read_to_end(&mut bytes).ok()?;
    let payload = bytes.get(HEADER..)?;
    let whole = bytes.starts_with(magic) && bytes[8..HEADER] == *Digest::of(payload).as_bytes();
    whole.then(|| bytes.split_off(HEADER))
}

/// Writes a memo. Failing is not an error: the answer is found again next time.
pub(super) fn write(path: &Path, magic: &Magic, payload: &[u8]) {
    let _ = try_write(path, magic, payload);
}

fn try_write(path: &Path, magic: &Magic, payload: &[u8]) -> std::io::Result<()> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(magic);
    bytes.extend_from_slice(Digest::of(payload).as_bytes());
    bytes.extend_from_slice(payload);
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.{unique}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    fs::write(&temporary, &bytes).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// Builds a payload: fixed-size values as they are, texts with a `u32` length in front.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// A number, little-endian. Counts and lengths here are far below `u32::MAX`.
    pub(super) fn count(&mut self, n: usize) {
        self.0.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
    }

    /// Bytes with their length in front.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// A path, as its bytes.
    pub(super) fn path(&mut self, path: &Path) {
        self.bytes(path.as_os_str().as_bytes());
    }

    /// Bytes of a length known to the reader.
    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Reads what [`Writer`] wrote; every method is `None` past the end.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn count(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(*self.fixed()?) as usize)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.count()?;
        self.take(n)
    }

    pub(super) fn path(&mut self) -> Option<PathBuf> {
        Some(PathBuf::from(OsStr::from_bytes(self.bytes()?)))
    }

    pub(super) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}
