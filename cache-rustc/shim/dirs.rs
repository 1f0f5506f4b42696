//! Listing directories, and the library functions that walk trees or match patterns on their own.
//!
//! `readdir` needs no hook: whoever opens a directory to list it is taken to read all of it. What `glob`,
//! `ftw` and `fts` look at stays inside the C library, so only the root or pattern is told (a WALK record).

use crate::log::{self, Record};
use crate::{path, real, state, sys};
use core::ffi::{c_char, c_int, c_void};

type Str = *const c_char;

pub(crate) fn listed(dir: c_int, name: Str, failed: bool) {
    if state::active() {
        note(log::LIST, dir, name, sys::errno_if(failed));
    }
}

fn walked(name: Str) {
    if state::active() {
        note(log::WALK, sys::AT_FDCWD, name, 0);
    }
}

#[inline(never)]
fn note(kind: u8, dir: c_int, name: Str, errno: u16) {
    if errno != sys::EFAULT && !name.is_null() {
        unsafe {
            path::absolute(dir, name, |p| Record { errno, ..Record::new(kind, p) }.emit_once())
        };
    }
}

/// Logs the listing of an open directory.
pub(crate) fn listed_descriptor(fd: c_int) {
    if state::active() {
        path::with_descriptor(fd, |p| Record::new(log::LIST, p).emit_once());
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn opendir(name: Str) -> *mut c_void {
    let Some(f) = real::OPENDIR.get() else { return core::ptr::null_mut() };
    let r = unsafe { f(name) };
    listed(sys::AT_FDCWD, name, r.is_null());
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdopendir(fd: c_int) -> *mut c_void {
    let Some(f) = real::FDOPENDIR.get() else { return core::ptr::null_mut() };
    let r = unsafe { f(fd) };
    if !r.is_null() {
        listed_descriptor(fd);
    }
    r
}

fn missing() -> c_int {
    sys::set_errno(sys::ENOSYS);
    -1
}

macro_rules! scandir_hooks {
    ($($name:ident, $at:ident = $slot:ident, $at_slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str, list: *mut c_void, keep: *const c_void, order: *const c_void) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let r = unsafe { f(name, list, keep, order) };
            listed(sys::AT_FDCWD, name, r < 0);
            r
        }
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $at(
            dir: c_int, name: Str, list: *mut c_void, keep: *const c_void, order: *const c_void,
        ) -> c_int {
            let Some(f) = real::$at_slot.get() else { return missing() };
            let r = unsafe { f(dir, name, list, keep, order) };
            listed(dir, name, r < 0);
            r
        }
    )* };
}
scandir_hooks! { scandir, scandirat = SCANDIR, SCANDIRAT; scandir64, scandirat64 = SCANDIR64, SCANDIRAT64; }

macro_rules! glob_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(pattern: Str, flags: c_int, on_error: *const c_void, found: *mut c_void) -> c_int {
            walked(pattern);
            let Some(f) = real::$slot.get() else { return 3 }; // GLOB_NOMATCH
            unsafe { f(pattern, flags, on_error, found) }
        }
    )* };
}
glob_hooks! { glob = GLOB; glob64 = GLOB64; }

macro_rules! ftw_hooks {
    ($($name:ident($($arg:ident),*) = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(root: Str, visit: *const c_void $(, $arg: c_int)*) -> c_int {
            walked(root);
            let Some(f) = real::$slot.get() else { return missing() };
            unsafe { f(root, visit $(, $arg)*) }
        }
    )* };
}
ftw_hooks! {
    ftw(depth) = FTW; ftw64(depth) = FTW64;
    nftw(depth, flags) = NFTW; nftw64(depth, flags) = NFTW64;
}

macro_rules! fts_hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(roots: *const Str, options: c_int, order: *const c_void) -> *mut c_void {
            let mut root = roots;
            unsafe {
                while !root.is_null() && !(*root).is_null() {
                    walked(*root);
                    root = root.add(1);
                }
            }
            let Some(f) = real::$slot.get() else { return core::ptr::null_mut() };
            unsafe { f(roots, options, order) }
        }
    )* };
}
fts_hooks! { fts_open = FTS_OPEN; fts64_open = FTS64_OPEN; }
