//! Appending records to the log. The format is documented beside its decoder, `src/trace/log.rs`.
//!
//! The log is held open at a high descriptor number, and before each record `fstat` checks that the
//! number still names the log: a program may have closed it (`closefrom`) and may own that number by now.
//! If it does not, the log is opened by path for that one record and closed again. Nothing is stored
//! then, because the child of a `vfork` would overwrite its parent's state. `fstat` costs a tenth of
//! what the append itself does.
//!
//! A record that cannot be written must not go unnoticed, and what prevents it (no descriptor, no space)
//! also prevents a remark in the log. So the log's *mode* is changed, which needs neither.

use crate::filter::{Fnv, first_time};
use crate::{state, sys};
use core::ffi::c_int;

pub(crate) const START: u8 = 1;
pub(crate) const OPEN: u8 = 2;
pub(crate) const STAT: u8 = 3;
pub(crate) const ACCESS: u8 = 4;
pub(crate) const LIST: u8 = 5;
pub(crate) const WALK: u8 = 6;
pub(crate) const READLINK: u8 = 7;
pub(crate) const REALPATH: u8 = 8;
pub(crate) const ENV: u8 = 9;
pub(crate) const EXEC: u8 = 10;
pub(crate) const EXEC_FAILED: u8 = 11;
pub(crate) const CONNECT: u8 = 12;
pub(crate) const DLOPEN: u8 = 13;
pub(crate) const LOADED: u8 = 14;
pub(crate) const RENAME: u8 = 15;
pub(crate) const LINK: u8 = 16;
pub(crate) const SYMLINK: u8 = 17;
pub(crate) const REMOVE: u8 = 18;
pub(crate) const MKDIR: u8 = 19;
pub(crate) const TRUNCATE: u8 = 20;
pub(crate) const CHDIR: u8 = 21;
pub(crate) const BLIND: u8 = 22;

/// Longest text of one record's field; more is an event that cannot be told.
const MAX_TEXT: usize = 60_000;
/// The log's mode once an event was lost.
const MODE_LOST: u32 = 0o601;

/// One event on its way to the log. `path` is the concatenation of its pieces.
pub(crate) struct Record<'a> {
    pub(crate) kind: u8,
    pub(crate) detail: u8,
    pub(crate) errno: u16,
    pub(crate) arg: u32,
    pub(crate) path: [&'a [u8]; 3],
    pub(crate) extra: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn new(kind: u8, path: [&'a [u8]; 3]) -> Self {
        Record { kind, detail: 0, errno: 0, arg: 0, path, extra: &[] }
    }

    /// Appends the event unless this process has just logged the same.
    pub(crate) fn emit_once(&self) {
        self.emit_if(first_time);
    }

    /// Appends the event.
    pub(crate) fn emit(&self) {
        self.emit_if(|_| true);
    }

    fn emit_if(&self, wanted: impl FnOnce(u64) -> bool) {
        let [p, q, r] = self.path;
        let (a, b) = (p.len() + q.len() + r.len(), self.extra.len());
        if a > MAX_TEXT || b > MAX_TEXT {
            return lost();
        }
        let mut head = [0u8; 32];
        head[4] = self.kind;
        head[5] = self.detail;
        head[6..8].copy_from_slice(&self.errno.to_le_bytes());
        head[8..12].copy_from_slice(&self.arg.to_le_bytes());
        head[12..16].copy_from_slice(&(a as u32).to_le_bytes());
        let hash = Fnv::new().add(&head[4..16]).add(p).add(q).add(r).add(self.extra);
        if !wanted(hash.0) {
            return;
        }
        head[0..4].copy_from_slice(&((32 + a + b) as u32).to_le_bytes());
        head[16..20].copy_from_slice(&(b as u32).to_le_bytes());
        head[20..24].copy_from_slice(&sys::getpid().to_le_bytes());
        let check = hash.add(&head[16..24]).0;
        head[24..32].copy_from_slice(&check.to_le_bytes());
        append(&[&head, p, q, r, self.extra], 32 + a + b);
    }
}

/// One `writev` of one whole record: with `O_APPEND` no other writer's bytes fall in between.
fn append(parts: &[&[u8]; 5], total: usize) {
    let io = parts.map(|p| sys::IoVec { base: p.as_ptr(), len: p.len() });
    let held = held();
    let fd = if held >= 0 {
        held
    } else {
        unsafe { sys::open(state::log_path(), sys::O_WRONLY | sys::O_APPEND) }
    };
    let whole = fd >= 0 && usize::try_from(sys::writev(fd, &io)) == Ok(total);
    if fd >= 0 && held < 0 {
        sys::close(fd);
    }
    if !whole {
        lost();
    }
}

/// The held descriptor if it still names the log, else -1. A log without a name was read and removed by its
/// owner: a process that lives on must not fill it.
fn held() -> c_int {
    let fd = state::log_fd();
    match sys::fstat(fd) {
        Some(st) if st.identity() == state::log_identity() && st.links() > 0 => fd,
        _ => -1,
    }
}

/// Marks the log: at least one event is missing from it.
#[cold]
pub(crate) fn lost() {
    let fd = held();
    if fd < 0 || sys::fchmod(fd, MODE_LOST) != 0 {
        unsafe { sys::chmod(state::log_path(), MODE_LOST) };
    }
}
