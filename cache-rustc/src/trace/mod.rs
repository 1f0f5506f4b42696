//! Seeing what a compile really reads: the tracer.
//!
//! On Linux with glibc a small shared object (`shim/`, built by `build.rs`, embedded in this library) is
//! preloaded into the traced program and every program that one starts. It logs each file, environment,
//! exec and network call with its result ([`log`]), and [`Tracer::session`] turns the log into a [`Trace`].
//!
//! What a preload cannot see, and what is done about it:
//! - the dynamic loader's own opens: the objects it loaded are logged at start and after `dlopen`
//!   ([`Event::Loaded`]); its cache and configuration files are not;
//! - files the C library opens for its own use (locales, character sets, name service, time zones) and
//!   variables it reads itself (`LANG`, `LC_*`, `TZ`, `TMPDIR` in `tmpfile`);
//! - reading `environ` directly: [`imports_environ`] tells whether an object can;
//! - programs that a preload cannot enter (static, another C library, set-user-id): each program start is
//!   logged by the parent and by the child, so one that did not report is in [`Trace::escaped`];
//! - system calls made without the C library, by inline assembly.

mod elf;
mod error;
mod event;
pub mod log;
mod parts;
mod processes;
mod session;
mod shim;

pub use elf::{imports_environ, iterates_environ, loader};
pub use error::{TraceError, Unavailable};
pub use event::{Entry, Event};
pub use parts::{Errno, FileKind, Injection, OpenFlags, Peer, ValueMark};
pub use processes::{Escape, EscapeReason, Process};
pub use session::{Trace, TraceSession, Tracer, VARIABLES};
