//! The digest memo: stamps of files whose digests are known.
//!
//! One file of fixed size, `memo-v1`, that any number of processes read and write with no lock.
//! It is a hash table of buckets; a look-up is one pread(2), an insertion one more pwrite(2). It
//! may forget anything at any time and must never say anything false.
//!
//! # Layout
//!
//! 8192 buckets of 16 slots of 64 bytes, 8 MiB in all, sparse until used. All zero is empty.
//!
//! | bytes | field                                                                |
//! |-------|----------------------------------------------------------------------|
//! | 16    | tag: first half of the keyed BLAKE3 digest of the stamp, see below   |
//! | 32    | digest of the file                                                   |
//! | 8     | when it was written, in seconds since 1970; the oldest slot goes first |
//! | 8     | checksum: first bytes of the BLAKE3 digest of the 56 before          |
//!
//! Two writers may overwrite each other's slots; a torn slot has a wrong checksum and is empty.
//!
//! # Stamps
//!
//! - Of any file: device, inode, size, mtime and **ctime**. mtime alone would not do: cargo
//!   unpacks every registry source with one and the same mtime, and file systems use inode numbers
//!   again, so that another version of a crate may well have the old one's inode, size and mtime.
//!   Nobody can set ctime.
//! - Of a blob of this store, under whatever name: the same **without ctime**, which moves
//!   whenever the blob is linked into, or removed from, a target directory. Blobs are made by the
//!   store, readable by all and writable by none, with the mtime that the compiler's write gave.
//!   A file anywhere is looked up so, too, if it has several links and no write permission.
//! - Both with the identity of this boot of the machine: after a power cut, the memo may have
//!   reached the disk when a blob's bytes have not, and device numbers may be dealt anew. Where the
//!   boot cannot be told, nothing is remembered.
//!
//! # Young files
//!
//! A file that changes twice within one tick of the clock may keep its stamp. So what was learnt
//! by reading is remembered only if the file was last changed more than a tick before the read
//! began; with more caution on file systems with whole seconds or with a server's clock. Its
//! producer, who knows that it is finished, may have it remembered at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use cache_core::{Digest, Hasher};

use super::copy;
use super::layout::Layout;
use super::stamp::{Stamp, is_remote};

const SLOT: usize = 64;
const SLOTS: usize = 16;
const BUCKET: usize = SLOT * SLOTS;
const BUCKETS: u64 = 8192;
const CONTEXT: &str = "larder 2026-11 digest memo v1";

/// The digest memo of a store: digests of files whose stamp (device, inode, size, mtime, ctime) is
/// known, for this boot of the machine. Shared by all processes without locks; it may forget
/// anything at any time.
#[derive(Debug)]
pub struct MemoTable {
    layout: Layout,
    writable: bool,
    file: OnceLock<File>,
}

/// Which of the two kinds of stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    File,
    Blob,
}

/// Where a stamp belongs in the table.
struct Place {
    tag: [u8; 16],
    bucket: u64,
}

impl MemoTable {
    pub(super) fn new(layout: Layout, writable: bool) -> Self {
        Self { layout, writable, file: OnceLock::new() }
    }

    /// The digest of a regular file: remembered, or else read and, if the file is old enough,
    /// remembered.
    ///
    /// # Errors
    /// What opening or reading says; `InvalidInput` for what is no regular file (reading a pipe
    /// would wait, reading a device may never end).
    pub fn digest_file(&self, path: &Path) -> io::Result<Digest> {
        let meta = fs::metadata(path)?;
        if !meta.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        self.find(&Stamp::of(&meta)).map_or_else(|| self.read_file(path), Ok)
    }

    /// Remembers the digest of a file for its producer.
    pub fn remember(&self, path: &Path, digest: &Digest) {
        if let Ok(meta) = fs::metadata(path)
            && meta.is_file()
        {
            self.remember_file(&Stamp::of(&meta), digest);
        }
    }

    /// Forgets everything, for all processes.
    pub fn clear(&self) {
        if self.writable
            && let Some(file) = self.file(false)
        {
            let _ = file.set_len(0);
        }
    }

    /// The digest of the file of this stamp, if known.
    pub(super) fn find(&self, stamp: &Stamp) -> Option<Digest> {
        self.look_up(Kind::File, stamp)
            .or_else(|| stamp.shared.then(|| self.look_up(Kind::Blob, stamp)).flatten())
    }

    pub(super) fn remember_file(&self, stamp: &Stamp, digest: &Digest) {
        self.insert(Kind::File, stamp, digest);
    }

    /// Whether the blob of this stamp was found to have these bytes.
    pub(super) fn vouches_for_blob(&self, stamp: &Stamp, digest: &Digest) -> bool {
        self.look_up(Kind::Blob, stamp).as_ref() == Some(digest)
    }

    pub(super) fn remember_blob(&self, stamp: &Stamp, digest: &Digest) {
        self.insert(Kind::Blob, stamp, digest);
    }

    fn read_file(&self, path: &Path) -> io::Result<Digest> {
        let (digest, settled) = digest_of(path)?;
        if let Some(stamp) = settled {
            self.remember_file(&stamp, &digest);
        }
        Ok(digest)
    }

    fn look_up(&self, kind: Kind, stamp: &Stamp) -> Option<Digest> {
        let place = place(kind, stamp)?;
        let mut bucket = [0; BUCKET];
        self.read_bucket(&place, &mut bucket)?;
        bucket
            .chunks_exact(SLOT)
            .find_map(|slot| (slot[..16] == place.tag && is_whole(slot)).then(|| digest_in(slot)))
    }

    fn insert(&self, kind: Kind, stamp: &Stamp, digest: &Digest) {
        if !self.writable {
            return;
        }
        let Some(place) = place(kind, stamp) else { return };
        let Some(file) = self.file(true) else { return };
        let mut bucket = [0; BUCKET];
        let _ = read_at(file, &mut bucket, place.bucket * BUCKET as u64);
        let mut victim = (u64::MAX, 0);
        for (index, slot) in bucket.chunks_exact(SLOT).enumerate() {
            let whole = is_whole(slot);
            if whole && slot[..16] == place.tag {
                if digest_in(slot) == *digest {
                    return;
                }
                victim = (0, index);
                break;
            }
            let age = if whole { written_at(slot) } else { 0 };
            if age < victim.0 {
                victim = (age, index);
            }
        }
        let at = place.bucket * BUCKET as u64 + (victim.1 * SLOT) as u64;
        // Lost on a full disk, as anything here may be.
        let _ = file.write_all_at(&encode(&place.tag, digest), at);
    }

    fn read_bucket(&self, place: &Place, bucket: &mut [u8; BUCKET]) -> Option<()> {
        read_at(self.file(false)?, bucket, place.bucket * BUCKET as u64).ok()
    }

    /// The open table; made when `create` and it is missing.
    fn file(&self, create: bool) -> Option<&File> {
        if let Some(file) = self.file.get() {
            return Some(file);
        }
        let path = self.layout.memo();
        let open = |create: bool| {
            OpenOptions::new()
                .read(true)
                .write(self.writable)
                .create(create)
                .truncate(false)
                .open(&path)
        };
        let file = match open(false) {
            Ok(file) => file,
            Err(_) if create => self.make(&path, || open(true)).ok()?,
            Err(_) => return None,
        };
        Some(self.file.get_or_init(|| file))
    }

    fn make(&self, path: &Path, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
        if path.is_dir() {
            self.layout.set_aside(path)?;
        }
        self.layout.making(path, open)
    }
}

/// Names a file's stamp in this boot of the machine; `None` where the boot cannot be told.
#[cfg(feature = "redb")]
pub(crate) fn file_tag(stamp: &Stamp) -> Option<[u8; 16]> {
    place(Kind::File, stamp).map(|place| place.tag)
}

/// Reads a regular file, and gives its stamp if that may be remembered.
pub(crate) fn digest_of(path: &Path) -> io::Result<(Digest, Option<Stamp>)> {
    let mut file = File::open(path)?;
    let began = SystemTime::now();
    let before = Stamp::of(&file.metadata()?);
    let (digest, size) = copy::hash(&mut file)?;
    let after = Stamp::of(&file.metadata()?);
    let settled =
        before == after && size == before.size && after.is_settled(began, is_remote(&file));
    Ok((digest, settled.then_some(after)))
}

fn place(kind: Kind, stamp: &Stamp) -> Option<Place> {
    static BOOT: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let boot = BOOT.get_or_init(boot_identity).as_deref()?;
    let mut hasher = Hasher::keyed(CONTEXT);
    let mut bytes = [0; 57];
    let numbers = [
        stamp.dev.to_le_bytes(),
        stamp.ino.to_le_bytes(),
        stamp.size.to_le_bytes(),
        stamp.mtime.0.to_le_bytes(),
        stamp.mtime.1.to_le_bytes(),
        if kind == Kind::File { stamp.ctime.0.to_le_bytes() } else { [0; 8] },
        if kind == Kind::File { stamp.ctime.1.to_le_bytes() } else { [0; 8] },
    ];
    bytes[0] = u8::from(kind == Kind::Blob);
    for (to, number) in bytes[1..].chunks_exact_mut(8).zip(numbers) {
        to.copy_from_slice(&number);
    }
    hasher.update(&bytes).update(boot);
    let digest = hasher.finish();
    let (tag, rest) = digest.as_bytes().split_first_chunk::<16>()?;
    let bucket = u64::from_le_bytes(*rest.first_chunk()?) % BUCKETS;
    Some(Place { tag: *tag, bucket })
}

/// Reads as much as there is; the rest stays zero.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn encode(tag: &[u8; 16], digest: &Digest) -> [u8; SLOT] {
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs().max(1));
    let mut slot = [0; SLOT];
    slot[..16].copy_from_slice(tag);
    slot[16..48].copy_from_slice(digest.as_bytes());
    slot[48..56].copy_from_slice(&now.to_le_bytes());
    let sum = checksum(&slot[..56]);
    slot[56..].copy_from_slice(&sum);
    slot
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&Digest::of(bytes).as_bytes()[..8]);
    sum
}

fn is_whole(slot: &[u8]) -> bool {
    slot[56..] != [0; 8] && checksum(&slot[..56]) == slot[56..]
}

fn digest_in(slot: &[u8]) -> Digest {
    let mut bytes = [0; Digest::LEN];
    bytes.copy_from_slice(&slot[16..48]);
    Digest::from_bytes(bytes)
}

fn written_at(slot: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&slot[48..56]);
    u64::from_le_bytes(bytes)
}

/// `boot_id`: random(4).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_identity() -> Option<Vec<u8>> {
    fs::read("/proc/sys/kernel/random/boot_id").ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_identity() -> Option<Vec<u8>> {
    None
}
