//! `larder`: a compile cache for Rust, used as `RUSTC_WRAPPER`, and the commands around it.
//!
//! cargo starts this program once per compile, so [`main`] tells that case apart before anything
//! else is set up.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, reason = "it panics where nobody reads: `say!`")]

#[macro_use]
mod say;

mod agent;
mod cargo_config;
mod commands;
mod config;
mod dispatch;
mod events;
mod fields;
mod places;
mod text;
mod trial;
mod words;
mod wrapper;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let started = Instant::now();
    let argv: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some((pid, started)) = wrapper::watched(&argv) {
        wrapper::wait_and_write(pid, started)
    } else if let Some(start) = wrapper::ScriptStart::of(&argv) {
        wrapper::run_script(start, started)
    } else if dispatch::is_invocation(&argv, &|name| std::env::var_os(name)) {
        wrapper::run(argv, started)
    } else {
        commands::run()
    }
}
