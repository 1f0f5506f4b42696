//! Whether a program about to be started can carry the tracer.
//!
//! A preload only works, and is only harmless, in a program run by the very dynamic loader this object was
//! loaded by: a static program ignores it, another C library's loader would die on it, and a loader of
//! another word size complains on standard error.

use crate::{state, sys};
use core::ffi::{c_char, c_int};

/// What an EXEC record says in `detail`.
pub(crate) const TRACED: u8 = 0;
pub(crate) const STATIC: u8 = 1;
pub(crate) const FOREIGN: u8 = 2;
pub(crate) const UNREADABLE: u8 = 3;
pub(crate) const NESTED: u8 = 4;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// How deep the kernel follows `#!` lines (`exec_binprm`, fs/exec.c).
const SCRIPTS: u8 = 5;
const HEAD: usize = 1024;

/// Judges the program at `path`. A path that does not exist is fine: starting it will fail by itself.
pub(crate) unsafe fn judge(path: *const c_char) -> u8 {
    unsafe { judge_at(path, SCRIPTS) }
}

#[inline(never)]
unsafe fn judge_at(path: *const c_char, depth: u8) -> u8 {
    let fd = unsafe { sys::open(path, 0) };
    if fd < 0 {
        return if fd == -13 { UNREADABLE } else { TRACED };
    }
    let mut next = [0u8; 257];
    let verdict = judge_file(fd, &mut next);
    sys::close(fd);
    match verdict {
        Verdict::Is(what) => what,
        Verdict::Script if depth == 0 => UNREADABLE,
        Verdict::Script => unsafe { judge_at(next.as_ptr().cast(), depth - 1) },
    }
}

/// Judges an open program.
pub(crate) fn judge_descriptor(fd: c_int) -> u8 {
    let mut next = [0u8; 257];
    match judge_file(fd, &mut next) {
        Verdict::Is(what) => what,
        Verdict::Script => unsafe { judge_at(next.as_ptr().cast(), SCRIPTS) },
    }
}

enum Verdict {
    Is(u8),
    /// A script; its interpreter's path is in the buffer.
    Script,
}

fn judge_file(fd: c_int, next: &mut [u8; 257]) -> Verdict {
    let mut head = [0u8; HEAD];
    let n = sys::pread(fd, &mut head, 0);
    let head = head.get(..n).unwrap_or(&[]);
    if let Some(line) = head.strip_prefix(b"#!") {
        return if script(line, next) { Verdict::Script } else { Verdict::Is(UNREADABLE) };
    }
    if !head.starts_with(b"\x7fELF") {
        // No format the kernel knows; the exec fails, or a shell takes it as a script.
        next[..8].copy_from_slice(b"/bin/sh\0");
        return Verdict::Script;
    }
    Verdict::Is(elf(fd, head, next).unwrap_or(UNREADABLE))
}

/// Copies the interpreter of a `#!` line.
fn script(line: &[u8], next: &mut [u8; 257]) -> bool {
    let word = line
        .iter()
        .skip_while(|&&b| b == b' ' || b == b'\t')
        .take_while(|&&b| !matches!(b, b' ' | b'\t' | b'\n' | 0));
    let mut n = 0;
    for (to, from) in next.iter_mut().take(256).zip(word) {
        *to = *from;
        n += 1;
    }
    if let Some(end) = next.get_mut(n) {
        *end = 0;
    }
    n > 0 && n < 256
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(b.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(b.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(b.get(at..at + 8)?.try_into().ok()?))
}

/// Reads the ELF header and program headers (elf(5)); `None` when they make no sense.
fn elf(fd: c_int, head: &[u8], text: &mut [u8; 257]) -> Option<u8> {
    // 64 bits, little-endian, this machine
    if head.get(4..6)? != [2, 1] || u16_at(head, 18)? != MACHINE {
        return Some(FOREIGN);
    }
    let (table, size, count) = (u64_at(head, 32)?, u16_at(head, 54)?, u16_at(head, 56)?);
    if size != 56 {
        return None;
    }
    for i in 0..u64::from(count.min(256)) {
        let mut entry = [0u8; 56];
        let at = table.checked_add(i * 56)?;
        match usize::try_from(at).ok().and_then(|at| head.get(at..at.checked_add(56)?)) {
            Some(bytes) => entry.copy_from_slice(bytes),
            None if sys::pread(fd, &mut entry, at) == 56 => {}
            None => return None,
        }
        if u32_at(&entry, 0)? == 3 {
            let len = usize::try_from(u64_at(&entry, 32)?).ok()?;
            let into = text.get_mut(..len.min(256))?;
            let n = sys::pread(fd, into, u64_at(&entry, 8)?);
            *text.get_mut(n)? = 0;
            return Some(if same_loader(text.as_ptr().cast()) { TRACED } else { FOREIGN });
        }
    }
    Some(STATIC)
}

fn same_loader(theirs: *const c_char) -> bool {
    let ours = state::interpreter();
    unsafe {
        if sys::bytes(theirs) == sys::bytes(ours) {
            return true;
        }
        match (sys::stat(theirs), sys::stat(ours)) {
            (Some(a), Some(b)) => a.identity() == b.identity(),
            _ => false,
        }
    }
}
