//! What a traced process did, one [`Event`] per call it made.
//!
//! A process logs the same event (same call, same path, same result) only once in a while, so the *first*
//! occurrence of each is in the trace, and the order of first occurrences is the order of the calls.

use super::log::{Record, kind};
use super::parts::{Errno, FileKind, Injection, OpenFlags, Peer, ValueMark, peer, text};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// An event and the process it happened in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The process.
    pub pid: u32,
    /// What it did.
    pub event: Event,
}

/// One call and its result.
///
/// Paths are absolute: joined to the directory they were relative to, not otherwise changed (`..` and links
/// are as the program wrote them). A path stays relative only if its directory had been deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The process began, or replaced its program.
    Started {
        /// The parent process.
        parent: u32,
        /// The program, as `/proc/self/exe` names it.
        exe: PathBuf,
    },
    /// A file (or directory) was opened.
    Opened {
        /// The path.
        path: PathBuf,
        /// How.
        flags: OpenFlags,
        /// Whether it succeeded.
        result: Result<(), Errno>,
    },
    /// `stat` and its kin.
    Stat {
        /// The path.
        path: PathBuf,
        /// Whether a final symbolic link was followed.
        follow: bool,
        /// What was found.
        result: Result<FileKind, Errno>,
    },
    /// A permission check, `access(2)`, or a search along `PATH` that passed this place by.
    Checked {
        /// The path.
        path: PathBuf,
        /// Whether access is allowed.
        result: Result<(), Errno>,
    },
    /// A directory was opened to be listed.
    Listed {
        /// The directory.
        path: PathBuf,
        /// Whether it could be.
        result: Result<(), Errno>,
    },
    /// `glob`, `ftw`, `nftw` or `fts`: what was looked at below is not told.
    Walked {
        /// The root of the tree, or the pattern.
        path: PathBuf,
    },
    /// A symbolic link was read.
    LinkRead {
        /// The link.
        path: PathBuf,
        /// Its target, possibly cut to the caller's buffer.
        result: Result<PathBuf, Errno>,
    },
    /// A path was resolved, `realpath(3)`.
    Resolved {
        /// The path.
        path: PathBuf,
        /// The result.
        result: Result<PathBuf, Errno>,
    },
    /// An environment variable was read by name.
    EnvRead {
        /// Its name.
        name: OsString,
        /// What was found; `None` if unset.
        value: Option<ValueMark>,
    },
    /// A program is started.
    Exec {
        /// The program, or the script.
        path: PathBuf,
        /// The process it runs in; `None` if the C library did not tell.
        process: Option<u32>,
        /// Whether the tracer went along.
        injected: Injection,
    },
    /// The last [`Event::Exec`] of this process did not happen.
    ExecFailed {
        /// Why.
        errno: Errno,
    },
    /// Another process, here or elsewhere, was contacted.
    Connected {
        /// Who.
        peer: Peer,
        /// Whether it answered (a non-blocking connect gives `EINPROGRESS`).
        result: Result<(), Errno>,
    },
    /// `dlopen` was called.
    DlOpen {
        /// Its argument; a bare name is searched for.
        path: PathBuf,
    },
    /// A shared object is part of the process.
    Loaded {
        /// The object.
        path: PathBuf,
    },
    /// A file was renamed, or exchanged with another.
    Renamed {
        /// The old path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    },
    /// A hard link was made.
    HardLinked {
        /// The existing path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    },
    /// A symbolic link was made.
    Symlinked {
        /// The link.
        path: PathBuf,
        /// Its target, as given.
        target: PathBuf,
    },
    /// A file or an empty directory was removed.
    Removed {
        /// The path.
        path: PathBuf,
    },
    /// A directory was made.
    DirMade {
        /// The path.
        path: PathBuf,
    },
    /// A file was cut or extended by name.
    Truncated {
        /// The path.
        path: PathBuf,
    },
    /// The working directory changed.
    DirChanged {
        /// The new one.
        path: PathBuf,
    },
    /// From here on the process may do what cannot be seen.
    Blind {
        /// The name of the call.
        call: String,
    },
}

impl Event {
    /// The path that this is about, whatever came of it; of two, the one that was there before.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Started { exe: path, .. }
            | Self::Opened { path, .. }
            | Self::Stat { path, .. }
            | Self::Checked { path, .. }
            | Self::Listed { path, .. }
            | Self::Walked { path }
            | Self::LinkRead { path, .. }
            | Self::Resolved { path, .. }
            | Self::Exec { path, .. }
            | Self::DlOpen { path }
            | Self::Loaded { path }
            | Self::Renamed { from: path, .. }
            | Self::HardLinked { from: path, .. }
            | Self::Symlinked { path, .. }
            | Self::Removed { path }
            | Self::DirMade { path }
            | Self::Truncated { path }
            | Self::DirChanged { path } => Some(path),
            Self::EnvRead { .. }
            | Self::ExecFailed { .. }
            | Self::Connected { .. }
            | Self::Blind { .. } => None,
        }
    }

    /// What a record tells; `None` if the record makes no sense.
    pub(super) fn from_record(r: &Record<'_>) -> Option<Self> {
        let path = || PathBuf::from(text(r.path));
        let extra = || PathBuf::from(text(r.extra));
        let result = if r.errno == 0 { Ok(()) } else { Err(Errno(r.errno)) };
        Some(match r.kind {
            kind::START => Event::Started { parent: r.arg, exe: path() },
            kind::OPEN => Event::Opened { path: path(), flags: OpenFlags(r.arg), result },
            kind::STAT => stat(r, path())?,
            kind::ACCESS => Event::Checked { path: path(), result },
            kind::LIST => Event::Listed { path: path(), result },
            kind::WALK => Event::Walked { path: path() },
            kind::READLINK => Event::LinkRead { path: path(), result: result.map(|()| extra()) },
            kind::REALPATH => Event::Resolved { path: path(), result: result.map(|()| extra()) },
            kind::ENV => Event::EnvRead { name: text(r.path), value: value(r)? },
            kind::EXEC => exec(r, path())?,
            kind::EXEC_FAILED => Event::ExecFailed { errno: Errno(r.errno) },
            kind::CONNECT => Event::Connected { peer: peer(r.arg, r.path), result },
            kind::DLOPEN => Event::DlOpen { path: path() },
            kind::LOADED => Event::Loaded { path: path() },
            kind::RENAME => Event::Renamed { from: path(), to: extra() },
            kind::LINK => Event::HardLinked { from: path(), to: extra() },
            kind::SYMLINK => Event::Symlinked { path: path(), target: extra() },
            kind::REMOVE => Event::Removed { path: path() },
            kind::MKDIR => Event::DirMade { path: path() },
            kind::TRUNCATE => Event::Truncated { path: path() },
            kind::CHDIR => Event::DirChanged { path: path() },
            kind::BLIND => Event::Blind { call: String::from_utf8_lossy(r.path).into_owned() },
            _ => return None,
        })
    }
}

fn stat(r: &Record<'_>, path: PathBuf) -> Option<Event> {
    let result = match (r.errno, r.detail & 0x7f) {
        (0, 1) => Ok(FileKind::Regular),
        (0, 2) => Ok(FileKind::Directory),
        (0, 3) => Ok(FileKind::Symlink),
        (0, 4) => Ok(FileKind::Other),
        (0, _) => return None,
        (errno, _) => Err(Errno(errno)),
    };
    Some(Event::Stat { path, follow: r.detail & 0x80 == 0, result })
}

/// The outer `None` is a record that makes no sense, the inner an unset variable.
#[expect(clippy::option_option, reason = "two different absences, used at one place")]
fn value(r: &Record<'_>) -> Option<Option<ValueMark>> {
    if r.errno != 0 {
        return Some(None);
    }
    let hash = u64::from_le_bytes(r.extra.try_into().ok()?);
    Some(Some(ValueMark { len: r.arg, hash }))
}

fn exec(r: &Record<'_>, path: PathBuf) -> Option<Event> {
    let injected = match r.detail {
        0 => Injection::Traced,
        1 => Injection::Static,
        2 => Injection::Foreign,
        3 => Injection::Unreadable,
        4 => Injection::Nested,
        _ => return None,
    };
    Some(Event::Exec { path, process: (r.arg != 0).then_some(r.arg), injected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_record_is_read_without_panic(
            numbers: (u8, u8, u16, u32, u32),
            kind in 0u8..30,
            path in proptest::collection::vec(any::<u8>(), 0..40),
            extra in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let (detail, _, errno, arg, pid) = numbers;
            let r = Record { kind, detail, errno, arg, pid, path: &path, extra: &extra };
            let event = Event::from_record(&r);
            prop_assert!(event.is_none() || (kind::START..=kind::BLIND).contains(&kind));
        }
    }
}
