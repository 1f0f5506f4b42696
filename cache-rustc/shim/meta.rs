//! Asking about files without opening them: stat, access, readlink, realpath.

use crate::log::{self, Record};
use crate::{path, real, state, sys};
use core::ffi::{c_char, c_int, c_uint, c_void};

type Str = *const c_char;

/// The `detail` of a STAT record: what was found, with the top bit set when a final link was not followed.
fn kind(mode: u32) -> u8 {
    match mode & 0o170_000 {
        0o100_000 => 1,
        0o040_000 => 2,
        0o120_000 => 3,
        _ => 4,
    }
}

/// Logs one question about `name`; `mode` is looked at only when it was answered.
#[inline]
pub(crate) fn asked(dir: c_int, name: Str, flags: c_int, failed: bool, mode: impl FnOnce() -> u32) {
    if !state::active() {
        return;
    }
    let errno = sys::errno_if(failed);
    let found = if failed { 0 } else { kind(mode()) };
    let follow = if flags & sys::AT_SYMLINK_NOFOLLOW == 0 { 0 } else { 0x80 };
    note(log::STAT, dir, name, found | follow, errno);
}

#[inline(never)]
fn note(what: u8, dir: c_int, name: Str, detail: u8, errno: u16) {
    // An empty name with AT_EMPTY_PATH asks about an open descriptor, which is no new input.
    if errno != sys::EFAULT && !unsafe { sys::bytes(name) }.is_empty() {
        unsafe {
            path::absolute(dir, name, |p| {
                Record { detail, errno, ..Record::new(what, p) }.emit_once()
            });
        }
    }
}

pub(crate) unsafe fn stat_mode(st: *const c_void) -> u32 {
    unsafe { st.cast::<u8>().add(sys::ST_MODE).cast::<u32>().read_unaligned() }
}

pub(crate) unsafe fn statx_mode(st: *const c_void) -> u32 {
    u32::from(unsafe { st.cast::<u8>().add(sys::STX_MODE).cast::<u16>().read_unaligned() })
}

fn missing() -> c_int {
    sys::set_errno(sys::ENOSYS);
    -1
}

macro_rules! stat_hooks {
    ($($name:ident = $slot:ident, $flags:expr;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, st: *mut c_void) -> c_int {
            let r = match real::$slot.get() {
                Some(f) => unsafe { f(name, st) },
                None => stat_by_kernel(sys::AT_FDCWD, name, st, $flags),
            };
            asked(sys::AT_FDCWD, name, $flags, r != 0, || unsafe { stat_mode(st) });
            r
        }
    )* };
}
stat_hooks! {
    stat = STAT, 0; stat64 = STAT64, 0;
    lstat = LSTAT, sys::AT_SYMLINK_NOFOLLOW; lstat64 = LSTAT64, sys::AT_SYMLINK_NOFOLLOW;
}

macro_rules! fstatat_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(dir: c_int, name: Str, st: *mut c_void, flags: c_int) -> c_int {
            let r = match real::$slot.get() {
                Some(f) => unsafe { f(dir, name, st, flags) },
                None => stat_by_kernel(dir, name, st, flags),
            };
            asked(dir, name, flags, r != 0, || unsafe { stat_mode(st) });
            r
        }
    )* };
}
fstatat_hooks! { fstatat = FSTATAT; fstatat64 = FSTATAT64; }

/// Before glibc 2.33 the C library had no `stat` of its own; the kernel's structure is the same.
fn stat_by_kernel(dir: c_int, name: Str, st: *mut c_void, flags: c_int) -> c_int {
    let r = unsafe {
        sys::syscall6(
            sys::nr::NEWFSTATAT,
            i64::from(dir),
            name as i64,
            st as i64,
            i64::from(flags),
            0,
            0,
        )
    };
    sys::c_result(r) as c_int
}

// The entry points of programs linked against glibc before 2.33.
macro_rules! old_stat_hooks {
    ($($name:ident = $slot:ident, $flags:expr;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(version: c_int, name: Str, st: *mut c_void) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let r = unsafe { f(version, name, st) };
            asked(sys::AT_FDCWD, name, $flags, r != 0, || unsafe { stat_mode(st) });
            r
        }
    )* };
}
old_stat_hooks! {
    __xstat = XSTAT, 0; __xstat64 = XSTAT64, 0;
    __lxstat = LXSTAT, sys::AT_SYMLINK_NOFOLLOW; __lxstat64 = LXSTAT64, sys::AT_SYMLINK_NOFOLLOW;
}

macro_rules! old_fstatat_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(v: c_int, dir: c_int, name: Str, st: *mut c_void, flags: c_int) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let r = unsafe { f(v, dir, name, st, flags) };
            asked(dir, name, flags, r != 0, || unsafe { stat_mode(st) });
            r
        }
    )* };
}
old_fstatat_hooks! { __fxstatat = FXSTATAT; __fxstatat64 = FXSTATAT64; }

#[unsafe(no_mangle)]
pub unsafe extern "C" fn statx(
    dir: c_int,
    name: Str,
    flags: c_int,
    mask: c_uint,
    st: *mut c_void,
) -> c_int {
    let r = match real::STATX.get() {
        Some(f) => unsafe { f(dir, name, flags, mask, st) },
        None => {
            let (dir, flags, mask) = (i64::from(dir), i64::from(flags), i64::from(mask));
            sys::c_result(unsafe {
                sys::syscall6(sys::nr::STATX, dir, name as i64, flags, mask, st as i64, 0)
            }) as c_int
        }
    };
    asked(dir, name, flags, r != 0, || unsafe { statx_mode(st) });
    r
}

/// Logs one permission check.
pub(crate) fn checked(dir: c_int, name: Str, failed: bool) {
    if state::active() {
        note(log::ACCESS, dir, name, 0, sys::errno_if(failed));
    }
}

macro_rules! access_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, mode: c_int) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let r = unsafe { f(name, mode) };
            checked(sys::AT_FDCWD, name, r != 0);
            r
        }
    )* };
}
access_hooks! { access = ACCESS; euidaccess = EUIDACCESS; eaccess = EACCESS; }

#[unsafe(no_mangle)]
pub unsafe extern "C" fn faccessat(dir: c_int, name: Str, mode: c_int, flags: c_int) -> c_int {
    let Some(f) = real::FACCESSAT.get() else { return missing() };
    let r = unsafe { f(dir, name, mode, flags) };
    checked(dir, name, r != 0);
    r
}

/// Logs the reading of a link; `len` is the result of `readlink`.
pub(crate) fn followed(dir: c_int, name: Str, target: *const c_char, len: isize) {
    if !state::active() {
        return;
    }
    let errno = sys::errno_if(len < 0);
    if errno == sys::EFAULT || unsafe { sys::bytes(name) }.is_empty() {
        return;
    }
    let len = usize::try_from(len).unwrap_or(0);
    unsafe {
        let extra: &[u8] =
            if len == 0 { &[] } else { core::slice::from_raw_parts(target.cast(), len) };
        path::absolute(dir, name, |p| {
            Record { errno, extra, ..Record::new(log::READLINK, p) }.emit_once()
        });
    }
}

macro_rules! readlink_hooks {
    ($($name:ident($($arg:ident),*) = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, to: *mut c_char, n: usize $(, $arg: usize)*) -> isize {
            let Some(f) = real::$slot.get() else { return missing() as isize };
            let r = unsafe { f(name, to, n $(, $arg)*) };
            followed(sys::AT_FDCWD, name, to, r);
            r
        }
    )* };
}
readlink_hooks! { readlink() = READLINK; __readlink_chk(size) = READLINK_CHK; }

macro_rules! readlinkat_hooks {
    ($($name:ident($($arg:ident),*) = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(dir: c_int, name: Str, to: *mut c_char, n: usize $(, $arg: usize)*) -> isize {
            let Some(f) = real::$slot.get() else { return missing() as isize };
            let r = unsafe { f(dir, name, to, n $(, $arg)*) };
            followed(dir, name, to, r);
            r
        }
    )* };
}
readlinkat_hooks! { readlinkat() = READLINKAT; __readlinkat_chk(size) = READLINKAT_CHK; }

fn resolved(name: Str, found: *const c_char) {
    if !state::active() || name.is_null() {
        return;
    }
    let errno = sys::errno_if(found.is_null());
    if errno == sys::EFAULT {
        return;
    }
    unsafe {
        let extra = sys::bytes(found);
        path::absolute(sys::AT_FDCWD, name, |p| {
            Record { errno, extra, ..Record::new(log::REALPATH, p) }.emit_once()
        });
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn realpath(name: Str, to: *mut c_char) -> *mut c_char {
    let Some(f) = real::REALPATH.get() else { return core::ptr::null_mut() };
    let r = unsafe { f(name, to) };
    resolved(name, r);
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __realpath_chk(name: Str, to: *mut c_char, size: usize) -> *mut c_char {
    let Some(f) = real::REALPATH_CHK.get() else { return core::ptr::null_mut() };
    let r = unsafe { f(name, to, size) };
    resolved(name, r);
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn canonicalize_file_name(name: Str) -> *mut c_char {
    let Some(f) = real::CANONICALIZE.get() else { return core::ptr::null_mut() };
    let r = unsafe { f(name) };
    resolved(name, r);
    r
}
