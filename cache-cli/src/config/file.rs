//! The configuration file.
//!
//! ```toml
//! dir = "/var/cache/larder"   # the store; `~/` is the home directory
//! mode = "on"                 # on, off, readonly, refresh
//! paths = "portable"          # portable, exact
//! size = "20GiB"              # a size, "auto" or "unlimited"
//! log = "/tmp/larder.log"     # one line per compiler invocation
//! trace = true                # whether compilers are traced
//! ```
//!
//! Relative paths are relative to the file's own directory.

use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Value};

use super::values::{self, Unusable, suggest};
use super::{Config, Origin, Problem, Setting};

const KEYS: [&str; 6] = ["dir", "mode", "paths", "size", "log", "trace"];

/// Puts the file's values into `config`.
pub(super) fn apply(config: &mut Config, path: &Path, text: &str, home: Option<&Path>) {
    let file = File { path, text, home };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            config.problems.push(Problem {
                place: file.place(at),
                key: file.line_text(at),
                value: String::new(),
                message: error.message().replace('\n', ", "),
                fix: "write it as TOML: KEY = VALUE on a line of its own, text in double quotes"
                    .into(),
            });
            return;
        }
    };
    for (key, item) in document.iter() {
        let at = document
            .key(key)
            .and_then(toml_edit::Key::span)
            .or_else(|| item.span())
            .map_or(0, |span| span.start);
        if let Err(unusable) = file.set(config, key, item, at) {
            let value = item.span().and_then(|span| text.get(span)).unwrap_or_default();
            config.problems.push(Problem {
                place: file.place(at),
                key: key.into(),
                value: value.lines().next().unwrap_or_default().trim().into(),
                message: unusable.message,
                fix: unusable.fix,
            });
        }
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    home: Option<&'a Path>,
}

impl File<'_> {
    fn set(&self, config: &mut Config, key: &str, item: &Item, at: usize) -> Result<(), Unusable> {
        let origin = Origin::File { path: self.path.into(), line: self.line(at) };
        match key {
            "dir" => config.dir = Setting { value: Some(self.path_value(item)?), origin },
            "log" => config.log = Setting { value: Some(self.path_value(item)?), origin },
            "mode" => config.mode = Setting { value: values::mode(string(item)?)?, origin },
            "paths" => config.paths = Setting { value: values::paths(string(item)?)?, origin },
            "size" => {
                let value = match item.as_value() {
                    Some(Value::Integer(bytes)) => values::size(&bytes.value().to_string())?,
                    _ => values::size(string(item)?)?,
                };
                config.size = Setting { value, origin };
            }
            "trace" => {
                let value = item.as_bool().ok_or_else(|| Unusable {
                    message: "not a truth value".into(),
                    fix: "write true or false, without quotes".into(),
                })?;
                config.trace = Setting { value, origin };
            }
            _ => {
                return Err(Unusable {
                    message: "not a known key".into(),
                    fix: suggest(key, &KEYS),
                });
            }
        }
        Ok(())
    }

    fn path_value(&self, item: &Item) -> Result<PathBuf, Unusable> {
        let text = string(item)?;
        if let Some(rest) = text.strip_prefix("~/") {
            let home = self.home.ok_or_else(|| Unusable {
                message: "there is no home directory".into(),
                fix: "write an absolute path".into(),
            })?;
            return Ok(home.join(rest));
        }
        let here = self.path.parent().unwrap_or(Path::new("/")).join(text);
        values::absolute(here.as_os_str())
    }

    fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
    }

    fn line_text(&self, at: usize) -> String {
        let line = self.text.lines().nth(self.line(at) - 1).unwrap_or_default();
        line.trim().into()
    }

    fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path.display(), self.line(at))
    }
}

fn string(item: &Item) -> Result<&str, Unusable> {
    item.as_str().ok_or_else(|| Unusable {
        message: "not a text".into(),
        fix: "put the value in double quotes".into(),
    })
}
