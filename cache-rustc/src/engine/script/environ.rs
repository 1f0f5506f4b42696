//! The environment of a build script's run, read as a whole.
//!
//! A shell takes every variable it is given. What a session leaves behind in an environment
//! (the terminal, the directory before this one, the connection) would make each session's runs
//! differ, so it counts only where the run's outputs carry such a value.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use cache_core::Digest;

use super::super::action::Env;
use super::super::facts::environ_digest;
use super::super::place::Place;
use crate::env_class;

/// The variant that a run depends on which read the environment as a whole. What of the session its outputs
/// carry is a fact of its own.
pub(super) const SESSIONLESS: &str = "environ-without-session";

/// Names of variables that a session sets, terminals and remote logins among them.
const SESSION: &[&str] = &[
    "COLORTERM",
    "COLUMNS",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "GPG_TTY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LINES",
    "LS_COLORS",
    "NUM_JOBS",
    "OLDPWD",
    "PATH",
    "PWD",
    "SHLVL",
    "STY",
    "SYSTEMD_EXEC_PID",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TMUX",
    "TMUX_PANE",
    "WAYLAND_DISPLAY",
    "WINDOWID",
    "_",
];

/// Beginnings of such names.
const SESSION_PREFIXES: &[&str] = &["SSH_", "TERM_", "VSCODE_", "XDG_SESSION_"];

/// The shortest value, in bytes, whose presence in an output says something: `1` and `sh` occur in
/// every file.
pub(super) const MIN_TELLING: usize = 4;

/// Whether a session sets a variable.
pub(super) fn is_of_session(name: &OsStr) -> bool {
    SESSION.iter().any(|known| name == *known)
        || SESSION_PREFIXES.iter().any(|known| name.as_bytes().starts_with(known.as_bytes()))
}

/// The variables of the session that are set.
pub(super) fn session(env: &Env) -> impl Iterator<Item = (&OsString, &OsString)> {
    env.iter().filter(|(name, _)| is_of_session(name))
}

/// A digest of the whole environment that may matter, places taken out.
pub(super) fn whole(place: &Place, env: &Env) -> Digest {
    environ_digest(place, &sorted(env, |_| true))
}

/// The same without what a session sets.
pub(super) fn sessionless(place: &Place, env: &Env) -> Digest {
    environ_digest(place, &sorted(env, |name| !is_of_session(name)))
}

fn sorted(env: &Env, keep: impl Fn(&OsStr) -> bool) -> Vec<(OsString, OsString)> {
    let kept = env.iter().filter(|(name, _)| keep(name) && !is_wrapper(name));
    env_class::conservative(kept.map(|(name, value)| (name.clone(), value.clone())))
}

/// The names under which cargo tells a build script of this very program, which passes everything
/// on to the compiler.
pub(super) fn is_wrapper(name: &OsStr) -> bool {
    name == "RUSTC_WRAPPER" || name == "RUSTC_WORKSPACE_WRAPPER"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_differ_and_settings_count() {
        let place = Place::find(
            "/ws".as_ref(),
            "/ws/target/x/out".as_ref(),
            "/".as_ref(),
            None,
            "/tool".as_ref(),
            &|_| None,
        );
        let env = |pairs: &[(&str, &str)]| -> Env {
            pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
        };
        let one = env(&[("CFLAGS", "-O2"), ("OLDPWD", "/a"), ("SSH_TTY", "/dev/pts/1")]);
        let two = env(&[("CFLAGS", "-O2"), ("SHLVL", "3")]);
        let three = env(&[("CFLAGS", "-O3"), ("SHLVL", "3")]);
        assert_eq!(sessionless(&place, &one), sessionless(&place, &two));
        assert_ne!(whole(&place, &one), whole(&place, &two));
        assert_ne!(sessionless(&place, &two), sessionless(&place, &three));
    }
}
