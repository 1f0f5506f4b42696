//! cargo's configuration files, as far as `build.rustc-wrapper` goes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml_edit::Document;

/// cargo's home: `CARGO_HOME`, else `~/.cargo` (the `home` crate's rule).
pub(crate) fn home() -> Option<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").filter(|value| !value.is_empty());
    match named.map(PathBuf::from) {
        Some(home) => std::path::absolute(home).ok(),
        None => Some(std::env::home_dir()?.join(".cargo")),
    }
}

/// The configuration file in a `.cargo` directory: of `config` and `config.toml`, cargo reads the
/// one without extension if both are there.
pub(crate) fn file_in(dir: &Path) -> PathBuf {
    let old = dir.join("config");
    if old.is_file() { old } else { dir.join("config.toml") }
}

/// A wrapper that cargo would use, and who says so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrapper {
    /// The value; empty means none, and overrides what comes after it.
    pub(crate) value: OsString,
    /// The variable or file.
    pub(crate) source: String,
}

/// The wrappers that are configured for builds in `cwd`, the one that cargo uses first.
///
/// `RUSTC_WRAPPER` wins over `CARGO_BUILD_RUSTC_WRAPPER`, which wins over files, of which those
/// nearer to `cwd` win and cargo's home comes last (`cargo::util::context`, `load_global_rustc`).
pub(crate) fn wrappers(cwd: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Vec<Wrapper> {
    let mut found = Vec::new();
    for name in ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"] {
        if let Some(value) = env(name) {
            found.push(Wrapper { value, source: format!("environment, {name}") });
        }
    }
    let mut dirs: Vec<_> = cwd.ancestors().map(|dir| dir.join(".cargo")).collect();
    dirs.extend(home().filter(|home| !dirs.contains(home)));
    for dir in dirs {
        let file = file_in(&dir);
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if let Some(value) = wrapper_in(&text) {
            found.push(Wrapper { value: value.into(), source: file.display().to_string() });
        }
    }
    found
}

/// `build.rustc-wrapper` of a configuration file's text; `None` also when it is no TOML, about
/// which cargo complains by itself.
fn wrapper_in(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    Some(document.get("build")?.get("rustc-wrapper")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearer_files_come_first_and_the_environment_before_all() {
        let dir = tempfile::tempdir().expect("temp dir");
        let inner = dir.path().join("a/b");
        for (at, text) in [
            ("", "[build]\nrustc-wrapper = \"outer\"\n"),
            ("a/b", "build.rustc-wrapper = 'inner'\n"),
        ] {
            let cargo = dir.path().join(at).join(".cargo");
            std::fs::create_dir_all(&cargo).expect("mkdir");
            std::fs::write(cargo.join("config.toml"), text).expect("write");
        }
        let none = |_: &str| None;
        let values = |env: &dyn Fn(&str) -> Option<OsString>| {
            let all = wrappers(&inner, env);
            all.into_iter().map(|wrapper| wrapper.value).take(2).collect::<Vec<_>>()
        };
        assert_eq!(values(&none), ["inner", "outer"]);
        let env = |name: &str| (name == "RUSTC_WRAPPER").then(|| "".into());
        assert_eq!(values(&env), ["", "inner"]);
    }
}
