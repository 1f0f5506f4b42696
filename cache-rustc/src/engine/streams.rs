//! The compiler's streams: passing them on as they come, with this checkout's paths in diagnostics.

use std::io::{self, Read, Write};
use std::sync::Mutex;

use cache_core::boundary::{self, Edge};
use memchr::{memchr, memmem};

use super::remap::Remap;

/// Where a unit's streams go. Called from several threads.
pub trait Sink: Sync {
    /// Passes on bytes of standard output.
    fn stdout(&self, bytes: &[u8]);
    /// Passes on bytes of standard error.
    fn stderr(&self, bytes: &[u8]);
}

/// This process' own standard streams. Errors (a closed pipe) are ignored, as the compile's result
/// does not depend on who listens.
#[derive(Debug, Default, Clone, Copy)]
pub struct StdStreams;

impl Sink for StdStreams {
    fn stdout(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    fn stderr(&self, bytes: &[u8]) {
        let _ = io::stderr().lock().write_all(bytes);
    }
}

/// Collects both streams, for tests and for tools that show output themselves.
#[derive(Debug, Default)]
pub struct Collected {
    /// Standard output so far.
    pub out: Mutex<Vec<u8>>,
    /// Standard error so far.
    pub err: Mutex<Vec<u8>>,
}

impl Sink for Collected {
    fn stdout(&self, bytes: &[u8]) {
        if let Ok(mut out) = self.out.lock() {
            out.extend_from_slice(bytes);
        }
    }

    fn stderr(&self, bytes: &[u8]) {
        if let Ok(mut err) = self.err.lock() {
            err.extend_from_slice(bytes);
        }
    }
}

/// Reads a stream to its end, passing it on line by line as it comes (`localize` may change a
/// line), and gives all that was passed on. A last line without a line end is passed on at the end
/// of the stream.
pub(super) fn pump(
    mut from: impl Read,
    to: &dyn Fn(&[u8]),
    localize: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let (mut all, mut pending) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        pending.extend_from_slice(&buffer[..read]);
        let whole = memchr::memrchr(b'\n', &pending).map_or(0, |at| at + 1);
        pass_lines(&pending[..whole], to, localize, &mut all);
        pending.drain(..whole);
    }
    pass_lines(&pending, to, localize, &mut all);
    all
}

fn pass_lines(
    mut lines: &[u8],
    to: &dyn Fn(&[u8]),
    localize: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    all: &mut Vec<u8>,
) {
    while !lines.is_empty() {
        let end = memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
        let (line, rest) = lines.split_at(end);
        let changed = localize(line);
        let line = changed.as_deref().unwrap_or(line);
        to(line);
        all.extend_from_slice(line);
        lines = rest;
    }
}

/// Puts this checkout's paths back into a diagnostic that names files by their mapped names.
///
/// In JSON every file of a diagnostic stands in a `"file_name"`; each that is a mapped name is
/// replaced wherever it occurs in the line, the rendered text included. `None`: nothing to change.
#[must_use]
pub(super) fn localize(line: &[u8], remap: &Remap) -> Option<Vec<u8>> {
    let key: &[u8] = b"\"file_name\":\"";
    if !line.starts_with(b"{") || remap.pairs.is_empty() {
        return None;
    }
    let mut names: Vec<(&str, String)> = Vec::new();
    for at in memmem::find_iter(line, key) {
        let rest = &line[at + key.len()..];
        let Some(name) = json_string(rest) else { continue };
        if names.iter().any(|(known, _)| *known == name) {
            continue;
        }
        // Names with escapes in them are left alone: rustc prints `/`, `.` and letters unescaped.
        if let Some(local) = remap.reverse(name).and_then(|path| path.to_str().map(json_escape)) {
            names.push((name, local));
        }
    }
    if names.is_empty() {
        return None;
    }
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let mut text = line.to_vec();
    for (name, local) in names {
        text = replace_paths(&text, name.as_bytes(), local.as_bytes());
    }
    Some(text)
}

/// The raw content of a JSON string that starts here, up to its closing quote.
fn json_string(rest: &[u8]) -> Option<&str> {
    let mut escaped = false;
    let end = rest.iter().position(|b| match (escaped, b) {
        (true, _) => {
            escaped = false;
            false
        }
        (false, b'\\') => {
            escaped = true;
            false
        }
        (false, b) => *b == b'"',
    })?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Replaces `name` where it begins a path (not in the middle of a longer one).
fn replace_paths(text: &[u8], name: &[u8], local: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + local.len());
    let mut kept = 0;
    for at in memmem::find_iter(text, name) {
        let begins = boundary::path_begins(&text[..at]) == Edge::Yes;
        if at >= kept && begins {
            out.extend_from_slice(&text[kept..at]);
            out.extend_from_slice(local);
            kept = at + name.len();
        }
    }
    out.extend_from_slice(&text[kept..]);
    out
}

/// The text as it stands inside a JSON string (RFC 8259, section 7).
#[must_use]
pub(super) fn json_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// [`json_escape`] for a path's bytes. rustc prints paths that are no UTF-8 lossily
/// (`rustc_errors::json`, through `Display`), so that is the form they have in its output.
#[must_use]
pub(super) fn json_escape_bytes(path: &[u8]) -> Vec<u8> {
    json_escape(&String::from_utf8_lossy(path)).into_bytes()
}

/// Whether a line of standard error tells cargo of a finished file
/// (`rustc_errors::json::ArtifactNotification`).
#[must_use]
pub(super) fn is_artifact(line: &[u8]) -> bool {
    line.starts_with(b"{\"$message_type\":\"artifact\"") || line.starts_with(b"{\"artifact\":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remap() -> Remap {
        Remap {
            pairs: vec![
                ("/w".into(), "."),
                ("/t \"q\"".into(), "./target"),
                ("/h/.cargo".into(), "/cargo"),
            ],
        }
    }

    #[test]
    fn mapped_names_become_local_paths_everywhere_in_a_diagnostic() {
        let line = br#"{"spans":[{"file_name":"./target/gen.rs"},{"file_name":"/cargo/registry/a.rs"},{"file_name":"src/lib.rs"}],"rendered":"--> ./target/gen.rs:1\n ::: /cargo/registry/a.rs:2\n x/./target/gen.rs src/lib.rs \u001b[0m./target/gen.rs"}"#;
        let want = br#"{"spans":[{"file_name":"/t \"q\"/gen.rs"},{"file_name":"/h/.cargo/registry/a.rs"},{"file_name":"src/lib.rs"}],"rendered":"--> /t \"q\"/gen.rs:1\n ::: /h/.cargo/registry/a.rs:2\n x/./target/gen.rs src/lib.rs \u001b[0m/t \"q\"/gen.rs"}"#;
        assert_eq!(
            localize(line, &remap()).map(|l| String::from_utf8_lossy(&l).into_owned()),
            Some(String::from_utf8_lossy(want).into_owned())
        );
    }

    #[test]
    fn other_lines_are_left_alone() {
        assert_eq!(localize(b"plain ./target/x", &remap()), None);
        assert_eq!(localize(br#"{"file_name":"src/lib.rs"}"#, &remap()), None);
    }

    #[test]
    fn pump_passes_whole_lines_and_the_unfinished_last_one() {
        let got = Mutex::new(Vec::new());
        let all = pump(
            &b"one\ntwo\nthr"[..],
            &|line| got.lock().expect("test").push(line.to_vec()),
            &|_| None,
        );
        assert_eq!(all, b"one\ntwo\nthr");
        assert_eq!(
            got.into_inner().expect("test"),
            [b"one\n".to_vec(), b"two\n".to_vec(), b"thr".to_vec()]
        );
    }
}
