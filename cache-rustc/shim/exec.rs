//! Replacing the process by another program: `execve` and its kin.
//!
//! The EXEC record is written before the call, since a successful one does not return; if it returns, an
//! EXEC_FAILED record takes it back. The new program announces itself with a START record of its own, or
//! has escaped.

use crate::environ::{self, Env};
use crate::log::{self, Record};
use crate::{options, path, real, state, sys, target};
use core::ffi::{c_char, c_int, c_long};

type Str = *const c_char;
type Strs = *const *const c_char;

/// Logs that process `pid` (0: not known) is about to be, or was, started from `file`.
pub(crate) unsafe fn note(dir: c_int, file: Str, pid: u32, verdict: u8) {
    unsafe {
        path::absolute(dir, file, |p| {
            Record { detail: verdict, arg: pid, ..Record::new(log::EXEC, p) }.emit()
        });
    }
}

/// What to think of starting `file` with `env`.
unsafe fn judge(file: Str, env: Env) -> u8 {
    if unsafe { nested(env) } { target::NESTED } else { unsafe { target::judge(file) } }
}

/// The program sets up a tracer of its own for the child: leave that alone, and say so.
pub(crate) unsafe fn nested(env: Env) -> bool {
    unsafe { !environ::find(env, state::VAR).is_null() }
}

/// Calls `then` with the environment the program is to get.
pub(crate) unsafe fn with_env<R>(env: Env, verdict: u8, then: impl FnOnce(Env) -> R) -> R {
    if verdict == target::TRACED { unsafe { environ::with_tracer(env, then) } } else { then(env) }
}

/// Logs, starts, and takes the log entry back if that failed.
unsafe fn run(
    dir: c_int,
    file: Str,
    verdict: u8,
    env: Env,
    call: impl FnOnce(Env) -> c_long,
) -> c_long {
    unsafe {
        note(dir, file, sys::getpid(), verdict);
        let r = with_env(env, verdict, call);
        Record { errno: sys::errno_if(true), ..Record::new(log::EXEC_FAILED, [&[], &[], &[]]) }
            .emit();
        r
    }
}

/// A path the kernel could not read either: let it say so.
unsafe fn unreadable(file: Str) -> bool {
    unsafe { file.is_null() || sys::access(file, 0) == -i32::from(sys::EFAULT) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execve(file: Str, args: Strs, env: Strs) -> c_int {
    unsafe {
        let call = |args: Strs, env| match real::EXECVE.get() {
            Some(f) => c_long::from(f(file, args, env)),
            None => sys::c_result(sys::syscall6(
                sys::nr::EXECVE,
                file as i64,
                args as i64,
                env as i64,
                0,
                0,
                0,
            )),
        };
        if !state::active() || unreadable(file) {
            return call(args, env) as c_int;
        }
        run(sys::AT_FDCWD, file, judge(file, env), env, |env| {
            options::with(file, args, |args| call(args, env))
        }) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execv(file: Str, args: Strs) -> c_int {
    unsafe { execve(file, args, environ::current()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvp(file: Str, args: Strs) -> c_int {
    unsafe { execvpe(file, args, environ::current()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvpe(file: Str, args: Strs, env: Strs) -> c_int {
    let Some(f) = real::EXECVPE.get() else {
        sys::set_errno(sys::ENOSYS);
        return -1;
    };
    unsafe {
        if !state::active() || unreadable(file) {
            return f(file, args, env);
        }
        search(file, |found| {
            run(sys::AT_FDCWD, found, judge(found, env), env, |env| {
                options::with(found, args, |args| c_long::from(f(file, args, env)))
            })
        }) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fexecve(fd: c_int, args: Strs, env: Strs) -> c_int {
    let Some(f) = real::FEXECVE.get() else {
        sys::set_errno(sys::ENOSYS);
        return -1;
    };
    unsafe {
        if !state::active() {
            return f(fd, args, env);
        }
        let verdict = if nested(env) { target::NESTED } else { target::judge_descriptor(fd) };
        run(fd, c"".as_ptr(), verdict, env, |env| c_long::from(f(fd, args, env))) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn execveat(
    dir: c_int,
    file: Str,
    args: Strs,
    env: Strs,
    flags: c_int,
) -> c_int {
    unsafe { by_kernel(dir, file, args, env, flags) as c_int }
}

/// `execve` (as `execveat` from the working directory) and `execveat` by system call.
pub(crate) unsafe fn by_kernel(
    dir: c_int,
    file: Str,
    args: Strs,
    env: Strs,
    flags: c_int,
) -> c_long {
    unsafe {
        let call = |env: Env| {
            let (dir, flags) = (i64::from(dir), i64::from(flags));
            let r = sys::syscall6(
                sys::nr::EXECVEAT,
                dir,
                file as i64,
                args as i64,
                env as i64,
                flags,
                0,
            );
            sys::c_result(r)
        };
        if !state::active() || unreadable(file) {
            return call(env);
        }
        let mut absolute = [0u8; path::MAX];
        let mut n = 0;
        path::absolute(dir, file, |p| {
            for (to, from) in absolute.iter_mut().take(path::MAX - 1).zip(p.into_iter().flatten()) {
                *to = *from;
                n += 1;
            }
        });
        run(dir, file, judge(absolute.as_ptr().cast(), env), env, call)
    }
}

/// Finds what `execvp` would start (execvp(3): `PATH` of the calling process), and calls `then` with it; with
/// `file` itself when nothing is found. The places that do not have it are logged as asked for.
#[inline(never)]
pub(crate) unsafe fn search<R>(file: Str, then: impl FnOnce(Str) -> R) -> R {
    let name = unsafe { sys::bytes(file) };
    if name.is_empty() || name.contains(&b'/') {
        return then(file);
    }
    let list = unsafe { environ::find(environ::current(), b"PATH=") };
    let list =
        if list.is_null() { b"/bin:/usr/bin".as_slice() } else { unsafe { sys::bytes(list) } };
    let mut candidate = [0u8; path::MAX];
    for dir in list.split(|&b| b == b':') {
        if !join(dir, name, &mut candidate) {
            continue;
        }
        let at: Str = candidate.as_ptr().cast();
        let r = unsafe { sys::access(at, 1) };
        if r == 0 && unsafe { sys::stat(at) }.is_some_and(|st| st.mode() & 0o170_000 == 0o100_000) {
            return then(at);
        }
        let errno = u16::try_from(-r).unwrap_or(0);
        unsafe {
            path::absolute(sys::AT_FDCWD, at, |p| {
                Record { errno, ..Record::new(log::ACCESS, p) }.emit_once()
            });
        }
    }
    then(file)
}

fn join(dir: &[u8], name: &[u8], to: &mut [u8; path::MAX]) -> bool {
    let slash: &[u8] = if dir.is_empty() { b"" } else { b"/" };
    if dir.len() + slash.len() + name.len() >= path::MAX {
        return false;
    }
    let parts = dir.iter().chain(slash).chain(name).chain(&[0]);
    for (to, from) in to.iter_mut().zip(parts) {
        *to = *from;
    }
    true
}
