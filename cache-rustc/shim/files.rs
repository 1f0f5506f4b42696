//! Opening files.

use crate::log::{self, Record};
use crate::{path, real, state, sys};
use core::ffi::{c_char, c_int, c_uint, c_void};

type Str = *const c_char;

/// Logs one attempt to open `name`, with the flags it was opened with.
#[inline]
pub(crate) fn opened(dir: c_int, name: Str, flags: c_int, failed: bool) {
    if state::active() {
        note(dir, name, flags, sys::errno_if(failed));
    }
}

#[inline(never)]
fn note(dir: c_int, name: Str, flags: c_int, errno: u16) {
    if errno != sys::EFAULT && !name.is_null() {
        unsafe {
            path::absolute(dir, name, |p| {
                Record { errno, arg: flags as u32, ..Record::new(log::OPEN, p) }.emit_once();
            });
        }
    }
}

/// What `openat` gives where the C library has no such function.
fn missing() -> c_int {
    sys::set_errno(sys::ENOSYS);
    -1
}

macro_rules! open_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, flags: c_int, mode: c_uint) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let fd = unsafe { f(name, flags, mode) };
            opened(sys::AT_FDCWD, name, flags, fd < 0);
            fd
        }
    )* };
}
open_hooks! { open = OPEN; open64 = OPEN64; __open = OPEN; __open64 = OPEN64; }

macro_rules! openat_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(dir: c_int, name: Str, flags: c_int, mode: c_uint) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let fd = unsafe { f(dir, name, flags, mode) };
            opened(dir, name, flags, fd < 0);
            fd
        }
    )* };
}
openat_hooks! { openat = OPENAT; openat64 = OPENAT64; }

// The forms that _FORTIFY_SOURCE calls when no mode is passed.
macro_rules! checked_open_hooks {
    ($($name:ident, $at:ident = $slot:ident, $at_slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, flags: c_int) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let fd = unsafe { f(name, flags) };
            opened(sys::AT_FDCWD, name, flags, fd < 0);
            fd
        }
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $at(dir: c_int, name: Str, flags: c_int) -> c_int {
            let Some(f) = real::$at_slot.get() else { return missing() };
            let fd = unsafe { f(dir, name, flags) };
            opened(dir, name, flags, fd < 0);
            fd
        }
    )* };
}
checked_open_hooks! {
    __open_2, __openat_2 = OPEN_2, OPENAT_2;
    __open64_2, __openat64_2 = OPEN64_2, OPENAT64_2;
}

macro_rules! creat_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, mode: c_uint) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let fd = unsafe { f(name, mode) };
            opened(sys::AT_FDCWD, name, CREAT_FLAGS, fd < 0);
            fd
        }
    )* };
}
creat_hooks! { creat = CREAT; creat64 = CREAT64; }

/// What `creat` means, open(2).
pub(crate) const CREAT_FLAGS: c_int = sys::O_WRONLY | sys::O_CREAT | sys::O_TRUNC;

/// The open flags an `fopen` mode string stands for, fopen(3).
unsafe fn stdio_flags(mode: Str) -> c_int {
    let mode = unsafe { sys::bytes(mode) };
    let base = match mode.first() {
        Some(b'w') => sys::O_WRONLY | sys::O_CREAT | sys::O_TRUNC,
        Some(b'a') => sys::O_WRONLY | sys::O_CREAT | sys::O_APPEND,
        _ => 0,
    };
    let plus = mode.iter().take_while(|&&b| b != b',').any(|&b| b == b'+');
    if plus { (base & !sys::O_WRONLY) | sys::O_RDWR } else { base }
}

macro_rules! fopen_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, mode: Str) -> *mut c_void {
            let Some(f) = real::$slot.get() else { return core::ptr::null_mut() };
            let file = unsafe { f(name, mode) };
            opened(sys::AT_FDCWD, name, unsafe { stdio_flags(mode) }, file.is_null());
            file
        }
    )* };
}
fopen_hooks! { fopen = FOPEN; fopen64 = FOPEN64; _IO_fopen = FOPEN; }

macro_rules! freopen_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, mode: Str, file: *mut c_void) -> *mut c_void {
            let Some(f) = real::$slot.get() else { return core::ptr::null_mut() };
            let file = unsafe { f(name, mode, file) };
            opened(sys::AT_FDCWD, name, unsafe { stdio_flags(mode) }, file.is_null());
            file
        }
    )* };
}
freopen_hooks! { freopen = FREOPEN; freopen64 = FREOPEN64; }

/// How the `mkstemp` family opens.
const TEMP_FLAGS: c_int = sys::O_RDWR | sys::O_CREAT | sys::O_EXCL;

macro_rules! temp_hooks {
    ($($name:ident($($arg:ident),*) = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(template: *mut c_char $(, $arg: c_int)*) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let fd = unsafe { f(template $(, $arg)*) };
            opened(sys::AT_FDCWD, template, TEMP_FLAGS, fd < 0);
            fd
        }
    )* };
}
temp_hooks! {
    mkstemp() = MKSTEMP; mkstemp64() = MKSTEMP64;
    mkostemp(flags) = MKOSTEMP; mkostemp64(flags) = MKOSTEMP64;
    mkstemps(suffix) = MKSTEMPS; mkstemps64(suffix) = MKSTEMPS64;
    mkostemps(suffix, flags) = MKOSTEMPS; mkostemps64(suffix, flags) = MKOSTEMPS64;
}

/// The open happens later, inside `posix_spawn`; it is logged as if it succeeded, which is what a program
/// that reads from it needs anyway.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_addopen(
    actions: *mut c_void,
    fd: c_int,
    name: Str,
    flags: c_int,
    mode: c_uint,
) -> c_int {
    let Some(f) = real::SPAWN_ADDOPEN.get() else { return sys::ENOSYS };
    let r = unsafe { f(actions, fd, name, flags, mode) };
    if r == 0 {
        opened(sys::AT_FDCWD, name, flags, false);
    }
    r
}
