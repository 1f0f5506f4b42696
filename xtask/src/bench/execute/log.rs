//! What `LARDER_LOG` says of compiles.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One compile.
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) kind: String,
    /// What the engine had to do with it; empty when it was not asked.
    pub(super) sent: String,
    /// How many files the engine was sent for it, the toolchain's not counted.
    pub(super) files: usize,
    /// What the engine lacked at first.
    pub(super) lacked: Vec<String>,
}

/// The units of a build that were compiled, wherever; runs of build scripts left out.
///
/// # Errors
/// When the log cannot be read.
pub(super) fn compiles(log: &Path) -> Result<Vec<Unit>> {
    let text = fs::read_to_string(log).with_context(|| format!("no log {}", log.display()))?;
    Ok(text.lines().filter_map(unit).collect())
}

fn unit(line: &str) -> Option<Unit> {
    let pairs = pairs(line);
    let value = |key: &str| {
        let found = pairs.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    if value("result") != "miss" || value("kind") == "build-script-run" {
        return None;
    }
    let lacked = pairs.iter().filter(|(key, _)| key == "lacked");
    Some(Unit {
        name: value("crate"),
        kind: value("kind"),
        sent: value("sent"),
        files: value("sent_files").parse().unwrap_or(0),
        lacked: lacked.map(|(_, value)| value.clone()).collect(),
    })
}

/// `key=value` and `key="value with spaces"`, as Rust's `Debug` quotes.
fn pairs(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted),
            None => {
                let (value, left) = after.split_once(' ').unwrap_or((after, ""));
                (value.to_owned(), left)
            }
        };
        pairs.push((key.trim().to_owned(), value));
        rest = left;
    }
    pairs
}

/// Up to the closing quote, and what is behind it.
fn quoted_value(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, next)) = chars.next() {
        match next {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiles_are_read_and_nothing_else() {
        let line = "crate=a unit=a-1 kind=lib result=miss reason=new sent=\"failed: not-worth: \\\"x\\\"\" \
                    lacked=\"file: /a b\" lacked=\"env: C\" total_us=1";
        let unit = unit(line).unwrap();
        assert_eq!((unit.name.as_str(), unit.kind.as_str()), ("a", "lib"));
        assert_eq!(unit.sent, "failed: not-worth: \"x\"");
        assert_eq!(unit.lacked, ["file: /a b", "env: C"]);
        for other in ["crate=a kind=build-script-run result=miss", "crate=a kind=lib result=hit"] {
            assert!(super::unit(other).is_none(), "{other}");
        }
    }
}
