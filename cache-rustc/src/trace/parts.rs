//! The small things events are made of.

use super::log::{FNV_START, fnv};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// An error number of the platform, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub u16);

impl Errno {
    /// Whether the answer was that there is no such file: `ENOENT` (2) or `ENOTDIR` (20).
    #[must_use]
    pub fn is_absent(self) -> bool {
        matches!(self.0, 2 | 20)
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::io::Error::from_raw_os_error(i32::from(self.0)).fmt(f)
    }
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link (only where links are not followed).
    Symlink,
    /// Anything else.
    Other,
}

/// The flags of an open, as Linux numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFlags(pub u32);

/// `O_DIRECTORY` and `O_TMPFILE`'s own bit: open(2), `asm/fcntl.h` of the architecture.
#[cfg(target_arch = "aarch64")]
const O_DIRECTORY: u32 = 0o40_000;
#[cfg(not(target_arch = "aarch64"))]
const O_DIRECTORY: u32 = 0o200_000;
const O_TMPFILE_BIT: u32 = 0o20_000_000;
const O_PATH: u32 = 0o10_000_000;

impl OpenFlags {
    /// Whether content can be read through it. `O_PATH` reads nothing.
    #[must_use]
    pub fn reads(self) -> bool {
        self.0 & 3 != 1 && self.0 & O_PATH == 0
    }
    /// Whether content can be written through it.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self.0 & 3, 1 | 2) && self.0 & O_PATH == 0
    }
    /// `O_CREAT`, or a nameless temporary file in the directory at the path.
    #[must_use]
    pub fn creates(self) -> bool {
        self.0 & (0o100 | O_TMPFILE_BIT) != 0
    }
    /// `O_EXCL` with `O_CREAT`: the file was not there before.
    #[must_use]
    pub fn exclusive(self) -> bool {
        self.0 & 0o300 == 0o300
    }
    /// `O_TRUNC`: former content is gone unread.
    #[must_use]
    pub fn truncates(self) -> bool {
        self.0 & 0o1000 != 0
    }
    /// `O_APPEND`.
    #[must_use]
    pub fn appends(self) -> bool {
        self.0 & 0o2000 != 0
    }
    /// `O_DIRECTORY`.
    #[must_use]
    pub fn wants_directory(self) -> bool {
        self.0 & O_DIRECTORY != 0 && self.0 & O_TMPFILE_BIT == 0
    }
}

/// What the log keeps of a variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueMark {
    /// Its length in bytes, modulo 2³².
    pub len: u32,
    /// Its FNV-1a hash: tells values apart, is no secret and no proof.
    pub hash: u64,
}

impl ValueMark {
    /// The mark of a value.
    #[must_use]
    pub fn of(value: &OsStr) -> Self {
        let bytes = value.as_encoded_bytes();
        let len = u32::try_from(bytes.len() as u64 & 0xffff_ffff).unwrap_or(0);
        ValueMark { len, hash: fnv(FNV_START, bytes) }
    }
    /// Whether the process saw this value. If not, it had set another one itself.
    #[must_use]
    pub fn matches(self, value: &OsStr) -> bool {
        self == Self::of(value)
    }
}

/// Whether a started program carries the tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Injection {
    /// It does, and must report by an [`Event::Started`](super::Event::Started).
    Traced,
    /// It is statically linked.
    Static,
    /// It is run by another dynamic loader (another C library, another word size), or for another machine.
    Foreign,
    /// It could not be read.
    Unreadable,
    /// The starting program set up a tracer of its own for it.
    Nested,
}

/// Who was contacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A socket with an abstract name.
    Abstract(Vec<u8>),
    /// An IPv4 or IPv6 address.
    Ip(std::net::SocketAddr),
    /// A host name that was looked up.
    Name(OsString),
    /// Another address family.
    Other {
        /// Its number, `AF_*`.
        family: u32,
        /// The address without the family.
        address: Vec<u8>,
    },
}

pub(super) fn text(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
    #[cfg(not(unix))]
    return String::from_utf8_lossy(bytes).into_owned().into();
}

/// Families by their Linux numbers; the address is what follows the family in `sockaddr_in`, `_in6`, `_un`.
pub(super) fn peer(family: u32, address: &[u8]) -> Peer {
    match (family, address) {
        (0, name) => Peer::Name(text(name)),
        (1, [b'@', name @ ..]) => Peer::Abstract(name.to_vec()),
        (1, path) => Peer::Unix(text(path).into()),
        (2, [p, q, a, b, c, d, ..]) => {
            Peer::Ip((([*a, *b, *c, *d]), u16::from_be_bytes([*p, *q])).into())
        }
        (10, [p, q, _, _, _, _, rest @ ..]) if rest.len() >= 16 => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&rest[..16]);
            Peer::Ip((ip, u16::from_be_bytes([*p, *q])).into())
        }
        (family, address) => Peer::Other { family, address: address.to_vec() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let v4 = [0x1f, 0x90, 127, 0, 0, 1, 0, 0];
        assert_eq!(peer(2, &v4), Peer::Ip("127.0.0.1:8080".parse().unwrap()));
        let mut v6 = [0u8; 26];
        v6[1] = 80;
        v6[21] = 1;
        assert_eq!(peer(10, &v6), Peer::Ip("[::1]:80".parse().unwrap()));
        assert_eq!(peer(1, b"/run/x"), Peer::Unix("/run/x".into()));
        assert_eq!(peer(1, b"@x"), Peer::Abstract(b"x".to_vec()));
        assert_eq!(peer(2, &[1]), Peer::Other { family: 2, address: vec![1] });
    }

    #[test]
    fn open_flags_say_what_they_mean() {
        assert!(OpenFlags(0).reads() && !OpenFlags(0).writes());
        let append = OpenFlags(1 | 0o2100);
        assert!(
            append.writes()
                && append.appends()
                && append.creates()
                && !append.reads()
                && !append.exclusive()
        );
        let both = OpenFlags(2 | 0o300 | 0o1000);
        assert!(both.reads() && both.writes() && both.exclusive() && both.truncates());
        assert!(!OpenFlags(O_PATH).reads());
        assert!(OpenFlags(O_DIRECTORY).wants_directory());
    }

    #[test]
    fn a_value_is_recognised() {
        let mark = ValueMark::of(OsStr::new("yes"));
        assert!(mark.matches(OsStr::new("yes")));
        assert!(!mark.matches(OsStr::new("no")));
        assert!(!mark.matches(OsStr::new("")));
    }
}
