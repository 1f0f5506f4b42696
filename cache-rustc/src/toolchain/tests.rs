//! A world of made-up toolchains, and the tests that live in it.

mod identity;
mod resolve;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Compiler, Error, Request, resolve as resolve_request};

const HOST: &str = "x86_64-unknown-linux-gnu";

/// Answers as rustc does, and notes each start in `calls` beside its `bin`.
const RUSTC: &str = r#"#!/bin/sh
home=$(dirname "$(dirname "$(readlink -f "$0")")")
echo "$*" >> "$home/calls"
case "$*" in
*"--print sysroot") echo "$home" ;;
-vV) printf 'rustc 1.2.3\nhost: x86_64-unknown-linux-gnu\nrelease: 1.2.3\ncommit-hash: abc\n' ;;
esac
"#;

/// Chooses as rustup does, and notes each start in `calls` beside itself.
const RUSTUP: &str = r#"#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
settings=$RUSTUP_HOME/settings.toml
name=$RUSTUP_TOOLCHAIN
case "$1" in +*) name=${1#+}; shift ;; esac
dir=$PWD
while [ -z "$name" ]; do
    name=$(sed -n "s|^\"$dir\" = \"\(.*\)\"|\1|p" "$settings")
    [ -z "$name" ] && [ -f "$dir/rust-toolchain" ] && name=$(cat "$dir/rust-toolchain")
    [ -z "$name" ] && [ -f "$dir/rust-toolchain.toml" ] &&
        name=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$dir/rust-toolchain.toml")
    [ "$dir" = / ] && break
    dir=$(dirname "$dir")
done
[ -z "$name" ] && name=$(sed -n 's/^default_toolchain = "\(.*\)"/\1/p' "$settings")
case "$name" in *-*|*/*|mine) ;; *) name=$name-x86_64-unknown-linux-gnu ;; esac
case "$name" in /*) exec "$name/bin/rustc" "$@" ;; esac
exec "$RUSTUP_HOME/toolchains/$name/bin/rustc" "$@"
"#;

struct World {
    _dir: tempfile::TempDir,
    root: PathBuf,
    env: BTreeMap<&'static str, OsString>,
}

impl World {
    /// A rustup with `settings.toml`, a default toolchain `stable`, and proxies in `cargo/bin`.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let root = fs::canonicalize(dir.path()).expect("its path");
        let mut world = Self { _dir: dir, root, env: BTreeMap::new() };
        for (name, path) in [("RUSTUP_HOME", "rustup"), ("HOME", "home"), ("CARGO_HOME", "cargo")] {
            world.env.insert(name, world.root.join(path).into());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = world.root.join("cargo/bin");
        let joined = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path)));
        world.env.insert("PATH", joined.expect("no colon in it"));
        fs::create_dir_all(world.root.join("ws/member")).expect("directories");
        world.toolchain(&format!("stable-{HOST}"));
        world.settings("");
        world.program("cargo/bin/rustup", RUSTUP);
        symlink("rustup", world.root.join("cargo/bin/rustc")).expect("link");
        world
    }

    fn settings(&self, overrides: &str) {
        let text =
            format!("version = \"12\"\ndefault_toolchain = \"stable\"\n\n[overrides]\n{overrides}");
        self.file("rustup/settings.toml", &text);
    }

    fn file(&self, path: &str, content: &str) -> PathBuf {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("directories");
        fs::write(&path, content).expect("write");
        path
    }

    /// Writes an executable file. Another process does the writing: were it this one, a process
    /// that another test's thread forks meanwhile would hold the file open for writing, and running
    /// it would fail with `ETXTBSY`.
    fn program(&self, path: &str, content: &str) -> PathBuf {
        let source = self.file(&format!("{path}.source"), content);
        let path = self.root.join(path);
        let copied = Command::new("cp").arg(&source).arg(&path).status().expect("cp runs");
        assert!(copied.success());
        fs::remove_file(source).expect("remove");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        path
    }

    /// A toolchain of rustup's; gives its directory.
    fn toolchain(&self, name: &str) -> PathBuf {
        self.toolchain_at(&format!("rustup/toolchains/{name}"))
    }

    fn toolchain_at(&self, path: &str) -> PathBuf {
        self.program(&format!("{path}/bin/rustc"), RUSTC);
        self.file(&format!("{path}/lib/librustc_driver-1.so"), "driver");
        self.file(&format!("{path}/lib/rustlib/{HOST}/lib/libstd-1.rlib"), "std");
        self.file(&format!("{path}/lib/rustlib/{HOST}/bin/rust-lld"), "lld");
        self.root.join(path)
    }

    fn try_resolve(&self, program: impl AsRef<OsStr>, ask: &Ask<'_>) -> Result<Compiler, Error> {
        resolve_request(&Request {
            program: program.as_ref(),
            wrapper: ask.wrapper.map(OsStr::new),
            first_arg: ask.first_arg.map(OsStr::new),
            sysroot: ask.sysroot.map(Path::new),
            cwd: &self.root.join(ask.cwd.unwrap_or("ws/member")),
            env: &|name| self.env.get(name).cloned(),
            vars: &|| self.env.iter().map(|(name, value)| (name.into(), value.clone())).collect(),
            memo_dir: &self.root.join("memo"),
        })
    }

    fn resolve(&self, program: impl AsRef<OsStr>, ask: &Ask<'_>) -> Compiler {
        self.try_resolve(program, ask).expect("resolves")
    }

    /// The name of the toolchain that the proxy would run.
    fn chosen(&self, ask: &Ask<'_>) -> String {
        let compiler = self.resolve("rustc", ask);
        assert!(compiler.rustup_proxy);
        assert_eq!(compiler.program, self.root.join("cargo/bin/rustc"));
        assert_eq!(compiler.binary, compiler.home.join("bin/rustc"));
        compiler.home.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// How many processes a program noted in its `calls`.
    fn calls(&self, path: &str) -> usize {
        fs::read_to_string(self.root.join(path)).map_or(0, |text| text.lines().count())
    }
}

/// What an invocation may say besides its program.
#[derive(Default)]
struct Ask<'a> {
    wrapper: Option<&'a str>,
    first_arg: Option<&'a str>,
    sysroot: Option<&'a str>,
    cwd: Option<&'a str>,
}
