//! What one rustc command line means for the cache.
//!
//! [`parse`] takes the arguments behind the compiler's path and says whether they are a
//! question to the compiler, something that cannot be cached (with a reason), or a
//! [compile](CompileArgs). Everything known about rustc's options is in one [`table`].
//!
//! The rule for what is not understood: it is a [`Reason`] not to cache. No option is skipped,
//! and none is keyed whose effect is not known. In the other direction it is enough that what
//! rustc would reject is not taken for something it accepts: failed compiles are not stored.

mod argfile;
mod build;
mod checks;
mod diagnostics;
mod emit;
mod externs;
mod key;
mod libs;
mod outputs;
mod reason;
mod scan;
pub mod table;
#[cfg(test)]
mod tests;
mod unit;

use std::ffi::OsString;
use std::path::Path;

pub use diagnostics::{Color, Diagnostics, ErrorFormat, Json};
pub use emit::{Emit, EmitKind};
pub use externs::{Extern, ExternModifiers};
pub use key::{KeyArg, Piece};
pub use libs::{NativeLib, NativeLibKind, SearchKind, SearchPath};
pub use outputs::PredictedOutput;
pub use reason::Reason;
pub use unit::{CompileArgs, CrateType, NamedInput, Target};

use argfile::Argfiles;
use build::Builder;
use scan::{Item, Scanner};

/// What a rustc command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// A question (`-vV`, `--print`, `--help`, `--explain`, no arguments at all), also when it
    /// comes with a source: to be run straight through.
    Query,
    /// A compile that cannot be cached: to be run straight through, and counted.
    Uncacheable(Reason),
    /// A compile that can be cached as far as the arguments go.
    Compile(Box<CompileArgs>),
}

/// Parses the arguments of rustc, or of a driver with the same grammar such as clippy's.
///
/// `args` are those behind the compiler's path. `cwd`, the working directory, is used for
/// reading `@file` arguments; nothing else is read, and no environment variable.
#[must_use]
pub fn parse(args: &[OsString], cwd: &Path) -> Invocation {
    let toolchain = args.first().and_then(|arg| arg.to_str()?.strip_prefix('+'));
    let args = &args[usize::from(toolchain.is_some())..];
    let read = Argfiles::read(args, cwd);
    let files = match read {
        Ok(files) => files,
        Err(reason) => return Invocation::Uncacheable(reason),
    };
    let expanded = match files.expand(args) {
        Ok(expanded) => expanded,
        Err(reason) => return Invocation::Uncacheable(reason),
    };
    if expanded.is_empty() {
        return Invocation::Query;
    }
    let mut builder = Builder::default();
    for item in Scanner::new(&expanded) {
        match item {
            Item::Flag(opt) => builder.option(opt, None),
            Item::Value(opt, value) => builder.option(opt, Some(value)),
            Item::Free(arg) => builder.free(arg),
            Item::Bad(reason) => builder.refuse(reason),
        }
    }
    if builder.query {
        return Invocation::Query;
    }
    match builder.finish() {
        Ok(mut compile) => {
            compile.toolchain = toolchain.map(str::to_owned);
            compile.argfiles = files.paths;
            Invocation::Compile(Box::new(compile))
        }
        Err(reason) => Invocation::Uncacheable(reason),
    }
}
