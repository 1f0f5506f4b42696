//! Which compiler an invocation runs, and what it is made of.
//!
//! - [`split_command`] tells an inner wrapper (`clippy-driver`) from the compiler.
//! - [`resolve`] finds the compiler behind a program name, seeing through rustup's proxies.
//! - [`identity`] digests what the compiler is made of, so that a replaced compiler at the same
//!   path gives another key, and the same compiler at another path or machine gives the same.
//! - [`native_cpu`] describes the processor, for `-C target-cpu=native`.
//!
//! On the hot path none of them starts a process: what cost a process or a hash is kept in small
//! memo files that name the stamps (size, times, inode) they hold for.
//!
//! # What is outside an identity
//! - The system's libraries that the compiler loads (libc, libm, libz, `libgcc_s`, the dynamic
//!   loader): they differ between machines without changing what the compiler writes.
//! - What a *script* in the compiler's place runs besides `<sysroot>/bin/rustc`: its own bytes are
//!   covered, programs that it names are not.
//! - Sources of the `rust-src` component beyond its marker file: the compiler shows a line of them
//!   only after checking the file against the hash in the standard library's metadata.
//! - The standard library's debugger scripts (`lib/rustlib/etc`), except for MSVC targets, where
//!   the linker embeds the `.natvis` files.
//! - A linker that is not part of the sysroot (`cc`, `ld`): an input of each link, observed there.

mod command;
mod cpu;
mod files;
mod identity;
mod memo;
mod probe;
mod resolve;
mod rustup;
mod snapshot;
mod stamp;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use command::{Command, split_command};
pub use cpu::native_cpu;
pub use identity::{Identity, identity};
pub use resolve::{Compiler, Request, Wrapper, resolve};

/// Why a compiler could not be told. The caller runs the command without the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No executable file of this name, here or in `PATH`, or the selected toolchain lacks it.
    #[error("compiler not found: {}", program.display())]
    NotFound {
        /// The program as it was asked for.
        program: PathBuf,
    },
    /// A part of the compiler could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler did not answer a question (`--print sysroot`, `-vV`) in a known form.
    #[error("{} did not answer: {detail}", program.display())]
    Probe {
        /// The program that was run.
        program: PathBuf,
        /// Its status, or the beginning of what it wrote to stderr.
        detail: String,
    },
    /// A part of the compiler changed while it was being digested.
    #[error("the compiler changed while it was read: {}", path.display())]
    Changed {
        /// The file that changed.
        path: PathBuf,
    },
    /// `LD_LIBRARY_PATH` makes the compiler load a library that is not its own.
    #[error("LD_LIBRARY_PATH replaces a library of the compiler by {}", by.display())]
    Shadowed {
        /// The library that would be loaded.
        by: PathBuf,
    },
}

impl Error {
    fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}
