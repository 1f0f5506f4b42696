//! The wire format of the trace log.
//!
//! The log starts with [`MAGIC`], written by the session that creates it. Records follow, each appended by
//! one `writev` of a traced process, so records of several processes interleave but never mix. All numbers
//! are little-endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | length of the whole record, 32 + both texts |
//! | 4 | 1 | kind |
//! | 5 | 1 | detail, by kind |
//! | 6 | 2 | error number of the call, 0 if it succeeded |
//! | 8 | 4 | argument, by kind |
//! | 12 | 4 | length of the path |
//! | 16 | 4 | length of the extra text |
//! | 20 | 4 | process that logs |
//! | 24 | 8 | check: FNV-1a (64 bit) of bytes 4–16, path, extra text, bytes 16–24, in this order |
//! | 32 | | path, then extra text |
//!
//! The kinds and what they put in `detail`, argument and extra text are listed at [`kind`].
//!
//! Writer and reader are built together, so there is one version: another [`MAGIC`] is an error.
//!
//! The check catches what a process killed in the middle of a write leaves behind: the part of a record,
//! at the end or with other processes' records after it.

/// First bytes of every log; the last is the version.
pub const MAGIC: [u8; 8] = *b"LTRACE\0\x01";

/// Bytes before the texts of a record.
pub const HEAD: usize = 32;

/// Longest text in a record, in bytes.
pub const MAX_TEXT: usize = 60_000;

/// The record kinds.
pub mod kind {
    /// A traced process began; path: its program, argument: its parent.
    pub const START: u8 = 1;
    /// A file was opened; argument: the open flags.
    pub const OPEN: u8 = 2;
    /// A stat; detail: 1 regular, 2 directory, 3 link, 4 other; 0x80 added if links are not followed.
    pub const STAT: u8 = 3;
    /// A permission check.
    pub const ACCESS: u8 = 4;
    /// A directory was opened to be listed.
    pub const LIST: u8 = 5;
    /// A tree was walked or a pattern matched inside the C library.
    pub const WALK: u8 = 6;
    /// A link was read; extra: its target.
    pub const READLINK: u8 = 7;
    /// A path was resolved; extra: the result.
    pub const REALPATH: u8 = 8;
    /// A variable was read; path: its name, argument: length of the value, extra: FNV-1a of the value.
    /// Detail: how often `dlopen` was called before, modulo 256 (no part of the event).
    pub const ENV: u8 = 9;
    /// A program is started; argument: its process (0: not known), detail: whether the tracer goes along.
    pub const EXEC: u8 = 10;
    /// The last `EXEC` of this process did not happen.
    pub const EXEC_FAILED: u8 = 11;
    /// A peer was contacted; argument: address family, path: address.
    pub const CONNECT: u8 = 12;
    /// `dlopen` was called; path: its argument, absolute if it has a slash.
    pub const DLOPEN: u8 = 13;
    /// A shared object is part of the process.
    pub const LOADED: u8 = 14;
    /// A file was renamed; extra: the new path.
    pub const RENAME: u8 = 15;
    /// A hard link was made; extra: the new path.
    pub const LINK: u8 = 16;
    /// A symbolic link was made at path; extra: its target.
    pub const SYMLINK: u8 = 17;
    /// A file or directory was removed.
    pub const REMOVE: u8 = 18;
    /// A directory was made.
    pub const MKDIR: u8 = 19;
    /// A file was cut or extended by name.
    pub const TRUNCATE: u8 = 20;
    /// The working directory changed.
    pub const CHDIR: u8 = 21;
    /// From here on not everything can be seen; path: why.
    pub const BLIND: u8 = 22;
}

/// One record as it lies in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// One of [`kind`].
    pub kind: u8,
    /// Meaning depends on the kind.
    pub detail: u8,
    /// Error number of the call, 0 if it succeeded.
    pub errno: u16,
    /// Meaning depends on the kind.
    pub arg: u32,
    /// The process that logged it.
    pub pid: u32,
    /// A path, or what the kind says.
    pub path: &'a [u8],
    /// A second path, or what the kind says.
    pub extra: &'a [u8],
}

impl Record<'_> {
    /// Appends the record to `log`. Texts longer than [`MAX_TEXT`] are cut.
    pub fn encode(&self, log: &mut Vec<u8>) {
        let path = self.path.get(..MAX_TEXT).unwrap_or(self.path);
        let extra = self.extra.get(..MAX_TEXT).unwrap_or(self.extra);
        let mut head = [0; HEAD];
        head[0..4].copy_from_slice(&len32(HEAD + path.len() + extra.len()));
        head[4] = self.kind;
        head[5] = self.detail;
        head[6..8].copy_from_slice(&self.errno.to_le_bytes());
        head[8..12].copy_from_slice(&self.arg.to_le_bytes());
        head[12..16].copy_from_slice(&len32(path.len()));
        head[16..20].copy_from_slice(&len32(extra.len()));
        head[20..24].copy_from_slice(&self.pid.to_le_bytes());
        let check = check(&head, path, extra);
        head[24..32].copy_from_slice(&check.to_le_bytes());
        log.extend_from_slice(&head);
        log.extend_from_slice(path);
        log.extend_from_slice(extra);
    }
}

/// Texts are cut at [`MAX_TEXT`], so lengths fit.
fn len32(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

fn check(head: &[u8; HEAD], path: &[u8], extra: &[u8]) -> u64 {
    let h = fnv(FNV_START, &head[4..16]);
    fnv(fnv(fnv(h, path), extra), &head[16..24])
}

pub(super) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues an FNV-1a hash of 64 bits.
pub(super) fn fnv(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The file does not begin with [`MAGIC`].
    #[error("not a trace log of this version")]
    Header,
    /// The last record is incomplete: its process was probably killed while writing it.
    #[error("the last record, at byte {offset}, is cut short")]
    Truncated {
        /// Where the record begins.
        offset: usize,
    },
    /// What stands at `offset` is no record.
    #[error("no valid record at byte {offset}")]
    Torn {
        /// Where a record should begin.
        offset: usize,
    },
}

/// The records of a log, in order. Ends after the first error. Borrows from the input, allocates nothing.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    log: &'a [u8],
    at: usize,
}

/// Reads a log.
///
/// # Errors
/// [`LogError::Header`] if it does not begin with [`MAGIC`]; the iterator gives the other errors.
pub fn records(log: &[u8]) -> Result<Records<'_>, LogError> {
    if log.starts_with(&MAGIC) {
        Ok(Records { log, at: MAGIC.len() })
    } else {
        Err(LogError::Header)
    }
}

impl Records<'_> {
    /// Where the next record begins.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.log.get(self.at..).filter(|rest| !rest.is_empty())?;
        match parse(rest, self.at) {
            Ok((record, len)) => {
                self.at += len;
                Some(Ok(record))
            }
            Err(e) => {
                self.at = self.log.len();
                Some(Err(e))
            }
        }
    }
}

fn parse(rest: &[u8], offset: usize) -> Result<(Record<'_>, usize), LogError> {
    let cut = LogError::Truncated { offset };
    let torn = LogError::Torn { offset };
    let (head, texts) = rest.split_first_chunk::<HEAD>().ok_or(cut.clone())?;
    let word = |at: usize| {
        let mut w = [0; 4];
        w.copy_from_slice(&head[at..at + 4]);
        u32::from_le_bytes(w)
    };
    let size = |at: usize| usize::try_from(word(at)).ok().filter(|&n| n <= MAX_TEXT);
    let (Some(path_len), Some(extra_len)) = (size(12), size(16)) else { return Err(torn) };
    let len = HEAD + path_len + extra_len;
    if usize::try_from(word(0)) != Ok(len) {
        return Err(torn);
    }
    let path = texts.get(..path_len).ok_or(cut.clone())?;
    let extra = texts.get(path_len..path_len + extra_len).ok_or(cut)?;
    let (_, sum) = head.split_at(24);
    if sum != check(head, path, extra).to_le_bytes() {
        return Err(torn);
    }
    let errno = u16::from_le_bytes([head[6], head[7]]);
    let record =
        Record { kind: head[4], detail: head[5], errno, arg: word(8), pid: word(20), path, extra };
    Ok((record, len))
}

#[cfg(test)]
mod tests;
