//! `larder config`: each value and where it came from.

use cache_rustc::engine::PathMode;
use cache_rustc::linker::Linker;
use cache_storage::object::without_password;

use crate::config::{Config, ExecuteConfig, Origin, RemoteConfig, Setting, shown_option};
use crate::places;

/// Prints the settings; `false` when some of them cannot be used.
pub(super) fn run() -> bool {
    let config = Config::load();
    say!("{}", describe(&config));
    for problem in &config.problems {
        eprintln!("{problem}");
    }
    config.problems.is_empty()
}

/// Key, value, and where it came from.
type Row = (String, String, Origin);

/// An address without its secrets, and why there is none.
fn address(key: &str, url: &Setting<Option<String>>, withheld: bool) -> Row {
    let shown = match &url.value {
        Some(url) => without_password(url),
        None if withheld => "none, because of a mistake".to_owned(),
        None => "none".to_owned(),
    };
    (key.to_owned(), shown, url.origin.clone())
}

/// The remote: its address always, the rest where there is one. No secrets.
fn remote(remote: &RemoteConfig) -> Vec<Row> {
    let mut rows = vec![address("remote.url", &remote.url, remote.withheld)];
    if remote.url.value.is_none() {
        return rows;
    }
    let (access, trusted, key) = (&remote.access, &remote.trusted, &remote.signing_key);
    let mut row = |key: &str, value: String, origin: &Origin| {
        rows.push((format!("remote.{key}"), value, origin.clone()));
    };
    row("mode", access.value.name().to_owned(), &access.origin);
    row("fetch", remote.fetch.value.name().to_owned(), &remote.fetch.origin);
    let keys = match trusted.value.as_slice() {
        [] => "none: signatures are not asked for".to_owned(),
        keys => keys.join(", "),
    };
    row("trusted-keys", keys, &trusted.origin);
    let file =
        key.value.as_ref().map_or_else(|| "none".to_owned(), |key| key.display().to_string());
    row("signing-key", file, &key.origin);
    for (name, set) in &remote.options {
        row(&format!("options.{name}"), shown_option(name, &set.value), &set.origin);
    }
    rows
}

/// The engine: its address always, the rest where there is one. No secrets.
fn execute(execute: &ExecuteConfig) -> Vec<Row> {
    let mut rows = vec![address("execute.url", &execute.url, execute.withheld)];
    if execute.url.value.is_none() {
        return rows;
    }
    let local = execute.local_name().to_owned();
    rows.push(("execute.local".to_owned(), local, execute.local.origin.clone()));
    for (name, set) in &execute.options {
        let shown = ExecuteConfig::shown_option(name, &set.value);
        rows.push((format!("execute.options.{name}"), shown, set.origin.clone()));
    }
    rows
}

fn describe(config: &Config) -> String {
    let path = |path: Option<&std::path::Path>| {
        path.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    };
    let paths = match config.paths.value {
        PathMode::Portable => "portable",
        PathMode::Exact => "exact",
    };
    let on_off = |on| if on { "on" } else { "off" }.to_owned();
    let except = match config.scripts_except.value.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let linker = config.linker.value.map_or("default", Linker::name);
    let own = |key: &str, value: String, origin: &Origin| (key.to_owned(), value, origin.clone());
    let mut rows: Vec<Row> = vec![
        own("dir", path(config.dir.value.as_deref()), &config.dir.origin),
        own("mode", config.mode.value.name().into(), &config.mode.origin),
        own("paths", paths.into(), &config.paths.origin),
        own("size", places::budget(config.size.value), &config.size.origin),
        own("log", path(config.log.value.as_deref()), &config.log.origin),
        own("trace", on_off(config.trace.value), &config.trace.origin),
        own("fill", on_off(config.fill.value), &config.fill.origin),
        own("prime", on_off(config.prime.value), &config.prime.origin),
        own("build-scripts", on_off(config.scripts.value), &config.scripts.origin),
        own("build-scripts-except", except, &config.scripts_except.origin),
        own("link.linker", linker.into(), &config.linker.origin),
    ];
    rows.extend(remote(&config.remote));
    rows.extend(execute(&config.execute));
    let keys = rows.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
    let width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (key, value, origin) in rows {
        let pad = " ".repeat(width - value.chars().count());
        out += &format!("{key:<keys$} {value}{pad}  ({origin})\n");
    }
    let state = if config.file_found { "" } else { ", not there" };
    out + &format!("{:<keys$} {}{state}\n", "file", path(config.file.as_deref()))
}
