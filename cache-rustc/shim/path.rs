//! Making a caller's path absolute: joined to the directory it is relative to, nothing resolved.

use crate::sys;
use core::ffi::{c_char, c_int};

/// Longest path the kernel takes, `PATH_MAX`.
pub(crate) const MAX: usize = 4096;

/// Calls `then` with pieces that make up the absolute path. A relative path whose directory cannot be
/// named (it was deleted) is given as it is. Only that case costs a system call and a page of stack.
pub(crate) unsafe fn absolute(dir: c_int, path: *const c_char, then: impl FnOnce([&[u8]; 3])) {
    let path = unsafe { sys::bytes(path) };
    if path.first() == Some(&b'/') {
        return then([path, &[], &[]]);
    }
    relative(dir, path, then);
}

#[inline(never)]
fn relative(dir: c_int, path: &[u8], then: impl FnOnce([&[u8]; 3])) {
    let mut buf = [0u8; MAX];
    let base =
        if dir == sys::AT_FDCWD { sys::getcwd(&mut buf) } else { of_descriptor(dir, &mut buf) };
    match base {
        Some(base) if path.is_empty() => then([base, &[], &[]]),
        Some(base) if base == b"/" => then([base, path, &[]]),
        Some(base) => then([base, b"/", path]),
        None => then([path, &[], &[]]),
    }
}

/// The path an open descriptor was opened by, as the kernel names it in `/proc/self/fd`.
pub(crate) fn of_descriptor(fd: c_int, into: &mut [u8]) -> Option<&[u8]> {
    let mut link = *b"/proc/self/fd/0000000000\0";
    let digits = link.get_mut(14..)?;
    let mut rest = u32::try_from(fd).ok()?;
    let mut tmp = [0u8; 10];
    let mut n = 0;
    loop {
        *tmp.get_mut(n)? = b'0' + (rest % 10) as u8;
        n += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    for (to, from) in digits.iter_mut().zip(tmp.get(..n)?.iter().rev()) {
        *to = *from;
    }
    *digits.get_mut(n)? = 0;
    unsafe { sys::readlink(link.as_ptr().cast(), into) }
}

/// Calls `then` with the path of an open descriptor, if it has one.
#[inline(never)]
pub(crate) fn with_descriptor(fd: c_int, then: impl FnOnce([&[u8]; 3])) {
    let mut buf = [0u8; MAX];
    if let Some(path) = of_descriptor(fd, &mut buf) {
        then([path, &[], &[]]);
    }
}
