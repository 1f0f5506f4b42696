//! The cargo process that a build is, as the system shows it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cache_core::{Digest, Recipe, RecipeKey};

use super::super::action::Env;
use crate::toolchain;

/// Variables that say where cargo works; with one of these the target directory is not the workspace's.
const ELSEWHERE: &[&str] =
    &["CARGO_BUILD_BUILD_DIR", "CARGO_BUILD_TARGET_DIR", "CARGO_MANIFEST_PATH", "CARGO_TARGET_DIR"];

/// Options that say nothing about what is built.
const MANNERS: &[&str] = &[
    "--color",
    "--frozen",
    "--jobs",
    "--keep-going",
    "--locked",
    "--message-format",
    "--offline",
    "--quiet",
    "--timings",
    "--verbose",
    "-j",
    "-q",
    "-v",
];

/// Commands that run what they built.
const RUNS: &[&str] = &["bench", "r", "run", "t", "test"];

/// Variables of cargo's and rustc's that say nothing about what is built.
const PLACES: &[&str] = &[
    "CARGO",
    "CARGO_HOME",
    "CARGO_INSTALL_ROOT",
    "CARGO_LOG",
    "CARGO_MAKEFLAGS",
    "RUSTC_WRAPPER",
    "RUSTUP_HOME",
    "RUST_RECURSION_COUNT",
];

/// Options with which cargo works elsewhere or is told things that are not looked at here.
const UNCLEAR: &[&str] = &[
    "-C",
    "-Z",
    "--artifact-dir",
    "--config",
    "--lockfile-path",
    "--manifest-path",
    "--target-dir",
];

/// A running cargo.
#[derive(Debug, Clone)]
pub struct CargoRun {
    /// Its process number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (proc(5), `/proc/pid/stat`): with the number this
    /// names one process for good.
    pub started: u64,
    /// The workspace: the nearest directory from the working directory up that has a `Cargo.lock`.
    pub workspace: PathBuf,
    /// The environment it was started with.
    pub env: Env,
    args: Vec<OsString>,
    below: PathBuf,
}

impl CargoRun {
    /// Reads what is known of a process. `None` when it is no cargo, or one whose target directory is
    /// not simply the workspace's.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let mut words = split(&fs::read(proc.join("cmdline")).ok()?);
        let program = words.next()?;
        if Path::new(&program).file_name() != Some(OsStr::new("cargo")) {
            return None;
        }
        let args = without_manners(words);
        let unclear = |arg: &OsString| {
            let bytes = arg.as_bytes();
            bytes.contains(&b'/') || UNCLEAR.iter().any(|known| bytes.starts_with(known.as_bytes()))
        };
        if args.is_empty() || args.iter().any(unclear) {
            return None;
        }
        let env = environ(&fs::read(proc.join("environ")).ok()?);
        if ELSEWHERE.iter().any(|name| env.contains_key(OsStr::new(name))) {
            return None;
        }
        let cwd = fs::read_link(proc.join("cwd")).ok()?;
        let workspace = cwd.ancestors().find(|dir| dir.join("Cargo.lock").is_file())?.to_path_buf();
        let below = cwd.strip_prefix(&workspace).ok()?.to_path_buf();
        Some(Self { pid, started: started(&proc)?, workspace, env, args, below })
    }

    /// The target directory.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.workspace.join("target")
    }

    /// What names the build, whatever place it is in: the lock file, what cargo was asked for, the
    /// compiler, and the variables that it and cargo take settings from. What else there is to a build,
    /// cargo finds in its fingerprints.
    pub(super) fn keys(&self, state_dir: &Path) -> Option<BuildKeys> {
        let lock = fs::read(self.workspace.join("Cargo.lock")).ok()?;
        let mut common = Recipe::new();
        common.push("build", "2");
        common.push("below", self.below.as_os_str().as_bytes());
        for arg in &self.args {
            common.push("arg", arg.as_bytes());
        }
        let mut settings: Vec<_> = self.env.iter().filter(|(name, _)| is_setting(name)).collect();
        settings.sort_unstable();
        for (name, value) in settings {
            common.push(format!("env:{}", name.to_string_lossy()), value.as_bytes());
        }
        if let Some(compiler) = self.compiler(state_dir) {
            common.push("compiler", compiler.as_bytes().to_vec());
        }
        let mut exact = common.clone();
        exact.push("lock", Digest::of(&lock).as_bytes().to_vec());
        let near = near_keys(&common, &own_packages(&String::from_utf8_lossy(&lock)));
        Some(BuildKeys { exact, near })
    }

    /// The identity of the compiler that cargo starts unless its configuration files name another; then
    /// this is one more name that tells builds apart.
    fn compiler(&self, state_dir: &Path) -> Option<Digest> {
        let var = |name: &str| self.env.get(OsStr::new(name)).cloned();
        let program = var("RUSTC").unwrap_or_else(|| "rustc".into());
        let memo_dir = &state_dir.join("toolchains-v1");
        let compiler = toolchain::resolve(&toolchain::Request {
            program: &program,
            wrapper: None,
            first_arg: None,
            sysroot: None,
            cwd: &self.workspace,
            env: &var,
            vars: &|| self.env.clone().into_iter().collect(),
            memo_dir,
        });
        toolchain::identity(&compiler.ok()?, None, memo_dir).ok().map(|identity| identity.digest)
    }
}

/// What names a build.
pub(super) struct BuildKeys {
    /// This very build.
    pub exact: Recipe,
    /// It, and those before and after a change of the lock file; those that are likest first.
    pub near: Vec<RecipeKey>,
}

/// Keys of builds that differ in their lock files: one for all that have the same packages of their own,
/// and one each for the first and the last of these packages in an order that has nothing to do with
/// their names. A package that comes or goes is at most one of the two, so the other key stays.
fn near_keys(common: &Recipe, packages: &[&str]) -> Vec<RecipeKey> {
    let with = |label: &str, packages: &[&str]| {
        let mut near = common.clone();
        for package in packages {
            near.push(label.to_owned(), *package);
        }
        near.key()
    };
    let order = |package: &&&str| Digest::of(package.as_bytes());
    let ends = [packages.iter().min_by_key(order), packages.iter().max_by_key(order)];
    let mut keys = vec![with("package", packages)];
    for package in ends.into_iter().flatten() {
        let key = with("one package", &[package]);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The names of a lock file's packages that are found by their paths: the workspace's own. They have no
/// `source` (cargo's `EncodableDependency`).
fn own_packages(lock: &str) -> Vec<&str> {
    let packages = lock.split("[[package]]").skip(1);
    let own = packages.filter(|package| !package.lines().any(|line| line.starts_with("source =")));
    own.filter_map(|package| package.lines().find_map(|line| line.strip_prefix("name = ")))
        .collect()
}

/// The arguments without [`MANNERS`], with a value of its own each or not.
fn without_manners(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if word == "--" {
            // What follows is for the program that is run, unless cargo runs none.
            let runs =
                kept.first().is_some_and(|command| RUNS.iter().any(|known| command == known));
            if !runs {
                kept.push(word);
                kept.extend(words);
            }
            break;
        }
        let is = |name: &&&str| match bytes.strip_prefix(name.as_bytes()) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"=") || !name.starts_with("--"),
            None => false,
        };
        let Some(name) = MANNERS.iter().find(is) else {
            kept.push(word);
            continue;
        };
        let takes_value = ["--color", "--jobs", "--message-format", "-j"].contains(name);
        if takes_value && bytes.len() == name.len() {
            words.next();
        }
    }
    kept
}

fn is_setting(name: &OsStr) -> bool {
    let of_tools = ["CARGO", "RUST", "CLIPPY"]
        .iter()
        .any(|start| name.as_bytes().starts_with(start.as_bytes()));
    of_tools && !PLACES.iter().any(|known| name == *known)
}

/// Field 22 of `/proc/pid/stat`; the command's name, which may hold anything, ends at the last `)`.
pub(super) fn started(proc: &Path) -> Option<u64> {
    let stat = fs::read_to_string(proc.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

fn split(bytes: &[u8]) -> impl Iterator<Item = OsString> + use<> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let words: Vec<_> =
        bytes.split(|b| *b == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
    words.into_iter()
}

fn environ(bytes: &[u8]) -> Env {
    let pair = |entry: OsString| {
        let at = entry.as_bytes().iter().position(|b| *b == b'=')?;
        let (name, value) = entry.as_bytes().split_at(at);
        Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value[1..].to_vec())))
    };
    split(bytes).filter_map(pair).collect::<HashMap<_, _>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manners_are_left_out_and_what_is_built_stays() {
        for (given, kept) in [
            ("build -v --release", "build --release"),
            ("build -j 4 -p a", "build -p a"),
            ("build -j4 --color=never --message-format json", "build"),
            ("test --locked -- --nocapture", "test"),
            ("clippy --quiet -- -D warnings", "clippy -- -D warnings"),
            ("build --jobs-of-mine", "build --jobs-of-mine"),
        ] {
            let words = given.split(' ').map(OsString::from);
            let kept: Vec<_> = kept.split(' ').map(OsString::from).collect();
            assert_eq!(without_manners(words), kept, "{given}");
        }
    }

    #[test]
    fn packages_without_a_source_are_the_workspaces_own() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\n\
                    name = \"b\"\nsource = \"registry+x\"\n\n[[package]]\nname = \"c\"\n";
        assert_eq!(own_packages(lock), ["\"a\"", "\"c\""]);
    }

    #[test]
    fn a_process_that_is_no_cargo_is_none() {
        assert!(CargoRun::of(std::process::id()).is_none());
    }
}
