//! `larder config`: each value and where it came from.

use cache_rustc::engine::PathMode;
use cache_rustc::linker::Linker;

use crate::config::{Config, Origin};
use crate::places;

/// Prints the settings; `false` when some of them cannot be used.
pub(super) fn run() -> bool {
    let config = Config::load();
    print!("{}", describe(&config));
    for problem in &config.problems {
        eprintln!("{problem}");
    }
    config.problems.is_empty()
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
    let rows: [(&str, String, &Origin); 10] = [
        ("dir", path(config.dir.value.as_deref()), &config.dir.origin),
        ("mode", config.mode.value.name().into(), &config.mode.origin),
        ("paths", paths.into(), &config.paths.origin),
        ("size", places::budget(config.size.value), &config.size.origin),
        ("log", path(config.log.value.as_deref()), &config.log.origin),
        ("trace", on_off(config.trace.value), &config.trace.origin),
        ("fill", on_off(config.fill.value), &config.fill.origin),
        ("build-scripts", on_off(config.scripts.value), &config.scripts.origin),
        ("build-scripts-except", except, &config.scripts_except.origin),
        ("link.linker", linker.into(), &config.linker.origin),
    ];
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
