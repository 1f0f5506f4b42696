//! Resolution and identity of the toolchains that are installed on this machine.
//!
//! What a test needs and the machine lacks (rustup, a second toolchain) makes it pass with a
//! message.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use cache_rustc::toolchain::{Compiler, Identity, Request, identity, resolve};

struct Machine {
    env: BTreeMap<OsString, OsString>,
    memo: tempfile::TempDir,
    cwd: tempfile::TempDir,
}

impl Machine {
    /// This machine, without a toolchain chosen by the environment the test itself runs in.
    fn new() -> Self {
        let mut env: BTreeMap<_, _> = std::env::vars_os().collect();
        for name in ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "SYSROOT"] {
            env.remove(OsStr::new(name));
        }
        let dir = || tempfile::tempdir().expect("temporary directory");
        Self { env, memo: dir(), cwd: dir() }
    }

    fn with(mut self, name: &str, value: &OsStr) -> Self {
        self.env.insert(name.into(), value.to_owned());
        self
    }

    fn resolve(&self, program: &Path, wrapper: Option<&Path>) -> Compiler {
        resolve(&Request {
            program: program.as_os_str(),
            wrapper: wrapper.map(Path::as_os_str),
            first_arg: None,
            sysroot: None,
            cwd: self.cwd.path(),
            env: &|name| self.env.get(OsStr::new(name)).cloned(),
            vars: &|| self.env.clone().into_iter().collect(),
            memo_dir: self.memo.path(),
        })
        .expect("resolves")
    }

    fn identity(&self, compiler: &Compiler) -> Identity {
        identity(compiler, None, self.memo.path()).expect("an identity")
    }
}

/// The directories of the installed toolchains, by name.
fn toolchains() -> BTreeMap<String, PathBuf> {
    let home = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup")));
    let entries = home.and_then(|home| std::fs::read_dir(home.join("toolchains")).ok());
    let entries = entries.into_iter().flatten().flatten();
    let named =
        entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    named.filter(|(_, path)| path.join("bin/rustc").is_file()).collect()
}

/// rustup's proxy for rustc.
fn proxy() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|dir| dir.join("rustc")).filter(|path| path.is_file());
    found.into_iter().find(|path| {
        let real = std::fs::canonicalize(path).unwrap_or_default();
        real.file_name() == Some(OsStr::new("rustup"))
    })
}

fn says(rustc: &Path, args: &[&str]) -> String {
    let output =
        Command::new(rustc).args(args).env_remove("RUSTUP_TOOLCHAIN").output().expect("rustc runs");
    String::from_utf8(output.stdout).expect("utf-8").trim_end().to_owned()
}

#[test]
fn each_toolchain_is_what_its_rustc_says() {
    let toolchains = toolchains();
    if toolchains.is_empty() {
        eprintln!("skipped: no toolchain of rustup's is installed");
    }
    let machine = Machine::new();
    for (name, dir) in toolchains {
        let rustc = dir.join("bin/rustc");
        let compiler = machine.resolve(&rustc, None);
        assert!(!compiler.rustup_proxy, "{name}");
        assert_eq!(compiler.home, Path::new(&says(&rustc, &["--print", "sysroot"])));
        let first = machine.identity(&compiler);
        assert_eq!(machine.identity(&compiler), first);
        assert_eq!(first.verbose.trim_end(), says(&rustc, &["-vV"]));
        assert!(first.verbose.contains(&format!("host: {}", first.host)));
        assert!(first.verbose.contains(&format!("release: {}", first.release)));
    }
}

#[test]
fn toolchains_are_the_same_exactly_when_their_bytes_are() {
    let machine = Machine::new();
    let mut by_digest: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for dir in toolchains().values() {
        let identity = machine.identity(&machine.resolve(&dir.join("bin/rustc"), None));
        by_digest.entry(identity.digest.to_hex()).or_default().push(identity.verbose);
    }
    if by_digest.len() < 2 {
        eprintln!("skipped: a second toolchain is not installed");
    }
    for same in by_digest.values() {
        assert!(same.iter().all(|verbose| *verbose == same[0]));
    }
}

#[test]
fn the_proxy_is_seen_through() {
    let Some(proxy) = proxy() else {
        eprintln!("skipped: no rustup here");
        return;
    };
    let machine = Machine::new();
    for (name, dir) in toolchains() {
        let machine = Machine::new().with("RUSTUP_TOOLCHAIN", OsStr::new(&name));
        let compiler = machine.resolve(&proxy, None);
        assert!(compiler.rustup_proxy);
        assert_eq!(compiler.program, proxy);
        assert_eq!(compiler.home, std::fs::canonicalize(&dir).expect("its path"), "{name}");
    }
    // Asked, and then remembered: the default toolchain of an empty directory.
    let asked = machine.resolve(&proxy, None);
    assert_eq!(machine.resolve(&proxy, None), asked);
    let direct = machine.resolve(&asked.binary, None);
    assert_eq!(machine.identity(&asked), machine.identity(&direct));
}

#[test]
fn clippy_is_another_compiler() {
    let machine = Machine::new();
    let both = toolchains().into_values().find(|dir| dir.join("bin/clippy-driver").is_file());
    let Some(dir) = both else {
        eprintln!("skipped: no clippy-driver here");
        return;
    };
    let (rustc, driver) = (dir.join("bin/rustc"), dir.join("bin/clippy-driver"));
    let plain = machine.identity(&machine.resolve(&rustc, None));
    let clippy = machine.identity(&machine.resolve(&rustc, Some(&driver)));
    assert_ne!(plain.digest, clippy.digest);
    assert_eq!(plain.verbose, clippy.verbose);
}
