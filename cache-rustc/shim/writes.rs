//! Changing the tree: making, moving, linking and removing names; and changing the working directory.
//!
//! A reader of the log needs these to tell an input from a file the traced program made itself. A failure
//! changed nothing, but told the program something about the names: it is logged as a question (ACCESS).

use crate::log::{self, Record};
use crate::{path, real, state, sys};
use core::ffi::{c_char, c_int, c_uint};

type Str = *const c_char;

fn missing() -> c_int {
    sys::set_errno(sys::ENOSYS);
    -1
}

/// Logs a change to one name.
#[inline(never)]
pub(crate) fn changed(kind: u8, dir: c_int, name: Str, failed: bool) {
    if !state::active() {
        return;
    }
    if failed {
        return refused(dir, name);
    }
    // A relative name of the new working directory means something else now; the empty one names it.
    let name = if kind == log::CHDIR { c"".as_ptr() } else { name };
    unsafe { path::absolute(dir, name, |p| Record::new(kind, p).emit_once()) };
}

fn refused(dir: c_int, name: Str) {
    let errno = sys::errno_if(true);
    if errno != sys::EFAULT && !name.is_null() {
        unsafe {
            path::absolute(dir, name, |p| {
                Record { errno, ..Record::new(log::ACCESS, p) }.emit_once()
            })
        };
    }
}

/// Logs a change that connects two names.
#[inline(never)]
pub(crate) fn changed_two(kind: u8, from: (c_int, Str), to: (c_int, Str), failed: bool) {
    if !state::active() {
        return;
    }
    if failed {
        refused(from.0, from.1);
        return refused(to.0, to.1);
    }
    unsafe {
        path::absolute(from.0, from.1, |a| {
            path::absolute(to.0, to.1, |b| {
                let mut joined = [0u8; path::MAX];
                let mut n = 0;
                for (to, from) in joined.iter_mut().zip(b.iter().copied().flatten()) {
                    *to = *from;
                    n += 1;
                }
                Record { extra: joined.get(..n).unwrap_or(&[]), ..Record::new(kind, a) }
                    .emit_once();
            })
        });
    }
}

/// Logs a new symbolic link. Its target is text, not a path that is looked at.
pub(crate) fn linked_softly(target: Str, dir: c_int, name: Str, failed: bool) {
    if state::active() {
        if failed {
            return refused(dir, name);
        }
        unsafe {
            let extra = sys::bytes(target);
            path::absolute(dir, name, |p| {
                Record { extra, ..Record::new(log::SYMLINK, p) }.emit_once()
            });
        }
    }
}

macro_rules! one_name_hooks {
    ($($kind:ident: $name:ident($($arg:ident: $ty:ty),*) = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: Str $(, $arg: $ty)*) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let r = unsafe { f(name $(, $arg)*) };
            changed(log::$kind, sys::AT_FDCWD, name, r != 0);
            r
        }
    )* };
}
one_name_hooks! {
    MKDIR: mkdir(mode: c_uint) = MKDIR;
    REMOVE: unlink() = UNLINK;
    REMOVE: rmdir() = RMDIR;
    REMOVE: remove() = REMOVE;
    TRUNCATE: truncate(length: i64) = TRUNCATE;
    TRUNCATE: truncate64(length: i64) = TRUNCATE64;
    CHDIR: chdir() = CHDIR;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdirat(dir: c_int, name: Str, mode: c_uint) -> c_int {
    let Some(f) = real::MKDIRAT.get() else { return missing() };
    let r = unsafe { f(dir, name, mode) };
    changed(log::MKDIR, dir, name, r != 0);
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdtemp(template: *mut c_char) -> *mut c_char {
    let Some(f) = real::MKDTEMP.get() else { return core::ptr::null_mut() };
    let r = unsafe { f(template) };
    changed(log::MKDIR, sys::AT_FDCWD, template, r.is_null());
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(dir: c_int, name: Str, flags: c_int) -> c_int {
    let Some(f) = real::UNLINKAT.get() else { return missing() };
    let r = unsafe { f(dir, name, flags) };
    changed(log::REMOVE, dir, name, r != 0);
    r
}

macro_rules! two_name_hooks {
    ($($kind:ident: $name:ident = $slot:ident, $at:ident($($arg:ident: $ty:ty),*) = $at_slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(from: Str, to: Str) -> c_int {
            let Some(f) = real::$slot.get() else { return missing() };
            let r = unsafe { f(from, to) };
            changed_two(log::$kind, (sys::AT_FDCWD, from), (sys::AT_FDCWD, to), r != 0);
            r
        }
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $at(from_dir: c_int, from: Str, to_dir: c_int, to: Str $(, $arg: $ty)*) -> c_int {
            let Some(f) = real::$at_slot.get() else { return missing() };
            let r = unsafe { f(from_dir, from, to_dir, to $(, $arg)*) };
            changed_two(log::$kind, (from_dir, from), (to_dir, to), r != 0);
            r
        }
    )* };
}
two_name_hooks! {
    RENAME: rename = RENAME, renameat() = RENAMEAT;
    LINK: link = LINK, linkat(flags: c_int) = LINKAT;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn renameat2(
    from_dir: c_int,
    from: Str,
    to_dir: c_int,
    to: Str,
    flags: c_uint,
) -> c_int {
    let r = match real::RENAMEAT2.get() {
        Some(f) => unsafe { f(from_dir, from, to_dir, to, flags) },
        None => {
            let (a, b, flags) = (i64::from(from_dir), i64::from(to_dir), i64::from(flags));
            sys::c_result(unsafe {
                sys::syscall6(sys::nr::RENAMEAT2, a, from as i64, b, to as i64, flags, 0)
            }) as c_int
        }
    };
    changed_two(log::RENAME, (from_dir, from), (to_dir, to), r != 0);
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn symlink(target: Str, name: Str) -> c_int {
    let Some(f) = real::SYMLINK.get() else { return missing() };
    let r = unsafe { f(target, name) };
    linked_softly(target, sys::AT_FDCWD, name, r != 0);
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn symlinkat(target: Str, dir: c_int, name: Str) -> c_int {
    let Some(f) = real::SYMLINKAT.get() else { return missing() };
    let r = unsafe { f(target, dir, name) };
    linked_softly(target, dir, name, r != 0);
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fchdir(fd: c_int) -> c_int {
    let Some(f) = real::FCHDIR.get() else { return missing() };
    let r = unsafe { f(fd) };
    if r == 0 && state::active() {
        path::with_descriptor(fd, |p| Record::new(log::CHDIR, p).emit_once());
    }
    r
}

/// After this the paths in the log mean something else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chroot(name: Str) -> c_int {
    let Some(f) = real::CHROOT.get() else { return missing() };
    let r = unsafe { f(name) };
    if r == 0 && state::active() {
        Record::new(log::BLIND, [b"chroot", &[], &[]]).emit_once();
    }
    r
}
