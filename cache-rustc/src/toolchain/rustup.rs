//! rustup: its proxies, and what decides which toolchain one of them runs.
//!
//! A proxy is the rustup binary under a tool's name: a symbolic link to `rustup` (what
//! rustup-init makes today), or a hard link beside it. The order of choice is documented in the
//! rustup book, "Overrides": `+toolchain`, `RUSTUP_TOOLCHAIN`, then for each directory upwards the
//! override in `settings.toml` and a `rust-toolchain` or `rust-toolchain.toml`, then the default
//! (`Cfg::find_override_config` and `find_override_from_dir_walk` in rustup's `src/config.rs`).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_core::Hasher;

use super::stamp::Stamp;

/// A look-up of an environment variable.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Whether a program is a proxy; `real` is its path with all links resolved.
pub(super) fn is_proxy(real: &Path) -> bool {
    let name = real.file_name().unwrap_or_default();
    if name == "rustup" || name == "rustup-init" {
        return true;
    }
    let same = |a: &Path, b: &Path| Some(Stamp::of(a).ok()??.file() == Stamp::of(b).ok()??.file());
    same(&real.with_file_name("rustup"), real).unwrap_or(false)
}

/// rustup's home: `$RUSTUP_HOME`, else `~/.rustup`. An empty value counts as unset and a relative
/// one is joined to the working directory (crate `home`, which rustup and cargo use).
pub(super) fn home(env: Env<'_>, cwd: &Path) -> Option<PathBuf> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    set("RUSTUP_HOME")
        .map(|dir| cwd.join(dir))
        .or_else(|| Some(Path::new(&set("HOME")?).join(".rustup")))
}

/// The directory of a toolchain that is named in full: by an absolute path, by a custom name, or
/// by an official name with its whole target triple, as rustup itself exports it in
/// `RUSTUP_TOOLCHAIN`. `None` for a name that rustup would complete (`stable`,
/// `1.90-x86_64`): the answer then depends on its default host.
pub(super) fn directory_of(name: &OsStr, home: &Path) -> Option<PathBuf> {
    let path = Path::new(name);
    if name.as_bytes().contains(&b'/') {
        return path.is_absolute().then(|| path.to_owned());
    }
    let text = name.to_str()?;
    let complete = !looks_official(text) || has_whole_triple(text);
    (complete && !matches!(text, "" | "." | ".." | "none"))
        .then(|| home.join("toolchains").join(path))
}

fn looks_official(name: &str) -> bool {
    let channel = name.split('-').next().unwrap_or_default();
    matches!(channel, "stable" | "beta" | "nightly")
        || channel.starts_with(|c: char| c.is_ascii_digit())
}

fn has_whole_triple(name: &str) -> bool {
    ["-unknown-", "-apple-", "-pc-"].iter().any(|vendor| name.contains(vendor))
        && !["-linux", "-windows"].iter().any(|os| name.ends_with(os))
}

/// Adds to `key` everything that decides which toolchain a proxy runs in `cwd`: by content, so
/// that no stamp needs to be trusted. `cwd` itself counts only when `settings.toml` has
/// overrides for directories: files in it and above are added by themselves.
pub(super) fn add_selection(key: &mut Hasher, env: Env<'_>, cwd: &Path) {
    const DECIDING: &[&str] = &[
        "RUSTUP_TOOLCHAIN",
        "RUSTUP_HOME",
        "HOME",
        "CARGO_HOME",
        "RUSTUP_OVERRIDE_UNIX_FALLBACK_SETTINGS",
    ];
    for name in DECIDING {
        optional(key, env(name).as_deref().map(OsStr::as_bytes));
    }
    let home = home(env, cwd);
    let settings = home.as_ref().and_then(|home| fs::read(home.join("settings.toml")).ok());
    let fallback = env("RUSTUP_OVERRIDE_UNIX_FALLBACK_SETTINGS")
        .unwrap_or_else(|| "/etc/rustup/settings.toml".into());
    optional(key, settings.as_deref());
    optional(key, fs::read(cwd.join(fallback)).ok().as_deref());
    // A toolchain that is installed, removed or linked anew moves this directory's times.
    let toolchains = home.and_then(|home| Stamp::of(&home.join("toolchains")).ok()?);
    optional(key, toolchains.map(Stamp::to_bytes).as_ref().map(<[u8; Stamp::LEN]>::as_slice));
    let by_directory =
        settings.is_some_and(|text| names_directories(&String::from_utf8_lossy(&text)));
    optional(key, by_directory.then(|| cwd.as_os_str().as_bytes()));
    add_files_upwards(key, cwd, &["rust-toolchain", "rust-toolchain.toml"]);
}

/// Adds path and content of each of `names` that lies in `cwd` or a directory above it.
pub(super) fn add_files_upwards(key: &mut Hasher, cwd: &Path, names: &[&str]) {
    for dir in cwd.ancestors() {
        for name in names {
            let path = dir.join(name);
            if let Ok(content) = fs::read(&path) {
                key.field(path.as_os_str().as_bytes()).field(&content);
            }
        }
    }
}

/// Adds a value that may be missing, so that missing differs from empty.
pub(super) fn optional(key: &mut Hasher, value: Option<&[u8]>) {
    match value {
        Some(bytes) => key.field(b"+").field(bytes),
        None => key.field(b"-"),
    };
}

/// Whether `settings.toml` may hold an override for a directory. An unusual form counts as yes.
fn names_directories(settings: &str) -> bool {
    let Some((before, after)) = settings.split_once("[overrides]") else {
        return settings.contains("overrides");
    };
    let first =
        after.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    before.contains("overrides")
        || after.contains("overrides")
        || first.is_some_and(|line| !line.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_directories() {
        let dir = |name: &str| directory_of(OsStr::new(name), Path::new("/r"));
        let under = |name: &str| Some(Path::new("/r/toolchains").join(name));
        for whole in [
            "stable-x86_64-unknown-linux-gnu",
            "1.90.0-aarch64-apple-darwin",
            "nightly-2026-01-02-x86_64-pc-windows-msvc",
            "mine",
            "stage1",
        ] {
            assert_eq!(dir(whole), under(whole));
        }
        for partial in [
            "stable",
            "nightly-2026-01-02",
            "1.90",
            "1.90.0-x86_64",
            "beta-x86_64-unknown-linux",
            "",
            "..",
        ] {
            assert_eq!(dir(partial), None, "{partial}");
        }
        assert_eq!(dir("/opt/rust"), Some("/opt/rust".into()));
        assert_eq!(dir("opt/rust"), None);
    }

    #[test]
    fn directories_in_settings() {
        assert!(!names_directories("version = \"12\"\n\n[overrides]\n"));
        assert!(!names_directories("version = \"12\"\n"));
        assert!(!names_directories("[overrides]\n# none\n[other]\na = 1\n"));
        assert!(names_directories("[overrides]\n\"/ws\" = \"nightly\"\n"));
        assert!(names_directories("overrides = { \"/ws\" = \"nightly\" }\n"));
        assert!(names_directories("[overrides]\n[x]\n[overrides.y]\n"));
    }

    #[test]
    fn home_directory() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
        };
        let cwd = Path::new("/w");
        assert_eq!(home(&env(&[("HOME", "/h")]), cwd), Some("/h/.rustup".into()));
        assert_eq!(
            home(&env(&[("HOME", "/h"), ("RUSTUP_HOME", "")]), cwd),
            Some("/h/.rustup".into())
        );
        assert_eq!(home(&env(&[("RUSTUP_HOME", "r")]), cwd), Some("/w/r".into()));
        assert_eq!(home(&env(&[]), cwd), None);
    }
}
