//! `posix_spawn` and `posix_spawnp`, and their newer forms that give a process descriptor.
//!
//! The C library starts the child without passing any symbol that could be interposed, so the parent logs
//! the EXEC once it knows the child's number. The child may announce itself before that.

use crate::environ::Env;
use crate::{exec, options, real, state, sys, target};
use core::ffi::{c_char, c_int, c_void};

type Str = *const c_char;
type Strs = *const *const c_char;
type In = *const c_void;
type Spawn = unsafe extern "C" fn(*mut c_int, Str, In, In, Strs, Strs) -> c_int;

/// Starts `found`, known to the program as `file`, and logs it.
unsafe fn spawn(
    f: Spawn,
    found: Str,
    pid: *mut c_int,
    file: Str,
    actions: In,
    attr: In,
    args: Strs,
    env: Env,
) -> c_int {
    unsafe {
        let verdict = if exec::nested(env) { target::NESTED } else { target::judge(found) };
        let mut child: c_int = 0;
        let r = exec::with_env(env, verdict, |env| {
            options::with(found, args, |args| f(&raw mut child, file, actions, attr, args, env))
        });
        if r == 0 {
            if !pid.is_null() {
                *pid = child;
            }
            exec::note(sys::AT_FDCWD, found, child as u32, verdict);
        }
        r
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn(
    pid: *mut c_int,
    file: Str,
    actions: In,
    attr: In,
    args: Strs,
    env: Strs,
) -> c_int {
    let Some(f) = real::POSIX_SPAWN.get() else { return sys::ENOSYS };
    unsafe {
        if !state::active() {
            return f(pid, file, actions, attr, args, env);
        }
        spawn(f, file, pid, file, actions, attr, args, env)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnp(
    pid: *mut c_int,
    file: Str,
    actions: In,
    attr: In,
    args: Strs,
    env: Strs,
) -> c_int {
    let Some(f) = real::POSIX_SPAWNP.get() else { return sys::ENOSYS };
    unsafe {
        if !state::active() {
            return f(pid, file, actions, attr, args, env);
        }
        exec::search(file, |found| spawn(f, found, pid, file, actions, attr, args, env))
    }
}

/// Where the C library lacks these (before glibc 2.39), a program that looks for them by name finds ours,
/// so they must work: spawn as usual, then ask for a descriptor of the child, which cannot be reaped yet.
macro_rules! pidfd_hooks {
    ($($name:ident = $slot:ident, $plain:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: *mut c_int, file: Str, actions: In, attr: In, args: Strs, env: Strs) -> c_int {
            unsafe {
                if !state::active() && let Some(f) = real::$slot.get() {
                    return f(fd, file, actions, attr, args, env);
                }
                let probe = sys::pidfd_open(sys::getpid() as c_int);
                if probe < 0 {
                    return -probe;
                }
                sys::close(probe);
                let mut child: c_int = 0;
                let r = $plain(&raw mut child, file, actions, attr, args, env);
                if r == 0 {
                    *fd = sys::pidfd_open(child);
                }
                r
            }
        }
    )* };
}
pidfd_hooks! { pidfd_spawn = PIDFD_SPAWN, posix_spawn; pidfd_spawnp = PIDFD_SPAWNP, posix_spawnp; }
