//! What an identity was computed from, kept so that a few `stat`s tell whether it still holds.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{Digest, Hasher};
use rustix::fs::{Mode, OFlags};

use super::files::{Listing, Part, Source};
use super::memo::{Magic, Reader, Writer};
use super::stamp::Stamp;
use super::{Error, Identity};

/// Kind and version of the memo. Payload: host, release, commit (empty when unknown), `-vV`
/// text, the two digests; the watched paths, each with a byte that says whether it was there and
/// its stamp; the files, each with its part, label, path, stamp and digest.
pub(super) const MAGIC: Magic = *b"lrdTCID1";

/// A file as it was when it was digested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) source: Source,
    pub(super) stamp: Stamp,
    pub(super) digest: Digest,
}

/// An identity with all it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) identity: Identity,
    pub(super) watched: Vec<(PathBuf, Option<Stamp>)>,
    pub(super) files: Vec<Entry>,
}

/// What `rustc -vV` told.
pub(super) struct Version {
    pub(super) host: String,
    pub(super) release: String,
    pub(super) commit: Option<String>,
    pub(super) verbose: String,
}

impl Snapshot {
    /// Whether nothing moved since: one `stat` for each file and directory.
    pub(super) fn holds(&self) -> bool {
        self.watched.iter().all(|(path, stamp)| Stamp::of(path).is_ok_and(|now| now == *stamp))
            && self.files_hold().unwrap_or(false)
    }

    /// `None` when a directory is gone. Files of one directory follow each other in the list.
    fn files_hold(&self) -> Option<bool> {
        let mut dir: Option<(&[u8], OwnedFd)> = None;
        for file in &self.files {
            let path = file.source.path.as_os_str().as_bytes();
            let (parent, name) = path.split_at(memchr::memrchr(b'/', path)? + 1);
            let open = match dir.take() {
                Some(open) if open.0 == parent => open,
                _ => (parent, open_directory(parent)?),
            };
            if Stamp::at(&open.1, name) != Some(file.stamp) {
                return Some(false);
            }
            dir = Some(open);
        }
        Some(true)
    }

    /// Digests what `listing` names. Digests of files that did not move since `old` are taken
    /// from there. `listing` was made while `watched` held.
    pub(super) fn take(
        version: Version,
        listing: Listing,
        watched: Vec<(PathBuf, Option<Stamp>)>,
        old: Option<&Self>,
    ) -> Result<Self, Error> {
        let files = digest_all(listing.files, old)?;
        let identity = Identity {
            digest: fold(&files, Part::Compiler),
            linkers: fold(&files, Part::Linkers),
            host: version.host,
            release: version.release,
            commit: version.commit,
            verbose: version.verbose,
        };
        let snapshot = Self { identity, watched, files };
        if snapshot.holds() { Ok(snapshot) } else { Err(snapshot.moved()) }
    }

    fn moved(&self) -> Error {
        let files = self.files.iter().map(|file| (&file.source.path, Some(file.stamp)));
        let mut all = files.chain(self.watched.iter().map(|(path, stamp)| (path, *stamp)));
        let moved = all.find(|(path, stamp)| Stamp::of(path).ok().flatten() != *stamp);
        Error::Changed { path: moved.map_or_else(PathBuf::new, |(path, _)| path.clone()) }
    }

    /// Whether a change just now might have left a stamp as it is; then nothing is remembered.
    pub(super) fn is_young(&self) -> bool {
        self.files.iter().any(|file| file.stamp.is_young())
            || self.watched.iter().any(|(_, stamp)| stamp.is_some_and(|stamp| stamp.is_young()))
    }

    /// The payload of a memo.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let identity = &self.identity;
        for text in
            [&identity.host, &identity.release, identity.commit.as_ref().unwrap_or(&String::new())]
        {
            out.bytes(text.as_bytes());
        }
        out.bytes(identity.verbose.as_bytes());
        out.fixed(identity.digest.as_bytes());
        out.fixed(identity.linkers.as_bytes());
        out.count(self.watched.len());
        for (path, stamp) in &self.watched {
            out.path(path);
            out.fixed(&[u8::from(stamp.is_some())]);
            out.fixed(&stamp.map_or([0; Stamp::LEN], Stamp::to_bytes));
        }
        out.count(self.files.len());
        for file in &self.files {
            out.fixed(&[u8::from(file.source.part == Part::Linkers)]);
            out.bytes(&file.source.label);
            out.path(&file.source.path);
            out.fixed(&file.stamp.to_bytes());
            out.fixed(file.digest.as_bytes());
        }
        out.0
    }

    /// Reads a payload; `None` when it is not one.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let input = &mut Reader(payload);
        let (host, release, commit) = (input.text()?, input.text()?, input.text()?);
        let verbose = input.text()?;
        let (digest, linkers) = (read_digest(input)?, read_digest(input)?);
        let commit = Some(commit).filter(|commit| !commit.is_empty());
        let identity = Identity { digest, linkers, host, release, commit, verbose };
        let mut watched = Vec::new();
        for _ in 0..input.count()? {
            let path = input.path()?;
            let [present] = *input.fixed::<1>()?;
            let stamp = Stamp::from_bytes(input.fixed()?);
            watched.push((path, (present == 1).then_some(stamp)));
        }
        let mut files = Vec::new();
        for _ in 0..input.count()? {
            let part = if *input.fixed::<1>()? == [1] { Part::Linkers } else { Part::Compiler };
            let source = Source { part, label: input.bytes()?.to_vec(), path: input.path()? };
            files.push(Entry {
                source,
                stamp: Stamp::from_bytes(input.fixed()?),
                digest: read_digest(input)?,
            });
        }
        input.0.is_empty().then_some(Self { identity, watched, files })
    }
}

fn open_directory(path: &[u8]) -> Option<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

fn read_digest(input: &mut Reader<'_>) -> Option<Digest> {
    Some(Digest::from_bytes(*input.fixed()?))
}

/// One digest over labels and contents; neither place nor time is in it.
fn fold(files: &[Entry], part: Part) -> Digest {
    let mut hasher = Hasher::keyed("larder 2026 toolchain identity v1");
    for file in files.iter().filter(|file| file.source.part == part) {
        hasher.field(&file.source.label).field(file.digest.as_bytes());
    }
    hasher.finish()
}

/// Digests files on a few threads, in the order of the list.
fn digest_all(sources: Vec<Source>, old: Option<&Snapshot>) -> Result<Vec<Entry>, Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Stamp, Digest)>, Error> {
        let mut done = Vec::new();
        let mut buffer = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = sources.get(index) else { return Ok(done) };
            let (stamp, digest) = digest_one(&source.path, old, &mut buffer)?;
            done.push((index, stamp, digest));
        }
    };
    let results =
        std::thread::scope(|scope| {
            let handles: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut results = vec![work()];
            results.extend(handles.into_iter().map(|handle| {
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }));
            results
        });
    let mut done = results.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    done.sort_unstable_by_key(|(index, ..)| *index);
    let entry = |(source, (_, stamp, digest))| Entry { source, stamp, digest };
    Ok(sources.into_iter().zip(done).map(entry).collect())
}

fn digest_one(
    path: &Path,
    old: Option<&Snapshot>,
    buffer: &mut Vec<u8>,
) -> Result<(Stamp, Digest), Error> {
    let gone = || Error::Changed { path: path.to_owned() };
    let stamp = Stamp::of(path)?.ok_or_else(gone)?;
    let known = old.and_then(|old| {
        old.files.iter().find(|file| file.source.path == path && file.stamp == stamp)
    });
    if let Some(known) = known {
        return Ok((stamp, known.digest));
    }
    buffer.resize(1 << 20, 0);
    let failed = |error| Error::io(path, error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut hasher = Hasher::blob();
    loop {
        match file.read(buffer).map_err(failed)? {
            0 => return Ok((stamp, hasher.finish())),
            n => hasher.update(&buffer[..n]),
        };
    }
}
