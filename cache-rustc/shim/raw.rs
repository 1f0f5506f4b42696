//! `syscall()`: programs that go past the C library's wrappers but not past the C library.
//!
//! Most calls that come this way (futex!) are of no interest and must cost nothing, and some (`clone`) must
//! not find a frame of ours on their stack. So the entry looks at the number only and jumps on: to the C
//! library's own function, or to one here that makes the call and logs it.

use crate::log::{self, Record};
use crate::sys::{self, AT_FDCWD, nr, nr_common};
use crate::{dirs, exec, files, meta, net, path, real, state, writes};
use core::ffi::{c_char, c_int, c_long, c_void};

#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall() {
    core::arch::naked_asm!(
        "push rdi", "push rsi", "push rdx", "push rcx", "push r8", "push r9", "sub rsp, 8",
        "call {route}",
        "add rsp, 8", "pop r9", "pop r8", "pop rcx", "pop rdx", "pop rsi", "pop rdi",
        "jmp rax",
        route = sym route,
    )
}

#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall() {
    core::arch::naked_asm!(
        "stp x29, x30, [sp, #-80]!", "stp x0, x1, [sp, #16]", "stp x2, x3, [sp, #32]",
        "stp x4, x5, [sp, #48]", "str x6, [sp, #64]",
        "bl {route}",
        "mov x16, x0",
        "ldp x0, x1, [sp, #16]", "ldp x2, x3, [sp, #32]", "ldp x4, x5, [sp, #48]", "ldr x6, [sp, #64]",
        "ldp x29, x30, [sp], #80",
        "br x16",
        route = sym route,
    )
}

unsafe extern "C" fn route(number: c_long) -> *const c_void {
    let ours: unsafe extern "C" fn(i64, i64, i64, i64, i64, i64, i64) -> c_long = traced;
    let theirs = real::SYSCALL.address();
    if theirs.is_null() || (interesting(number) && state::active()) {
        ours as *const c_void
    } else {
        theirs
    }
}

fn interesting(n: i64) -> bool {
    use nr::*;
    use nr_common::*;
    matches!(
        n,
        OPEN | OPENAT
            | OPENAT2
            | CREAT
            | STAT
            | LSTAT
            | NEWFSTATAT
            | STATX
            | ACCESS
            | FACCESSAT
            | FACCESSAT2
            | READLINK
            | READLINKAT
            | GETDENTS
            | GETDENTS64
            | MKDIR
            | MKDIRAT
            | RENAME
            | RENAMEAT
            | RENAMEAT2
            | UNLINK
            | RMDIR
            | UNLINKAT
            | LINK
            | LINKAT
            | SYMLINK
            | SYMLINKAT
            | TRUNCATE
            | CHDIR
            | FCHDIR
            | EXECVE
            | EXECVEAT
            | CONNECT
            | IO_URING_SETUP
    )
}

unsafe extern "C" fn traced(n: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64) -> c_long {
    unsafe {
        match n {
            nr::EXECVE => return exec::by_kernel(AT_FDCWD, a as Str, b as _, c as _, 0),
            nr::EXECVEAT => {
                return exec::by_kernel(a as c_int, b as Str, c as _, d as _, e as c_int);
            }
            _ => {}
        }
        let r = match real::SYSCALL.get() {
            Some(call) => call(n, a, b, c, d, e, f),
            None => sys::c_result(sys::syscall6(n, a, b, c, d, e, f)),
        };
        if state::active() {
            note_open(n, [a, b, c, d, e], r);
            note_change(n, [a, b, c, d, e], r);
        }
        r
    }
}

type Str = *const c_char;

/// Calls that look.
unsafe fn note_open(n: i64, [a, b, c, d, e]: [i64; 5], r: c_long) {
    let bad = r < 0;
    unsafe {
        match n {
            nr::OPEN => files::opened(AT_FDCWD, a as Str, b as c_int, bad),
            nr::CREAT => files::opened(AT_FDCWD, a as Str, files::CREAT_FLAGS, bad),
            nr::OPENAT => files::opened(a as c_int, b as Str, c as c_int, bad),
            nr_common::OPENAT2 => {
                // struct open_how begins with 64 bits of flags; the kernel has just read it.
                let flags = if sys::errno_if(bad) == sys::EFAULT || c == 0 {
                    0
                } else {
                    *(c as *const u64)
                };
                files::opened(a as c_int, b as Str, flags as c_int, bad);
            }
            nr::STAT => meta::asked(AT_FDCWD, a as Str, 0, bad, || meta::stat_mode(b as _)),
            nr::LSTAT => meta::asked(AT_FDCWD, a as Str, sys::AT_SYMLINK_NOFOLLOW, bad, || {
                meta::stat_mode(b as _)
            }),
            nr::NEWFSTATAT => {
                meta::asked(a as c_int, b as Str, d as c_int, bad, || meta::stat_mode(c as _))
            }
            nr::STATX => {
                meta::asked(a as c_int, b as Str, c as c_int, bad, || meta::statx_mode(e as _))
            }
            nr::ACCESS => meta::checked(AT_FDCWD, a as Str, bad),
            nr::FACCESSAT | nr_common::FACCESSAT2 => meta::checked(a as c_int, b as Str, bad),
            nr::READLINK => meta::followed(AT_FDCWD, a as Str, b as _, r as isize),
            nr::READLINKAT => meta::followed(a as c_int, b as Str, c as _, r as isize),
            nr::GETDENTS | nr::GETDENTS64 if !bad => dirs::listed_descriptor(a as c_int),
            nr::CONNECT => net::contacted(b as _, c as usize, sys::errno_if(bad)),
            _ => {}
        }
    }
}

/// Calls that change something.
unsafe fn note_change(n: i64, [a, b, c, d, _]: [i64; 5], r: c_long) {
    let bad = r != 0;
    let here = AT_FDCWD;
    match n {
        nr::MKDIR => writes::changed(log::MKDIR, here, a as Str, bad),
        nr::MKDIRAT => writes::changed(log::MKDIR, a as c_int, b as Str, bad),
        nr::UNLINK | nr::RMDIR => writes::changed(log::REMOVE, here, a as Str, bad),
        nr::UNLINKAT => writes::changed(log::REMOVE, a as c_int, b as Str, bad),
        nr::TRUNCATE => writes::changed(log::TRUNCATE, here, a as Str, bad),
        nr::CHDIR => writes::changed(log::CHDIR, here, a as Str, bad),
        nr::FCHDIR if !bad => {
            path::with_descriptor(a as c_int, |p| Record::new(log::CHDIR, p).emit_once())
        }
        nr::RENAME => writes::changed_two(log::RENAME, (here, a as Str), (here, b as Str), bad),
        nr::RENAMEAT | nr::RENAMEAT2 => {
            writes::changed_two(log::RENAME, (a as c_int, b as Str), (c as c_int, d as Str), bad);
        }
        nr::LINK => writes::changed_two(log::LINK, (here, a as Str), (here, b as Str), bad),
        nr::LINKAT => {
            writes::changed_two(log::LINK, (a as c_int, b as Str), (c as c_int, d as Str), bad)
        }
        nr::SYMLINK => writes::linked_softly(a as Str, here, b as Str, bad),
        nr::SYMLINKAT => writes::linked_softly(a as Str, b as c_int, c as Str, bad),
        // What goes through a ring is submitted without any call that could be seen.
        nr_common::IO_URING_SETUP if r >= 0 => {
            Record::new(log::BLIND, [b"io_uring", &[], &[]]).emit_once()
        }
        _ => {}
    }
}
