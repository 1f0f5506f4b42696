//! What of the arguments goes into the first-level key.

use std::path::{Path, PathBuf};

use super::CompileArgs;

/// One option as it enters the first-level key.
///
/// The spelling is canonical (`-Copt-level=3`, `-C opt-level=3` and `--codegen opt_level=3` are
/// the same), the value is as given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyArg {
    /// The option's canonical spelling, [`Opt::key`](super::table::Opt::key).
    pub name: &'static str,
    /// The value, in pieces that give the whole when joined; empty for a flag. `-C name` (no
    /// piece) and `-C name=` (one empty piece) differ.
    pub value: Vec<Piece>,
}

/// A part of an option's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Enters the key as it stands.
    Text(String),
    /// A path as given, relative to the working directory when not absolute: enters the key as a
    /// template.
    Path(String),
}

impl Piece {
    /// The bytes as they were on the command line.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(s) | Self::Path(s) => s.as_bytes(),
        }
    }

    /// The path, if it is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            Self::Path(s) => Some(Path::new(s)),
            Self::Text(_) => None,
        }
    }
}

impl KeyArg {
    /// A flag, or the mark that an option is present.
    #[must_use]
    pub(super) fn flag(name: &'static str) -> Self {
        Self { name, value: Vec::new() }
    }

    /// An option with a value that holds no path.
    #[must_use]
    pub(super) fn text(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: vec![Piece::Text(value.into())] }
    }

    /// An option whose value is a path.
    #[must_use]
    pub(super) fn path(name: &'static str, value: &str) -> Self {
        Self { name, value: vec![Piece::Path(value.to_owned())] }
    }

    /// An option whose value is `prefix` followed by a path.
    #[must_use]
    pub(super) fn prefixed(name: &'static str, prefix: &str, path: &str) -> Self {
        let mut value = Vec::with_capacity(2);
        if !prefix.is_empty() {
            value.push(Piece::Text(prefix.to_owned()));
        }
        value.push(Piece::Path(path.to_owned()));
        Self { name, value }
    }
}

/// The part of the key that is built from fields.
pub(super) fn key_of_fields(args: &CompileArgs) -> Vec<KeyArg> {
    let mut keyed = Vec::with_capacity(64);
    keyed.push(KeyArg::text("--crate-name", args.crate_name.as_str()));
    for crate_type in &args.crate_types {
        keyed.push(KeyArg::text("--crate-type", crate_type.name()));
    }
    if args.test {
        keyed.push(KeyArg::flag("--test"));
    }
    if let Some(extra) = &args.extra_filename {
        keyed.push(KeyArg::text("-C extra-filename", extra.as_str()));
    }
    // Arguments are Unicode, so nothing is lost here.
    let file_name = |path: &PathBuf| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    for emit in &args.emits {
        let kind = emit.kind.name();
        keyed.push(match &emit.path {
            Some(path) => KeyArg::text("--emit", format!("{kind}={}", file_name(path))),
            None => KeyArg::text("--emit", kind),
        });
    }
    if let Some(path) = &args.output {
        keyed.push(KeyArg::text("-o", file_name(path)));
    }
    // Their presence decides over warnings and over what rustc keeps for itself.
    if args.out_dir.is_some() {
        keyed.push(KeyArg::flag("--out-dir"));
    }
    if args.incremental.is_some() {
        keyed.push(KeyArg::flag("-C incremental"));
    }
    keyed
}

/// Finds the absolute paths inside an argument for the linker: `/a/b.o`, `-L/a`, `-T/a/b.ld`,
/// `-Wl,-rpath,/a:/b`, `--script=/a/b`. Joined, the pieces give `value` again.
///
/// A path is a whole [part](linker_parts), or a part behind a one-letter option.
pub(super) fn linker_pieces(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = 0;
    for (at, part) in linker_parts(value) {
        let operand = behind_letter_option(part);
        if !operand.starts_with('/') {
            continue;
        }
        let start = at + part.len() - operand.len();
        if text < start {
            pieces.push(Piece::Text(value[text..start].to_owned()));
        }
        pieces.push(Piece::Path(operand.to_owned()));
        text = start + operand.len();
    }
    if text < value.len() || pieces.is_empty() {
        pieces.push(Piece::Text(value[text..].to_owned()));
    }
    pieces
}

/// The files an argument for the linker may name: whatever looks like a path or has an extension.
pub(super) fn linker_files(value: &str) -> impl Iterator<Item = &str> {
    linker_parts(value)
        .map(|(_, part)| behind_letter_option(part))
        .filter(|file| !file.starts_with('-') && file.contains(['/', '.']))
}

/// Whether an argument makes the linker, or the C compiler that calls it, write files other than
/// the output: a map, an import library, dependency files, temporary files.
pub(super) fn linker_writes_files(value: &str) -> bool {
    const NAMES: [&str; 10] = [
        "M",
        "Map",
        "map",
        "out-implib",
        "dependency-file",
        "save-temps",
        "reproduce",
        "time-trace",
        "lto-obj-path-prefix",
        "object_path_lto",
    ];
    linker_parts(value).any(|(_, part)| {
        let name = part.trim_start_matches('-');
        let option = name.len() < part.len() && NAMES.contains(&name);
        // `-plugin-opt=save-temps`, and an output that is not where rustc expects it.
        option || part == "-o" || name == "save-temps"
    })
}

/// The parts of a linker argument, divided by `,`, `=`, `:` and blanks, each with its position.
fn linker_parts(value: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = value.as_ptr().addr();
    value.split([',', '=', ':', ' ', '\t']).map(move |part| (part.as_ptr().addr() - start, part))
}

/// `-L/a` names `/a`; all else stands for itself.
fn behind_letter_option(part: &str) -> &str {
    match part.as_bytes() {
        [b'-', b'L' | b'T' | b'B' | b'F' | b'I' | b'R', _, ..] => &part[2..],
        _ => part,
    }
}
