//! From a program name to the compiler that would run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Error, probe, rustup};

/// What is known of an invocation when its compiler is looked for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The compiler as the wrapper was given it: an absolute path, a path relative to `cwd`, or a
    /// bare name that is looked up in `PATH`.
    pub program: &'a OsStr,
    /// The program in front of the compiler (see [`super::split_command`]).
    pub wrapper: Option<&'a OsStr>,
    /// The compiler's first argument, which may be rustup's `+toolchain`.
    pub first_arg: Option<&'a OsStr>,
    /// The value of an explicit `--sysroot`.
    pub sysroot: Option<&'a Path>,
    /// The working directory of the invocation.
    pub cwd: &'a Path,
    /// One variable of the invocation's environment.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The whole environment; only asked for when a process must be started.
    pub vars: &'a dyn Fn() -> Vec<(OsString, OsString)>,
    /// Where memo files may be kept. Need not exist.
    pub memo_dir: &'a Path,
}

/// A compiler that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// What to execute: absolute, and under the name it was asked for, which a proxy goes by.
    pub program: PathBuf,
    /// The file that is the compiler, with all links resolved: differs from `program` for links
    /// and for rustup's proxies, where it lies in the selected toolchain.
    pub binary: PathBuf,
    /// Whether `program` is a proxy of rustup.
    pub rustup_proxy: bool,
    /// Whether `program` is a script (`#!`).
    pub script: bool,
    /// The toolchain's directory: the compiler's own sysroot, with all links resolved.
    pub home: PathBuf,
    /// Where the standard library is taken from: `home`, or what `--sysroot` says.
    pub sysroot: PathBuf,
    /// The program in front of the compiler.
    pub wrapper: Option<Wrapper>,
    /// The directories of `LD_LIBRARY_PATH`, which the loader searches before the compiler's own
    /// `lib` (its `DT_RUNPATH`; ld.so(8)).
    pub loader_path: Vec<PathBuf>,
}

/// A program in front of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper {
    /// What to execute, absolute.
    pub program: PathBuf,
    /// The file behind it, links and proxies resolved.
    pub binary: PathBuf,
    /// The toolchain it belongs to, when it does: a driver such as `clippy-driver` loads the
    /// compiler from there.
    pub home: Option<PathBuf>,
}

/// What a program is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A rustup proxy.
    Proxy,
    /// A file that starts with `#!`.
    Script,
    /// Anything else.
    Binary,
}

/// A program that was found, before its toolchain is known.
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) real: PathBuf,
    pub(super) kind: Kind,
}

/// Finds the compiler that `request` would run.
///
/// No process is started for a program inside a toolchain's `bin` directory (what cargo under
/// rustup passes) and for a proxy whose toolchain is named in full by `+toolchain` or
/// `RUSTUP_TOOLCHAIN`. Anything else is asked once with `--print sysroot`; the answer is
/// remembered for everything it could depend on.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Io`] and [`Error::Probe`]: the command should then be run as it
/// is, and will say itself what is wrong.
pub fn resolve(request: &Request<'_>) -> Result<Compiler, Error> {
    let program = find(request.program, request)?;
    let home = match known_home(&program, request.first_arg, request)? {
        Some(home) => home,
        None => real(&probe::sysroot(&program, request)?)?,
    };
    let binary = binary_of(&program, &home)?;
    let wrapper = request.wrapper.map(|wrapper| resolve_wrapper(wrapper, request)).transpose()?;
    let sysroot = match explicit_sysroot(request, &binary, wrapper.as_ref()) {
        Some(path) => real(&path)?,
        None => home.clone(),
    };
    let loader_path = (request.env)("LD_LIBRARY_PATH").filter(|value| !value.is_empty());
    Ok(Compiler {
        rustup_proxy: program.kind == Kind::Proxy,
        script: program.kind == Kind::Script,
        program: program.path,
        binary,
        home,
        sysroot,
        wrapper,
        loader_path: loader_path
            .map(|value| std::env::split_paths(&value).map(|dir| request.cwd.join(dir)).collect())
            .unwrap_or_default(),
    })
}

fn resolve_wrapper(name: &OsStr, request: &Request<'_>) -> Result<Wrapper, Error> {
    let program = find(name, request)?;
    let home = match known_home(&program, None, request)? {
        // Only a proxy is sure to know `--print sysroot` without a compiler's name in front.
        None if program.kind == Kind::Proxy => Some(real(&probe::sysroot(&program, request)?)?),
        home => home,
    };
    let binary = match &home {
        Some(home) => binary_of(&program, home)?,
        None => program.real,
    };
    Ok(Wrapper { program: program.path, binary, home })
}

/// `clippy-driver` takes its sysroot from `SYSROOT` when it has no `--sysroot` (its `src/driver.rs`).
fn explicit_sysroot(
    request: &Request<'_>,
    binary: &Path,
    wrapper: Option<&Wrapper>,
) -> Option<PathBuf> {
    let driver = wrapper.map_or(binary, |wrapper| &wrapper.binary);
    let is_clippy = driver.file_name() == Some(OsStr::new("clippy-driver"));
    let from_env = || {
        (request.env)("SYSROOT").filter(|value| is_clippy && !value.is_empty()).map(PathBuf::from)
    };
    request.sysroot.map(Path::to_owned).or_else(from_env).map(|path| request.cwd.join(path))
}

/// The toolchain directory, where a few `stat`s tell it.
fn known_home(
    program: &Program,
    first_arg: Option<&OsStr>,
    request: &Request<'_>,
) -> Result<Option<PathBuf>, Error> {
    let plus = first_arg.and_then(|arg| arg.as_bytes().strip_prefix(b"+")).map(OsStr::from_bytes);
    match program.kind {
        Kind::Proxy => {
            let named = plus.map(OsStr::to_owned).or_else(|| (request.env)("RUSTUP_TOOLCHAIN"));
            let directory = named.and_then(|name| {
                rustup::directory_of(&name, &rustup::home(request.env, request.cwd)?)
            });
            directory.map(|dir| real(&dir)).transpose()
        }
        Kind::Binary if plus.is_none() => Ok(home_of(&program.real)),
        Kind::Binary | Kind::Script => Ok(None),
    }
}

/// The toolchain in whose `bin` directory a file lies.
fn home_of(file: &Path) -> Option<PathBuf> {
    let bin = file.parent().filter(|dir| dir.file_name() == Some(OsStr::new("bin")))?;
    let home = bin.parent()?;
    ["lib/rustlib", "lib64/rustlib"]
        .iter()
        .any(|dir| home.join(dir).is_dir())
        .then(|| home.to_owned())
}

fn binary_of(program: &Program, home: &Path) -> Result<PathBuf, Error> {
    match program.kind {
        Kind::Proxy => {
            let tool = home.join("bin").join(program.path.file_name().unwrap_or_default());
            real(&tool).map_err(|_| Error::NotFound { program: tool })
        }
        Kind::Binary | Kind::Script => Ok(program.real.clone()),
    }
}

fn find(name: &OsStr, request: &Request<'_>) -> Result<Program, Error> {
    let path = locate(name, request).ok_or_else(|| Error::NotFound { program: name.into() })?;
    let real = real(&path)?;
    let kind = if rustup::is_proxy(&real) {
        Kind::Proxy
    } else if is_script(&real)? {
        Kind::Script
    } else {
        Kind::Binary
    };
    Ok(Program { path, real, kind })
}

/// Where `execvp` would find a program.
fn locate(name: &OsStr, request: &Request<'_>) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(request.cwd.join(name));
    }
    let path = (request.env)("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| request.cwd.join(dir).join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn is_script(path: &Path) -> Result<bool, Error> {
    let mut start = [0; 2];
    let mut file = fs::File::open(path).map_err(|error| Error::io(path, error))?;
    Ok(file.read(&mut start).map_err(|error| Error::io(path, error))? == 2 && start == *b"#!")
}

fn real(path: &Path) -> Result<PathBuf, Error> {
    fs::canonicalize(path).map_err(|error| Error::io(path, error))
}
