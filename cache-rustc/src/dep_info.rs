//! rustc's dep-info files (`--emit dep-info`, `*.d`).
//!
//! A dep-info file lists what a compile read, in the syntax of Make, with comments that cargo
//! understands. The format, from `write_out_deps` in `rustc_interface::passes`:
//!
//! ```text
//! target/debug/deps/foo-1a2b.d: src/lib.rs src/with\ space.rs
//!                                        (an empty line after each rule)
//! target/debug/deps/libfoo-1a2b.rlib: src/lib.rs src/with\ space.rs
//!
//! src/lib.rs:                            (one line for each file)
//! src/with\ space.rs:
//!                                        (an empty line, when there are env-dep lines)
//! # env-dep:CARGO_PKG_NAME=foo           (a variable that was read with env! and the like)
//! # env-dep:NOT_SET                      (one that was read and not set)
//! # checksum:blake3=… file_len:12 src/lib.rs      (-Z checksum-hash-algorithm only)
//! ```
//!
//! In the paths of files a blank is written `\ ` and nothing else is escaped, so that a rule by
//! itself is ambiguous for a file whose name ends in a backslash; targets are not escaped at
//! all. But the list of files is the same in all rules and stands once more, one file a line,
//! and this settles what a rule says. In `env-dep` lines `\n`, `\r` and `\\` are escapes.
//!
//! [`DepInfo::parse`] accepts exactly what rustc writes (and the same with `\r\n`) and refuses
//! everything else: a list of inputs that might not be whole is an error, never a shorter list.
//! A file name with a line break in it, which rustc does not escape, is refused in this way.

use memchr::{memchr, memchr_iter, memmem};

/// The content of a dep-info file. Paths and values are unescaped bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DepInfo {
    /// The outputs, as on rustc's command line, in order: each is the target of a rule.
    pub targets: Vec<Vec<u8>>,
    /// The files that were read, as they were named, in order: sources, included files, tracked
    /// paths. Each is a dependency in every rule and has a line of its own. A path can occur
    /// twice.
    pub files: Vec<Vec<u8>>,
    /// The environment variables that were read, sorted by name as rustc does.
    pub env: Vec<EnvDep>,
    /// The checksum lines, in order.
    pub checksums: Vec<Checksum>,
    /// Lines end in `\r\n`. rustc never writes this; another program may have.
    pub crlf: bool,
}

/// An environment variable that the source reads with `env!`, `option_env!` or a proc macro's
/// tracked interface.
///
/// Two things that the format does not tell apart: a name with a `=` in it (`option_env!("A=B")`)
/// reads as a variable `A`, and a value that is not Unicode as unset. Compare with the real
/// environment before relying on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvDep {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value; `None` when it was not set.
    pub value: Option<Vec<u8>>,
}

/// A file's checksum, with `-Z checksum-hash-algorithm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Algorithm and digest: `blake3=1aee…`.
    pub hash: Vec<u8>,
    /// The file's length in bytes.
    pub file_len: u64,
    /// The file.
    pub path: Vec<u8>,
}

/// Why some bytes are not a dep-info file. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DepInfoError {
    /// The last line has no end: the file is cut short.
    #[error("the last line has no end")]
    Unterminated,
    /// There is no line that lists a file.
    #[error("no file is listed")]
    NoFiles,
    /// A line that is none of those that belong here.
    #[error("line {0} is not understood")]
    Line(usize),
    /// A rule whose dependencies are not the files that are listed below it.
    #[error("the rule in line {0} does not name the files listed")]
    RuleDisagrees(usize),
}

const ENV: &[u8] = b"# env-dep:";
const CHECKSUM: &[u8] = b"# checksum:";

impl DepInfo {
    /// Parses a dep-info file.
    ///
    /// # Errors
    ///
    /// When the bytes are not, to the last one, what rustc writes. For every value returned,
    /// [`render`](Self::render) gives the same bytes again.
    pub fn parse(bytes: &[u8]) -> Result<Self, DepInfoError> {
        let Some(unix) = without_carriage_returns(bytes) else {
            return Self::parse_lines(bytes);
        };
        Ok(Self { crlf: true, ..Self::parse_lines(&unix)? })
    }

    fn parse_lines(bytes: &[u8]) -> Result<Self, DepInfoError> {
        let body = match bytes {
            [] => return Err(DepInfoError::NoFiles),
            [body @ .., b'\n'] => body,
            _ => return Err(DepInfoError::Unterminated),
        };
        let mut lines = Lines { rest: Some(body), number: 0 };
        let rules = rules(&mut lines)?;
        let files = file_lines(&mut lines);
        if files.is_empty() {
            return Err(DepInfoError::NoFiles);
        }
        let mut info = Self { targets: targets(&rules, &files)?, ..Self::default() };
        info.files = files.into_iter().map(unescape_path).collect();
        if lines.peek() == Some(b"") {
            lines.next();
            while let Some(line) = lines.next_with_prefix(ENV) {
                info.env.push(env_dep(line).ok_or(DepInfoError::Line(lines.number))?);
            }
            if info.env.is_empty() {
                return Err(DepInfoError::Line(lines.number));
            }
        }
        while let Some(line) = lines.next_with_prefix(CHECKSUM) {
            info.checksums.push(checksum(line).ok_or(DepInfoError::Line(lines.number))?);
        }
        match lines.next() {
            None => Ok(info),
            Some(_) => Err(DepInfoError::Line(lines.number)),
        }
    }

    /// The file as rustc would write it.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let end: &[u8] = if self.crlf { b"\r\n" } else { b"\n" };
        let escaped: Vec<Vec<u8>> = self.files.iter().map(|path| escape_path(path)).collect();
        let deps = escaped.join(&b' ');
        let mut out = Vec::with_capacity((deps.len() + 128) * (self.targets.len() + 2));
        let mut put = |parts: &[&[u8]]| {
            for part in parts {
                out.extend_from_slice(part);
            }
            out.extend_from_slice(end);
        };
        for target in &self.targets {
            put(&[target, b": ", &deps]);
            put(&[]);
        }
        for path in &escaped {
            put(&[path, b":"]);
        }
        if !self.env.is_empty() {
            put(&[]);
        }
        for EnvDep { name, value } in &self.env {
            match value {
                Some(value) => put(&[ENV, &escape_env(name), b"=", &escape_env(value)]),
                None => put(&[ENV, &escape_env(name)]),
            }
        }
        for Checksum { hash, file_len, path } in &self.checksums {
            let len = file_len.to_string();
            put(&[CHECKSUM, hash, b" file_len:", len.as_bytes(), b" ", &escape_path(path)]);
        }
        out
    }

    /// Replaces every path: targets, files, and files with checksums. Values of environment
    /// variables are left alone, also when they hold a path.
    #[must_use]
    pub fn map_paths(mut self, mut map: impl FnMut(&[u8]) -> Vec<u8>) -> Self {
        let checksums = self.checksums.iter_mut().map(|checksum| &mut checksum.path);
        for path in self.targets.iter_mut().chain(&mut self.files).chain(checksums) {
            *path = map(path);
        }
        self
    }
}

/// The lines of a file, without their ends.
struct Lines<'a> {
    rest: Option<&'a [u8]>,
    /// How many lines have been taken.
    number: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        Some(memchr(b'\n', rest).map_or(rest, |at| &rest[..at]))
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.peek()?;
        self.rest = self.rest.and_then(|rest| rest.get(line.len() + 1..));
        self.number += 1;
        Some(line)
    }

    /// Takes the next line if it begins with `prefix`, and gives what follows.
    fn next_with_prefix(&mut self, prefix: &[u8]) -> Option<&'a [u8]> {
        let body = self.peek()?.strip_prefix(prefix)?;
        self.next();
        Some(body)
    }
}

/// If all lines end in `\r\n`, the same with `\n`. rustc's own files are not taken for such,
/// since they have empty lines or, at least, lines that end in a colon.
fn without_carriage_returns(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut unix = Vec::new();
    let mut start = 0;
    for end in memchr_iter(b'\n', bytes) {
        unix.extend_from_slice(bytes[start..end].strip_suffix(b"\r")?);
        unix.push(b'\n');
        start = end + 1;
    }
    unix.extend_from_slice(&bytes[start..]);
    (start > 0).then_some(unix)
}

/// Takes the lines before the first file line: rules with an empty line after each.
fn rules<'a>(lines: &mut Lines<'a>) -> Result<Vec<&'a [u8]>, DepInfoError> {
    let mut rules = Vec::new();
    while let Some(line) = lines.peek().filter(|line| file_line(line).is_none()) {
        lines.next();
        rules.push(line);
        match lines.next() {
            Some(b"") => {}
            Some(_) => return Err(DepInfoError::Line(lines.number)),
            None => return Err(DepInfoError::NoFiles),
        }
    }
    Ok(rules)
}

/// Takes the file lines; the paths are still escaped.
fn file_lines<'a>(lines: &mut Lines<'a>) -> Vec<&'a [u8]> {
    let mut files = Vec::new();
    while let Some(path) = lines.peek().and_then(file_line) {
        lines.next();
        files.push(path);
    }
    files
}

/// The path of a line `path:`, in which all blanks are escaped. In a rule one is not: that
/// behind the colon.
fn file_line(line: &[u8]) -> Option<&[u8]> {
    let path = line.strip_suffix(b":")?;
    memchr_iter(b' ', path).all(|at| at > 0 && path[at - 1] == b'\\').then_some(path)
}

/// What is left of each rule when `: ` and the listed files are taken from its end.
fn targets(rules: &[&[u8]], files: &[&[u8]]) -> Result<Vec<Vec<u8>>, DepInfoError> {
    let deps = files.join(&b' ');
    let target = |(at, rule): (usize, &&[u8])| {
        let target = rule.strip_suffix(deps.as_slice()).and_then(|rest| rest.strip_suffix(b": "));
        // Rules stand in every other line.
        target.map(<[u8]>::to_vec).ok_or(DepInfoError::RuleDisagrees(2 * at + 1))
    };
    rules.iter().enumerate().map(target).collect()
}

/// `NAME` or `NAME=value`.
fn env_dep(line: &[u8]) -> Option<EnvDep> {
    let (name, value) = match memchr(b'=', line) {
        Some(at) => (&line[..at], Some(unescape_env(&line[at + 1..])?)),
        None => (line, None),
    };
    Some(EnvDep { name: unescape_env(name)?, value })
}

/// `hash file_len:N path`.
fn checksum(line: &[u8]) -> Option<Checksum> {
    let hash = &line[..memchr(b' ', line)?];
    let rest = line[hash.len()..].strip_prefix(b" file_len:")?;
    let digits = &rest[..memchr(b' ', rest)?];
    let path = &rest[digits.len() + 1..];
    let file_len: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let canonical = file_len.to_string().as_bytes() == digits;
    let escaped = memchr_iter(b' ', path).all(|at| at > 0 && path[at - 1] == b'\\');
    (canonical && escaped).then(|| Checksum {
        hash: hash.to_vec(),
        file_len,
        path: unescape_path(path),
    })
}

fn escape_path(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for &byte in path {
        if byte == b' ' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

/// Removes the backslash before each blank; there is one.
fn unescape_path(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut start = 0;
    for at in memmem::find_iter(path, b"\\ ") {
        out.extend_from_slice(&path[start..at]);
        start = at + 1;
    }
    out.extend_from_slice(&path[start..]);
    out
}

fn escape_env(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for &byte in value {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            _ => out.push(byte),
        }
    }
    out
}

fn unescape_env(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'\\' => b'\\',
                _ => return None,
            },
            // rustc would have escaped it.
            b'\r' => return None,
            _ => byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests;
