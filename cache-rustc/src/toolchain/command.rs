//! Which argument is the compiler, and which an inner wrapper.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A wrapper's argument vector taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// The program between this wrapper and the compiler, if there is one: what
    /// `RUSTC_WORKSPACE_WRAPPER` names (`clippy-driver` under `cargo clippy`), or another
    /// `RUSTC_WRAPPER`. It is run with the compiler as its first argument.
    pub wrapper: Option<&'a OsStr>,
    /// The compiler.
    pub compiler: &'a OsStr,
    /// The compiler's arguments.
    pub args: &'a [OsString],
}

/// Takes apart what a `RUSTC_WRAPPER` is given: `argv` without the wrapper's own name.
///
/// cargo puts the wrappers in front of the compiler, the workspace wrapper innermost
/// (`cargo::util::rustc::Rustc::workspace_process`), and the compiler's own first argument is
/// never a program. So `argv[0]` is an inner wrapper exactly when `argv[1]` is the compiler: a
/// path or name whose last component is `rustc` (or `rustc.exe`), or the value of `$RUSTC`
/// (`rustc_env`), which cargo joins to its working directory when it is a relative path.
///
/// `None` when `argv` is empty.
#[must_use]
pub fn split_command<'a>(argv: &'a [OsString], rustc_env: Option<&OsStr>) -> Option<Command<'a>> {
    let (first, rest) = argv.split_first()?;
    if let Some((second, args)) = rest.split_first()
        && (is_rustc(second) || rustc_env.is_some_and(|value| names(second, value)))
    {
        return Some(Command { wrapper: Some(first), compiler: second, args });
    }
    Some(Command { wrapper: None, compiler: first, args: rest })
}

fn is_rustc(program: &OsStr) -> bool {
    let name = Path::new(program).file_name();
    name == Some(OsStr::new("rustc")) || name == Some(OsStr::new("rustc.exe"))
}

fn names(program: &OsStr, rustc_env: &OsStr) -> bool {
    if rustc_env.is_empty() {
        return false;
    }
    let value = Path::new(rustc_env);
    let value = value.strip_prefix("./").unwrap_or(value);
    program == rustc_env
        || (value.components().count() > 1
            && value.is_relative()
            && Path::new(program).ends_with(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(parts: &[&str]) -> Vec<OsString> {
        parts.iter().map(OsString::from).collect()
    }

    fn split(parts: &[&str], rustc_env: Option<&str>) -> (Option<String>, String, usize) {
        let argv = argv(parts);
        let command = split_command(&argv, rustc_env.map(OsStr::new)).expect("not empty");
        let text = |s: &OsStr| s.to_str().expect("utf-8").to_owned();
        (command.wrapper.map(text), text(command.compiler), command.args.len())
    }

    #[test]
    fn plain_compiler() {
        assert_eq!(split(&["/t/bin/rustc", "-vV"], None), (None, "/t/bin/rustc".into(), 1));
        assert_eq!(split(&["rustc"], None), (None, "rustc".into(), 0));
    }

    #[test]
    fn clippy_in_front() {
        let parts = ["/t/bin/clippy-driver", "/t/bin/rustc", "--crate-name", "a"];
        assert_eq!(
            split(&parts, None),
            (Some("/t/bin/clippy-driver".into()), "/t/bin/rustc".into(), 2)
        );
        assert_eq!(split(&["w", "rustc", "-"], None), (Some("w".into()), "rustc".into(), 1));
    }

    #[test]
    fn renamed_compiler_is_known_by_the_environment() {
        let parts = ["w", "/here/tools/my-rc", "-vV"];
        assert_eq!(split(&parts, None).0, None);
        assert_eq!(split(&parts, Some("/here/tools/my-rc")).0.as_deref(), Some("w"));
        assert_eq!(split(&parts, Some("./tools/my-rc")).0.as_deref(), Some("w"));
        assert_eq!(split(&parts, Some("tools/my-rc")).0.as_deref(), Some("w"));
        assert_eq!(split(&parts, Some("")).0, None);
        // A bare name is looked up in PATH; cargo passes it on as it is.
        assert_eq!(split(&parts, Some("my-rc")).0, None);
    }

    #[test]
    fn a_source_file_called_rustc_is_no_compiler() {
        assert_eq!(split(&["rustc", "src/rustc.rs"], None), (None, "rustc".into(), 1));
    }

    #[test]
    fn nothing_given() {
        assert_eq!(split_command(&[], None), None);
    }
}
