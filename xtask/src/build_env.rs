//! The environment that a measured build runs in.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command in `directory` with the environment a user's shell would give it: what `cargo run`
/// adds for this process is gone, and so is every setting of a compile cache or a target directory.
/// `CARGO_INCREMENTAL` and `RUSTFLAGS` stay as the user has them.
///
/// `RUSTC_WRAPPER` is set to nothing, which also overrides `build.rustc-wrapper` in a
/// configuration file (cargo's reference, "Configuration", `build.rustc-wrapper`).
pub(crate) fn clean_command(program: &OsStr, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_foreign) {
            command.env_remove(&name);
        }
    }
    command.env("RUSTC_WRAPPER", "").env("CARGO_TERM_COLOR", "never");
    command
}

/// Set by `cargo run`, or by a user for another cache or target directory.
fn is_foreign(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "CARGO",
        "CARGO_BUILD_BUILD_DIR",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_TARGET_DIR",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "LD_LIBRARY_PATH",
        "OUT_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUST_RECURSION_COUNT",
    ];
    const PREFIXES: [&str; 7] =
        ["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_", "KACHE_", "LARDER_", "MBX_", "SCCACHE_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_run_adds_is_dropped_and_the_users_choices_stay() {
        for name in ["CARGO_PKG_NAME", "LD_LIBRARY_PATH", "LARDER_DIR", "CARGO_TARGET_DIR"] {
            assert!(is_foreign(name), "{name}");
        }
        for name in ["CARGO_INCREMENTAL", "RUSTFLAGS", "CARGO_HOME", "PATH", "RUSTUP_TOOLCHAIN"] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
