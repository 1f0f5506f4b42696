//! Tests of the argument parser; those in `oracle` ask the real rustc.

mod grammar;
mod key;
mod oracle;
mod table;
mod values;

use std::ffi::OsString;
use std::path::Path;

use super::*;

/// Parses words without blanks in them.
fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn parse_line(line: &str) -> Invocation {
    parse(&words(line), Path::new("/nowhere"))
}

/// What is uncacheable about `line`.
fn refused(line: &str) -> String {
    match parse_line(line) {
        Invocation::Uncacheable(reason) => reason.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

/// A library called `a`, with the given options added.
fn lib(options: &str) -> CompileArgs {
    compile(&format!("--crate-name a --crate-type lib src/lib.rs {options}"))
}

fn compile(line: &str) -> CompileArgs {
    match parse_line(line) {
        Invocation::Compile(args) => *args,
        other => panic!("{line}: {other:?}"),
    }
}

/// The reason why the library `a` with these options is not cached.
fn lib_refused(options: &str) -> String {
    refused(&format!("--crate-name a --crate-type lib src/lib.rs {options}"))
}

/// The keyed arguments as text: paths in braces, pieces joined.
fn keyed(args: &CompileArgs) -> Vec<String> {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Path(path) => format!("{{{path}}}"),
    };
    let arg = |arg: &KeyArg| match arg.value.as_slice() {
        [] => arg.name.to_owned(),
        pieces => format!("{} {}", arg.name, pieces.iter().map(piece).collect::<String>()),
    };
    args.keyed.iter().map(arg).collect()
}

/// As [`keyed`], without what every library `a` has.
fn keyed_options(options: &str) -> Vec<String> {
    let base = keyed(&lib(""));
    keyed(&lib(options)).into_iter().filter(|arg| !base.contains(arg)).collect()
}
