//! The configuration file.
//!
//! ```toml
//! dir = "/var/cache/larder"   # the store; `~/` is the home directory
//! mode = "on"                 # on, off, readonly, refresh
//! paths = "portable"          # portable, exact
//! size = "20GiB"              # a size, "auto" or "unlimited"
//! log = "/tmp/larder.log"     # one line per compiler invocation
//! trace = true                # whether compilers are traced
//! fill = true                 # whether a known build is put in place before cargo looks
//! prime = false               # whether restored crates are made ready for their first edit
//! build-scripts = true        # whether runs of build scripts are cached
//! build-scripts-except = ["openssl-sys"]  # packages whose build scripts always run
//!
//! [link]
//! linker = "default"          # wild, mold, lld, default
//!
//! [remote]
//! url = "s3://bucket/prefix"  # where outcomes are shared; "off" is nowhere
//! mode = "read-write"         # read, read-write
//! fetch = "when-faster"       # when-faster, always
//! trusted-keys = ["ed25519:…"]  # whose records are accepted; without, all are
//! signing-key = "~/.config/larder/signing-key"
//!
//! [remote.options]            # the backend's own
//! endpoint = "http://127.0.0.1:9000"
//!
//! [execute]
//! url = "grpc://host:port/instance"  # where units are compiled too; "off" is nowhere
//! local = "race"              # race, fallback, never
//!
//! [execute.options]           # how the engine is reached
//! token_file = "/run/secrets/token"
//! ```
//!
//! Relative paths are relative to the file's own directory.

use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike, Value};

use super::values::{self, Unusable, suggest};
use super::{Config, Origin, Problem, Setting, execute, remote};

const KEYS: [&str; 20] = [
    "dir",
    "mode",
    "paths",
    "size",
    "log",
    "trace",
    "build-scripts",
    "build-scripts-except",
    "link.linker",
    "fill",
    "prime",
    "remote.url",
    "remote.mode",
    "remote.fetch",
    "remote.trusted-keys",
    "remote.signing-key",
    "remote.options",
    "execute.url",
    "execute.local",
    "execute.options",
];

/// The tables with names of the backend's own.
const OPTIONS: &str = "remote.options";
const EXECUTE_OPTIONS: &str = "execute.options";

/// Puts the file's values into `config`.
pub(super) fn apply(config: &mut Config, path: &Path, text: &str, home: Option<&Path>) {
    let file = File { path, text, home };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            config.remote.withheld = true;
            config.execute.withheld = true;
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
    file.take(config, "", document.as_table());
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    home: Option<&'a Path>,
}

impl File<'_> {
    /// Takes each value of a table; `path` comes before its keys.
    fn take(&self, config: &mut Config, path: &str, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let key = format!("{path}{name}");
            let is_table =
                ["link", "remote", "execute", OPTIONS, EXECUTE_OPTIONS].contains(&key.as_str());
            if let (true, Some(table)) = (is_table, item.as_table_like()) {
                self.take(config, &format!("{key}."), table);
                continue;
            }
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            let at = span.map_or(0, |span| span.start);
            if let Err(unusable) = self.set(config, &key, item, at) {
                let value = item.span().and_then(|span| self.text.get(span)).unwrap_or_default();
                // Any option may be a secret.
                let secret = key.starts_with(OPTIONS) || key.starts_with(EXECUTE_OPTIONS);
                let value = if secret { "" } else { value };
                config.problems.push(Problem {
                    place: self.place(at),
                    key,
                    value: value.lines().next().unwrap_or_default().trim().into(),
                    message: unusable.message,
                    fix: unusable.fix,
                });
            }
        }
    }

    fn set(&self, config: &mut Config, key: &str, item: &Item, at: usize) -> Result<(), Unusable> {
        let origin = Origin::File { path: self.path.into(), line: self.line(at) };
        match key {
            "dir" => config.dir = Setting { value: Some(self.path_value(item)?), origin },
            "log" => config.log = Setting { value: Some(self.path_value(item)?), origin },
            "link.linker" => {
                config.linker = Setting { value: values::linker(string(item)?)?, origin };
            }
            "remote.url" => {
                config.remote.url = Setting { value: remote::url(string(item)?)?, origin };
            }
            "remote.mode" => {
                config.remote.access = Setting { value: remote::access(string(item)?)?, origin };
            }
            "remote.fetch" => {
                config.remote.fetch = Setting { value: remote::fetch(string(item)?)?, origin };
            }
            "remote.trusted-keys" => {
                let value = remote::keys(strings(item)?.into_iter())?;
                config.remote.trusted = Setting { value, origin };
            }
            "remote.signing-key" => {
                let value = Some(self.path_value(item)?);
                config.remote.signing_key = Setting { value, origin };
            }
            "execute.url" => {
                config.execute.url = Setting { value: execute::url(string(item)?)?, origin };
            }
            "execute.local" => {
                config.execute.local = Setting { value: execute::local(string(item)?)?, origin };
            }
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
                config.trace = Setting { value: truth(item)?, origin };
            }
            "fill" => config.fill = Setting { value: truth(item)?, origin },
            "prime" => config.prime = Setting { value: truth(item)?, origin },
            "build-scripts" => config.scripts = Setting { value: truth(item)?, origin },
            "build-scripts-except" => {
                config.scripts_except = Setting { value: packages(item)?, origin };
            }
            OPTIONS | EXECUTE_OPTIONS => return Err(not_an_option()),
            _ => {
                let named = |table| key.strip_prefix(table).and_then(|key| key.strip_prefix('.'));
                let tables = [
                    (named(OPTIONS), &mut config.remote.options),
                    (named(EXECUTE_OPTIONS), &mut config.execute.options),
                ];
                for (option, options) in tables {
                    if let Some(option) = option {
                        let set = Setting { value: self::option(item)?, origin };
                        options.insert(option.to_owned(), set);
                        return Ok(());
                    }
                }
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

fn truth(item: &Item) -> Result<bool, Unusable> {
    item.as_bool().ok_or_else(|| Unusable {
        message: "not a truth value".into(),
        fix: "write true or false, without quotes".into(),
    })
}

fn packages(item: &Item) -> Result<Vec<String>, Unusable> {
    values::packages(strings(item)?.into_iter())
}

fn strings(item: &Item) -> Result<Vec<&str>, Unusable> {
    let texts = item.as_array().map(|texts| texts.iter().map(Value::as_str).collect());
    let texts: Option<Vec<&str>> = texts.unwrap_or_default();
    texts.ok_or_else(|| Unusable {
        message: "not a list of names".into(),
        fix: "write names in double quotes between [ and ]".into(),
    })
}

/// A text, number or truth value.
fn option(item: &Item) -> Result<String, Unusable> {
    match item.as_value().ok_or_else(not_an_option)? {
        Value::String(text) => Ok(text.value().clone()),
        Value::Integer(number) => Ok(number.value().to_string()),
        Value::Boolean(truth) => Ok(truth.value().to_string()),
        _ => Err(not_an_option()),
    }
}

fn not_an_option() -> Unusable {
    Unusable {
        message: "not an option of the remote".into(),
        fix: "write [remote.options] and below it NAME = \"VALUE\"".into(),
    }
}

fn string(item: &Item) -> Result<&str, Unusable> {
    item.as_str().ok_or_else(|| Unusable {
        message: "not a text".into(),
        fix: "put the value in double quotes".into(),
    })
}
