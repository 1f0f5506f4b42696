//! Shared harness: small projects built by the real cargo, with and without the wrapper.
//!
//! The oracle is always the same build without the wrapper. A [`Lab`] is a private directory with a
//! store, a home and checkouts at different paths; what a [`Checkout`] does is written down with
//! its path taken out, so that what happened in two places can be compared line by line.

mod checkout;
mod files;
mod mounts;
mod program;
mod run;
mod shim;
mod wait;

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub(crate) use checkout::{Checkout, walk};
pub(crate) use files::{Files, app, macros, one_lib};
pub(crate) use mounts::tmpfs;
pub(crate) use program::write_program;
pub(crate) use run::Run;
#[allow(unused_imports, reason = "only some of the test programs name it")]
pub(crate) use shim::Counter;
#[allow(unused_imports, reason = "only some of the test programs name it")]
pub(crate) use wait::until;

/// The wrapper under test.
pub(crate) const LARDER: &str = env!("CARGO_BIN_EXE_larder");

/// A private world: a store, a home, and checkouts.
pub(crate) struct Lab {
    _dir: tempfile::TempDir,
    /// Everything lies under here; canonical.
    pub(crate) root: PathBuf,
    /// The store that checkouts use.
    pub(crate) store: RefCell<PathBuf>,
    env: RefCell<Vec<(OsString, OsString)>>,
    /// Where a counting compiler writes, if there is one.
    starts: RefCell<Option<PathBuf>>,
    runs: Cell<u32>,
}

impl Lab {
    /// A lab in a fresh directory.
    pub(crate) fn new() -> Self {
        Self::named("lab")
    }

    /// A lab whose directory has this name, which becomes part of every path.
    pub(crate) fn named(name: &str) -> Self {
        Self::inside(&std::env::temp_dir(), name)
    }

    /// The same in another directory than the usual one for temporary files.
    pub(crate) fn inside(dir: &Path, name: &str) -> Self {
        let dir =
            tempfile::Builder::new().prefix("e2e-").tempdir_in(dir).expect("a temporary directory");
        let root = dir.path().canonicalize().expect("canonical").join(name);
        for sub in ["home", "cargo-home"] {
            std::fs::create_dir_all(root.join(sub)).expect("lab directories");
        }
        let store = RefCell::new(root.join("store"));
        Self {
            _dir: dir,
            root,
            store,
            env: RefCell::default(),
            starts: RefCell::default(),
            runs: Cell::new(0),
        }
    }

    /// Sets a variable for everything this lab starts from now on.
    pub(crate) fn set_env(&self, name: &str, value: impl AsRef<OsStr>) {
        self.env.borrow_mut().retain(|(known, _)| known != name);
        self.env.borrow_mut().push((name.into(), value.as_ref().into()));
    }

    /// No longer sets it.
    pub(crate) fn unset_env(&self, name: &str) {
        self.env.borrow_mut().retain(|(known, _)| known != name);
    }

    /// The path of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.store.borrow().clone()
    }

    /// A checkout that is built without the wrapper.
    pub(crate) fn plain(&self, name: &str, files: &Files) -> Checkout<'_> {
        Checkout::new(self, name, files, false)
    }

    /// A checkout that is built through the wrapper.
    pub(crate) fn checkout(&self, name: &str, files: &Files) -> Checkout<'_> {
        Checkout::new(self, name, files, true)
    }

    /// Plays a scenario without the wrapper, through it on what is there, and through it again in
    /// another checkout. All three must give the same; the last two are returned.
    pub(crate) fn oracle(
        &self,
        files: &Files,
        scenario: impl Fn(&Checkout<'_>),
    ) -> (Checkout<'_>, Checkout<'_>) {
        let plain = self.plain("plain/ws", files);
        let (first, second) =
            (self.checkout("first/ws", files), self.checkout("second/deeper/ws", files));
        for checkout in [&plain, &first, &second] {
            scenario(checkout);
        }
        plain.assert_same(&first);
        plain.assert_same(&second);
        (first, second)
    }

    /// A command in a clean environment: of the caller's only what finds the toolchain is kept.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        for name in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTUP_AUTO_INSTALL", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let (None, Some(home)) = (std::env::var_os("RUSTUP_HOME"), std::env::var_os("HOME")) {
            command.env("RUSTUP_HOME", Path::new(&home).join(".rustup"));
        }
        command
            .env("PATH", tool_path())
            .env("HOME", self.root.join("home"))
            .env("CARGO_HOME", self.root.join("cargo-home"))
            .env("CARGO_NET_OFFLINE", "true")
            .env("LANG", "C.UTF-8")
            // cargo says nothing of units that it finds in place.
            .env("LARDER_FILL", "off")
            .env("LARDER_DIR", self.store())
            .env("LARDER_CONFIG", self.root.join("larder.toml"));
        command.envs(self.env.borrow().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a `larder` command on this lab's store.
    pub(crate) fn larder(&self, args: &[&str]) -> Run {
        let mut command = self.command(LARDER);
        command.args(args).current_dir(&self.root);
        Run::of(&mut command, None)
    }

    /// `larder stats --json`.
    pub(crate) fn stats(&self) -> serde_json::Value {
        let run = self.larder(&["stats", "--json"]);
        assert!(run.ok(), "larder stats: {}", run.describe());
        serde_json::from_str(&run.stdout).expect("stats are JSON")
    }

    fn next_log(&self) -> PathBuf {
        self.runs.set(self.runs.get() + 1);
        self.root.join(format!("log-{}", self.runs.get()))
    }
}

/// The toolchain's own programs first, so that most tests do not pay for rustup's proxies.
fn tool_path() -> OsString {
    let mut dirs = vec![sysroot().join("bin")];
    dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    std::env::join_paths(dirs).expect("PATH")
}

/// The root of the toolchain that tests use.
pub(crate) fn sysroot() -> &'static Path {
    static SYSROOT: OnceLock<PathBuf> = OnceLock::new();
    SYSROOT.get_or_init(|| {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let out = Command::new(rustc).args(["--print", "sysroot"]).output().expect("rustc runs");
        PathBuf::from(String::from_utf8(out.stdout).expect("UTF-8").trim_end())
    })
}

/// The host's target triple.
pub(crate) fn host() -> String {
    let out = Command::new(sysroot().join("bin/rustc")).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("a host line").to_owned()
}
