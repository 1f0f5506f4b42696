//! Whether this process was started by cargo as a wrapper, or by a person.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The commands that people use. One of these as first argument is never a program to wrap.
pub(crate) const COMMANDS: [&str; 13] = [
    "try", "setup", "stats", "why", "doctor", "gc", "verify", "config", "help", "key", "remote",
    "push", "agent",
];

/// Whether the arguments (without this program's own name) are a command line to wrap.
///
/// cargo gives the compiler's name as it was configured, usually `rustc` or a path, with other
/// wrappers in front of it (`cargo::util::rustc::Rustc`). A bare name that is neither is believed
/// only if it can be run and something says that a compiler is meant, so that a misspelt command
/// is an error and no program is started by accident.
pub(crate) fn is_invocation(argv: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let Some(first) = argv.first() else { return false };
    if COMMANDS.iter().any(|command| first == command) || first.as_encoded_bytes().starts_with(b"-")
    {
        return false;
    }
    let second = argv.get(1);
    let configured = env("RUSTC");
    Path::new(first).components().count() > 1
        || is_compiler(first)
        || second.is_some_and(|second| is_compiler(second))
        || configured.is_some_and(|rustc| *first == rustc || second == Some(&rustc))
        || (is_compile(&argv[1..], env) && is_on_path(first, env))
}

fn is_compiler(program: &OsStr) -> bool {
    let stem = Path::new(program).file_stem();
    ["rustc", "clippy-driver", "rustdoc"].iter().any(|name| stem == Some(OsStr::new(name)))
}

fn is_compile(rest: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let asks = rest.iter().any(|arg| {
        arg == "-vV" || arg == "--crate-name" || arg.as_encoded_bytes().starts_with(b"--print")
    });
    let cargo = ["CARGO_CRATE_NAME", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    asks || (!rest.is_empty() && cargo.iter().any(|name| env(name).is_some()))
}

fn is_on_path(program: &OsStr, env: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let path = env("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wraps(args: &[&str], env: &[(&str, &str)]) -> bool {
        let argv: Vec<OsString> = args.iter().map(OsString::from).collect();
        is_invocation(&argv, &|name| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn what_cargo_asks_for_is_wrapped() {
        assert!(wraps(&["rustc", "-vV"], &[]));
        assert!(wraps(&["/usr/bin/rustc", "-", "--crate-name", "___"], &[]));
        assert!(wraps(&["clippy-driver", "rustc", "-vV"], &[]));
        assert!(wraps(&["sccache", "/opt/rust/bin/rustc", "a.rs"], &[]));
        assert!(wraps(&["my-rc", "-vV"], &[("RUSTC", "my-rc")]));
        assert!(wraps(&["sh", "--crate-name", "a"], &[("PATH", "/usr/bin:/bin")]));
    }

    #[test]
    fn commands_and_mistakes_are_not() {
        for command in COMMANDS {
            assert!(!wraps(&[command, "rustc"], &[]), "{command}");
        }
        assert!(!wraps(&[], &[]));
        assert!(!wraps(&["--version"], &[]));
        assert!(!wraps(
            &["nonsense"],
            &[("PATH", "/bin"), ("CARGO", "/x"), ("RUSTC_WRAPPER", "l")]
        ));
        assert!(!wraps(&["ls"], &[("PATH", "/usr/bin:/bin")]));
        assert!(!wraps(&["ls", "x"], &[("PATH", "/usr/bin:/bin")]));
    }
}
