//! `system`, `popen` and `wordexp`: programs started inside the C library, with the environment it holds,
//! from which the tracer's entries were taken. `popen` gets them back for the moment of the call. `system`
//! lasts as long as its child, so it is done here, as POSIX describes it.

use crate::{environ, exec, real, spawn, state, sys, target};
use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

type Str = *const c_char;

const SHELL: Str = c"/bin/sh".as_ptr();
const SIGINT: c_int = 2;
const SIGQUIT: c_int = 3;
const SIGCHLD: c_int = 17;
const EINTR: c_int = 4;
const SIG_BLOCK: c_int = 0;
const SIG_SETMASK: c_int = 2;
static CHILD: SignalSet = SignalSet::of(&[SIGCHLD]);
/// `POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK`, spawn.h
const FLAGS: i16 = 0x04 | 0x08;

/// `sigset_t` of glibc.
#[repr(C)]
#[derive(Clone, Copy)]
struct SignalSet([u64; 16]);

impl SignalSet {
    const fn of(signals: &[c_int]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < signals.len() {
            bits |= 1 << (signals[i] - 1);
            i += 1;
        }
        let mut set = [0; 16];
        set[0] = bits;
        SignalSet(set)
    }
}

/// `struct sigaction` of glibc on 64-bit Linux.
#[repr(C)]
#[derive(Clone, Copy)]
struct Action {
    handler: usize,
    mask: SignalSet,
    flags: c_int,
    restorer: usize,
}

#[link(name = "c")]
unsafe extern "C" {
    fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int;
    fn sigprocmask(how: c_int, new: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn posix_spawnattr_init(attr: *mut c_void) -> c_int;
    fn posix_spawnattr_destroy(attr: *mut c_void) -> c_int;
    fn posix_spawnattr_setsigdefault(attr: *mut c_void, set: *const SignalSet) -> c_int;
    fn posix_spawnattr_setsigmask(attr: *mut c_void, set: *const SignalSet) -> c_int;
    fn posix_spawnattr_setflags(attr: *mut c_void, flags: i16) -> c_int;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn system(command: Str) -> c_int {
    unsafe {
        match real::SYSTEM.get() {
            Some(f) if command.is_null() || !state::active() => f(command),
            _ => run_shell(command),
        }
    }
}

/// Who ignores SIGINT and SIGQUIT on behalf of all `system` calls in progress (system(3) is thread-safe, the
/// dispositions are the process's): the first to come saves them, the last to go puts them back.
struct Quiet {
    lock: AtomicBool,
    state: core::cell::UnsafeCell<(usize, [Action; 2])>,
}
// SAFETY: `state` is touched only while `lock` is held.
unsafe impl Sync for Quiet {}

const DEFAULT: Action = Action { handler: 0, mask: SignalSet([0; 16]), flags: 0, restorer: 0 };
static IGNORE: Action = Action { handler: 1, ..DEFAULT };

static QUIET: Quiet =
    Quiet { lock: AtomicBool::new(false), state: core::cell::UnsafeCell::new((0, [DEFAULT; 2])) };

impl Quiet {
    fn with<R>(&self, then: impl FnOnce(&mut (usize, [Action; 2])) -> R) -> R {
        while self
            .lock
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            core::hint::spin_loop();
        }
        let r = then(unsafe { &mut *self.state.get() });
        self.lock.store(false, Ordering::Release);
        r
    }

    /// Ignores the two signals; gives those among them that the child must have at their default.
    fn enter(&self) -> SignalSet {
        self.with(|(users, [int, quit])| {
            *users += 1;
            if *users == 1 {
                unsafe {
                    sigaction(SIGINT, &raw const IGNORE, int);
                    sigaction(SIGQUIT, &raw const IGNORE, quit);
                }
            }
            match (int.handler == 1, quit.handler == 1) {
                (false, false) => SignalSet::of(&[SIGINT, SIGQUIT]),
                (false, true) => SignalSet::of(&[SIGINT]),
                (true, false) => SignalSet::of(&[SIGQUIT]),
                (true, true) => SignalSet::of(&[]),
            }
        })
    }

    fn leave(&self) {
        self.with(|(users, [int, quit])| {
            *users -= 1;
            if *users == 0 {
                unsafe {
                    sigaction(SIGINT, int, core::ptr::null_mut());
                    sigaction(SIGQUIT, quit, core::ptr::null_mut());
                }
            }
        });
    }
}

unsafe fn run_shell(command: Str) -> c_int {
    unsafe {
        let defaults = QUIET.enter();
        let mut mask = SignalSet([0; 16]);
        sigprocmask(SIG_BLOCK, &raw const CHILD, &raw mut mask);

        let mut attr = [0u64; 64]; // posix_spawnattr_t is 336 bytes
        let attr_at: *mut c_void = attr.as_mut_ptr().cast();
        posix_spawnattr_init(attr_at);
        posix_spawnattr_setsigmask(attr_at, &raw const mask);
        posix_spawnattr_setsigdefault(attr_at, &raw const defaults);
        posix_spawnattr_setflags(attr_at, FLAGS);
        let args = [c"sh".as_ptr(), c"-c".as_ptr(), command, core::ptr::null()];
        let mut pid: c_int = 0;
        let env = environ::current();
        let failed =
            spawn::posix_spawn(&raw mut pid, SHELL, core::ptr::null(), attr_at, args.as_ptr(), env);
        posix_spawnattr_destroy(attr_at);

        let (status, errno) = if failed == 0 { wait_for(pid) } else { (127 << 8, failed) };
        QUIET.leave();
        sigprocmask(SIG_SETMASK, &raw const mask, core::ptr::null_mut());
        if failed != 0 || status == -1 {
            sys::set_errno(errno);
        }
        status
    }
}

/// The child's status, or -1 and the reason.
unsafe fn wait_for(pid: c_int) -> (c_int, c_int) {
    let mut status: c_int = -1;
    loop {
        let r = unsafe { waitpid(pid, &raw mut status, 0) };
        if r == pid {
            return (status, 0);
        }
        if r < 0 && sys::errno() != EINTR {
            return (-1, sys::errno());
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn popen(command: Str, mode: Str) -> *mut c_void {
    let Some(f) = real::POPEN.get() else { return core::ptr::null_mut() };
    unsafe {
        if !state::active() {
            return f(command, mode);
        }
        let env = environ::current();
        let verdict = if exec::nested(env) { target::NESTED } else { target::judge(SHELL) };
        let file = exec::with_env(env, verdict, |env| environ::replaced(env, || f(command, mode)));
        if !file.is_null() {
            exec::note(sys::AT_FDCWD, SHELL, 0, verdict);
        }
        file
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _IO_popen(command: Str, mode: Str) -> *mut c_void {
    unsafe { popen(command, mode) }
}

/// Expands variables and patterns and may run commands, all inside the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wordexp(words: Str, found: *mut c_void, flags: c_int) -> c_int {
    if state::active() {
        crate::log::Record::new(crate::log::BLIND, [b"wordexp", &[], &[]]).emit_once();
    }
    let Some(f) = real::WORDEXP.get() else { return 1 };
    unsafe { f(words, found, flags) }
}
