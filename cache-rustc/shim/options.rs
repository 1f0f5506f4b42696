//! Options that C compilers are given besides their own, so that what they write names no place.
//!
//! They are in a file beside the log (`cache-rustc/src/trace/session.rs`): NUL-terminated options, each
//! behind a byte that says for whom it is. They are put before the tool's own options, which win that way.
//! GCC's driver runs `cc1` for C and `cc1plus` for C++, then `as`; they know these options since GCC 8
//! ("-ffile-prefix-map", GCC 8 release notes) and binutils 2.19 ("--debug-prefix-map").

use crate::{path, state, sys};
use core::ffi::{c_char, c_int};

type Str = *const c_char;
type Strs = *const *const c_char;

const COMPILER: u8 = b'c';
const ASSEMBLER: u8 = b'a';
/// Longest file of options that is read, in bytes.
const FILE: usize = 8192;
/// Arguments for which no memory has to be asked for.
const ON_STACK: usize = 512;
const MAX_OPTIONS: usize = 16;

/// Calls `then` with the arguments that `program` is to get.
pub(crate) unsafe fn with<R>(program: Str, args: Strs, then: impl FnOnce(Strs) -> R) -> R {
    match unsafe { reader(sys::bytes(program)) } {
        Some(who) if !args.is_null() && !unsafe { *args }.is_null() => unsafe {
            with_more(who, args, then)
        },
        _ => then(args),
    }
}

/// For whom among the options a program is.
fn reader(program: &[u8]) -> Option<u8> {
    let mut parts = program.rsplit(|&b| b == b'/');
    let name = parts.next()?;
    match name {
        b"cc1" | b"cc1plus" => {
            // `…/gcc/<machine>/<version>/cc1`
            let version = parts.next()?.split(|&b| b == b'.').next()?;
            let new = version.len() > 1 || matches!(version, b"8" | b"9");
            (new && version.iter().all(u8::is_ascii_digit)).then_some(COMPILER)
        }
        b"as" => Some(ASSEMBLER),
        _ => name.ends_with(b"-as").then_some(ASSEMBLER),
    }
}

#[inline(never)]
unsafe fn with_more<R>(who: u8, args: Strs, then: impl FnOnce(Strs) -> R) -> R {
    let mut text = [0u8; FILE];
    let mut more: [Str; MAX_OPTIONS] = [core::ptr::null(); MAX_OPTIONS];
    let count = load(&mut text, who, &mut more);
    unsafe {
        let mut given = 0;
        while !(*args.add(given)).is_null() {
            given += 1;
        }
        let words = given + count + 1;
        let mut stack: [Str; ON_STACK] = [core::ptr::null(); ON_STACK];
        let mapped = words > ON_STACK;
        let table: *mut Str = if mapped { sys::map(words * 8).cast() } else { stack.as_mut_ptr() };
        if count == 0 || table.is_null() {
            return then(args);
        }
        *table = *args;
        for (i, option) in more.iter().take(count).enumerate() {
            *table.add(1 + i) = *option;
        }
        for i in 1..=given {
            *table.add(count + i) = *args.add(i);
        }
        let r = then(table);
        if mapped {
            sys::unmap(table.cast(), words * 8);
        }
        r
    }
}

/// Reads the options for `who` into `text` and points `more` at them; gives their number, 0 unless all fit.
fn load(text: &mut [u8; FILE], who: u8, more: &mut [Str; MAX_OPTIONS]) -> usize {
    let fd = open();
    if fd < 0 {
        return 0;
    }
    let read = sys::pread(fd, text, 0);
    sys::close(fd);
    if read == FILE {
        return 0;
    }
    let (mut count, mut at) = (0, 0);
    for option in text[..read].split_inclusive(|&b| b == 0) {
        let whole = option.len() > 2 && option.ends_with(&[0]);
        if whole && option[0] == who {
            let Some(slot) = more.get_mut(count) else { return 0 };
            *slot = text[at + 1..].as_ptr().cast();
            count += 1;
        }
        at += option.len();
    }
    count
}

fn open() -> c_int {
    let mut name = [0u8; path::MAX];
    let log = unsafe { sys::bytes(state::log_path()) };
    let parts = log.iter().chain(b".options\0");
    if log.len() + 9 > path::MAX {
        return -1;
    }
    for (to, from) in name.iter_mut().zip(parts) {
        *to = *from;
    }
    unsafe { sys::open(name.as_ptr().cast(), 0) }
}
