//! The tracer's preloaded object: it interposes the C library's file, environment, exec and network
//! entry points in a traced process and appends what it saw to a log.
//!
//! Rules every hook keeps:
//! - the real function runs with the caller's own arguments, and its result and `errno` are what the
//!   caller gets; nothing here touches `errno`, because all own I/O goes through raw system calls;
//! - nothing allocates, locks or calls back into the C library on the way to the log, so a hook may run
//!   in a signal handler and between `vfork` and `exec`;
//! - the child of a `vfork` shares this memory but not the descriptor table: hooks never store a
//!   descriptor number or a process number after start-up.
//!
//! Variadic C functions are defined here with fixed arguments where the callee may do so: in the System V
//! x86-64 ABI (§3.2.3, §3.5.7) and AAPCS64 (§6.4.2, "the rules for variadic and fixed arguments are the
//! same") integer and pointer arguments travel in the same registers either way, and an argument the
//! caller did not pass reads as garbage that is only forwarded. `execl` and its kin need the whole list
//! and have small assembly entries instead.
//!
//! The log format is documented in `cache-rustc/src/trace/log.rs`.
#![no_std]
#![allow(clippy::missing_safety_doc)]

mod dirs;
mod env;
mod environ;
mod exec;
mod execl;
mod files;
mod filter;
mod log;
mod meta;
mod net;
mod objects;
mod options;
mod path;
mod raw;
mod real;
mod shell;
mod spawn;
mod state;
mod sys;
mod target;
mod writes;

/// Runs when the object is loaded; an earlier hook may already have done the work.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

/// Runs at `exit`: the last moment to see what `dlopen` brought in.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;

extern "C" fn at_load() {
    if state::active() {
        real::resolve_early();
        objects::list();
    }
}

extern "C" fn at_exit() {
    objects::list_if_pending();
}

/// Nothing here panics by design; if it does, the process must not go on with a half-run hook.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit_group(134)
}
