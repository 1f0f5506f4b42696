//! The environment: hiding the tracer's own entries from the program, and putting them back for the
//! programs it starts.

use crate::{state, sys};
use core::ffi::c_char;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

#[link(name = "c")]
unsafe extern "C" {
    /// The C library's current environment, which programs may replace.
    #[link_name = "environ"]
    static ENVIRON: AtomicPtr<*mut c_char>;
}

pub(crate) type Env = *const *const c_char;

/// The current environment, if there is one.
pub(crate) fn all() -> Option<*mut *mut c_char> {
    let p = unsafe { ENVIRON.load(Relaxed) };
    (!p.is_null()).then_some(p)
}

/// The current environment as `exec` takes it (possibly null).
pub(crate) fn current() -> Env {
    unsafe { ENVIRON.load(Relaxed) }.cast_const().cast()
}

/// Runs `then` while the C library believes that `env` is the environment.
pub(crate) unsafe fn replaced<R>(env: Env, then: impl FnOnce() -> R) -> R {
    let before = unsafe { ENVIRON.swap(env.cast_mut().cast(), Relaxed) };
    let r = then();
    unsafe { ENVIRON.store(before, Relaxed) };
    r
}

/// The value behind `head` (a name with its `=`), or null.
pub(crate) unsafe fn find(mut env: Env, head: &[u8]) -> *const c_char {
    if env.is_null() {
        return core::ptr::null();
    }
    unsafe {
        while !(*env).is_null() {
            if starts_with(*env, head) {
                return (*env).add(head.len());
            }
            env = env.add(1);
        }
    }
    core::ptr::null()
}

unsafe fn starts_with(s: *const c_char, head: &[u8]) -> bool {
    head.iter().enumerate().all(|(i, &b)| unsafe { *s.add(i) as u8 == b })
}

/// Drops the tracer's entries from `env` in place: what stays of `LD_PRELOAD` is what the user had.
///
/// In place, because the same array is `main`'s third argument and what programs find behind `argv`.
pub(crate) unsafe fn clean(env: *mut *mut c_char, own: &[u8]) {
    unsafe {
        let (mut from, mut to) = (env, env);
        while !(*from).is_null() {
            let entry = *from;
            let drop = starts_with(entry, state::VAR)
                || (starts_with(entry, state::PRELOAD) && strip(entry, own));
            if !drop {
                *to = entry;
                to = to.add(1);
            }
            from = from.add(1);
        }
        while to < from {
            *to = core::ptr::null_mut();
            to = to.add(1);
        }
    }
}

/// Takes `own` off the head of an `LD_PRELOAD` entry; true when nothing else was in it.
unsafe fn strip(entry: *mut c_char, own: &[u8]) -> bool {
    unsafe {
        let value = entry.add(state::PRELOAD.len());
        if !starts_with(value, own) {
            return false;
        }
        match *value.add(own.len()) as u8 {
            0 => true,
            b':' => {
                let rest = value.add(own.len() + 1);
                core::ptr::copy(rest, value, sys::bytes(rest).len() + 1);
                false
            }
            _ => false,
        }
    }
}

/// Enough for usual environments without asking the kernel for memory.
const ON_STACK: usize = 512;

/// Calls `then` with `env` plus the tracer's entries; a user's `LD_PRELOAD` is kept behind ours.
pub(crate) unsafe fn with_tracer<R>(env: Env, then: impl FnOnce(Env) -> R) -> R {
    unsafe {
        let preload = find(env, state::PRELOAD);
        let own = sys::bytes(state::preload_entry());
        let text = if preload.is_null() { 0 } else { own.len() + sys::bytes(preload).len() + 2 };
        let words = count(env) + 3 + text.div_ceil(8);
        let mut stack = [0u64; ON_STACK];
        if words <= ON_STACK {
            return then(fill(stack.as_mut_ptr(), env, preload, own));
        }
        let memory = sys::map(words * 8);
        if memory.is_null() {
            crate::log::lost();
            return then(env);
        }
        let r = then(fill(memory.cast(), env, preload, own));
        sys::unmap(memory, words * 8);
        r
    }
}

unsafe fn count(env: Env) -> usize {
    let mut n = 0;
    unsafe {
        while !env.is_null() && !(*env.add(n)).is_null() {
            n += 1;
        }
    }
    n
}

/// Lays out the entries of `env`, ours, a null, and behind it the text of a joined `LD_PRELOAD`.
unsafe fn fill(memory: *mut u64, env: Env, preload: *const c_char, own: &[u8]) -> Env {
    unsafe {
        let table: *mut *const c_char = memory.cast();
        let n = count(env);
        let text: *mut c_char = table.add(n + 3).cast();
        let mut to = table;
        for i in 0..n {
            let entry = *env.add(i);
            if !starts_with(entry, state::PRELOAD) {
                *to = entry;
                to = to.add(1);
            }
        }
        *to = state::trace_entry();
        *to.add(1) = state::preload_entry();
        *to.add(2) = core::ptr::null();
        if !preload.is_null() {
            let theirs = sys::bytes(preload);
            core::ptr::copy_nonoverlapping(own.as_ptr().cast(), text, own.len());
            *text.add(own.len()) = b':' as c_char;
            core::ptr::copy_nonoverlapping(
                theirs.as_ptr().cast(),
                text.add(own.len() + 1),
                theirs.len(),
            );
            *text.add(own.len() + 1 + theirs.len()) = 0;
            *to.add(1) = text;
        }
        table
    }
}
