//! The environment that the trial's builds run in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// What decides where outputs go and what wraps the compiler: each build of the trial sets its own.
const OTHERS: [&str; 7] = [
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
];

/// What decides over larder itself.
const OURS: [&str; 6] =
    ["LARDER", "LARDER_DIR", "LARDER_CONFIG", "LARDER_LOG", "LARDER_SIZE", "LARDER_LINKER"];

/// What `cargo run` adds for the program it starts, which a shell would not have.
const CARGO_RUN: [&str; 5] =
    ["CARGO", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "OUT_DIR", "RUST_RECURSION_COUNT"];
const CARGO_RUN_PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

/// How cargo is run. `LARDER_PATHS`, `RUSTFLAGS`, `CARGO_INCREMENTAL`, profiles, `CARGO_HOME` and everything else
/// not named in this file stay as the user has them.
#[derive(Debug)]
pub(super) struct Environment {
    larder: PathBuf,
    /// Whether this process was started by `cargo run`.
    by_cargo: bool,
    /// The toolchain that rustup selects in the project's own directory.
    rustup: Option<OsString>,
    /// `rustc -vV`.
    version: String,
    /// `rustc --print sysroot`.
    sysroot: PathBuf,
}

impl Environment {
    /// The environment for the project at `path`.
    ///
    /// # Errors
    /// When there is no compiler.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut environment = Self {
            larder: std::env::current_exe().context("cannot tell where larder is")?,
            by_cargo: std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
            rustup: None,
            version: String::new(),
            sysroot: PathBuf::new(),
        };
        let mut rustup = environment.command("rustup".as_ref(), path);
        let selected = rustup.args(["show", "active-toolchain"]).output();
        environment.rustup =
            selected.ok().filter(|output| output.status.success()).and_then(|output| {
                Some(String::from_utf8(output.stdout).ok()?.split_whitespace().next()?.into())
            });
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let ask = |question: &[&str]| {
            let output = environment.command(&rustc, path).args(question).output();
            output
                .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
                .with_context(|| format!("cannot run {}; is Rust installed?", rustc.display()))
        };
        let (version, sysroot) = (ask(&["-vV"])?, ask(&["--print", "sysroot"])?);
        environment.version = version;
        environment.sysroot = sysroot.trim_end().into();
        Ok(environment)
    }

    /// `rustc 1.95.0 (…)`.
    pub(super) fn toolchain(&self) -> &str {
        self.version.lines().next().unwrap_or("an unknown compiler")
    }

    /// The host's target triple.
    pub(super) fn host(&self) -> &str {
        let host = self.version.lines().find_map(|line| line.strip_prefix("host: "));
        host.unwrap_or_default()
    }

    /// The toolchain's directory.
    pub(super) fn sysroot(&self) -> &Path {
        &self.sysroot
    }

    /// cargo in `directory`, without any wrapper: an empty `RUSTC_WRAPPER` also overrides
    /// `build.rustc-wrapper` (cargo's reference, "Configuration").
    pub(super) fn cargo(&self, directory: &Path) -> Command {
        let mut command = self.command("cargo".as_ref(), directory);
        command.env("RUSTC_WRAPPER", "");
        // `rebuilt` reads the messages.
        command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_QUIET", "false");
        command.env("CARGO_TERM_PROGRESS_WHEN", "never");
        command
    }

    /// Lets cargo use larder with the store at `store` and default settings.
    pub(super) fn wrap(&self, command: &mut Command, store: &Path) {
        command.env("RUSTC_WRAPPER", &self.larder);
        command.env("LARDER_DIR", store).env("LARDER_CONFIG", "/dev/null");
    }

    fn command(&self, program: &std::ffi::OsStr, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| self.is_dropped(name)) {
                command.env_remove(&name);
            }
        }
        if let Some(toolchain) = &self.rustup {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        command
    }

    fn is_dropped(&self, name: &str) -> bool {
        let by_cargo = CARGO_RUN.contains(&name)
            || CARGO_RUN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || (name == "RUSTUP_TOOLCHAIN" && !is_users_toolchain());
        OTHERS.contains(&name) || OURS.contains(&name) || (self.by_cargo && by_cargo)
    }
}

/// Whether `RUSTUP_TOOLCHAIN` is the user's own choice: rustup's proxies set it too and say from
/// what (`RUSTUP_TOOLCHAIN_SOURCE`, since 1.29).
fn is_users_toolchain() -> bool {
    match std::env::var("RUSTUP_TOOLCHAIN_SOURCE") {
        Ok(source) => source == "env" || source == "cli",
        Err(_) => std::env::var_os("RUST_RECURSION_COUNT").is_none(),
    }
}
