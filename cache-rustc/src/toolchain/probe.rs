//! Asking a compiler for its sysroot, once.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cache_core::Hasher;

use super::resolve::{Kind, Program, Request};
use super::stamp::Stamp;
use super::{Error, memo, rustup};
use crate::env_class;

const MAGIC: memo::Magic = *b"lrdSYSR1";

/// A program of at most this many bytes (any script) goes into the key by its content; of a larger
/// one, the stamp does.
const SMALL: u64 = 64 << 10;

/// Files with which version managers choose a compiler for a directory (asdf, mise).
const MANAGER_FILES: &[&str] = &[
    "rust-toolchain",
    "rust-toolchain.toml",
    ".tool-versions",
    "mise.toml",
    ".mise.toml",
    "mise.local.toml",
    ".mise.local.toml",
];

/// What `program --print sysroot` says, remembered in the memo directory.
///
/// A proxy's answer depends on what rustup goes by. A program that is not known (a script, a
/// version manager's shim, a copy of rustup) may go by anything, so its answer is remembered for
/// one working directory, one set of managers' files and one environment (without the variables
/// that cargo sets for each unit, which name no toolchain).
pub(super) fn sysroot(program: &Program, request: &Request<'_>) -> Result<PathBuf, Error> {
    let stamp = Stamp::of(&program.real)?
        .ok_or_else(|| Error::NotFound { program: program.path.clone() })?;
    let plus = request.first_arg.filter(|arg| arg.as_bytes().starts_with(b"+"));
    let mut key = Hasher::keyed("larder 2026 rustc sysroot probe v1");
    key.field(program.path.as_os_str().as_bytes()).field(program.real.as_os_str().as_bytes());
    rustup::optional(&mut key, plus.map(OsStr::as_bytes));
    rustup::add_selection(&mut key, request.env, request.cwd);
    let by_content = stamp.size() <= SMALL;
    if by_content {
        key.field(&fs::read(&program.real).map_err(|error| Error::io(&program.real, error))?);
    } else {
        key.field(&stamp.to_bytes());
    }
    if program.kind != Kind::Proxy {
        add_everything(&mut key, request);
    }
    let path = request.memo_dir.join(format!("sysroot-{}", &key.finish().to_hex()[..32]));
    if let Some(answer) = memo::read(&path, &MAGIC) {
        let answer = PathBuf::from(OsStr::from_bytes(&answer));
        if answer.is_dir() {
            return Ok(answer);
        }
    }
    let answer = ask(&program.path, plus, request)?;
    if by_content || !stamp.is_young() {
        memo::write(&path, &MAGIC, answer.as_os_str().as_bytes());
    }
    Ok(answer)
}

fn add_everything(key: &mut Hasher, request: &Request<'_>) {
    key.field(request.cwd.as_os_str().as_bytes());
    rustup::add_files_upwards(key, request.cwd, MANAGER_FILES);
    for (name, value) in env_class::conservative((request.vars)()) {
        if !env_class::set_by_cargo(&name) {
            key.field(name.as_bytes()).field(value.as_bytes());
        }
    }
}

fn ask(program: &Path, plus: Option<&OsStr>, request: &Request<'_>) -> Result<PathBuf, Error> {
    let failed = |detail: String| Error::Probe { program: program.to_owned(), detail };
    let output = Command::new(program)
        .args(plus)
        .args(["--print", "sysroot"])
        .current_dir(request.cwd)
        .env_clear()
        .envs((request.vars)())
        // A toolchain that is missing is for the real run to install, in the user's sight.
        .env("RUSTUP_AUTO_INSTALL", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::io(program, error))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!(
            "{}: {}",
            output.status,
            text.lines().next().unwrap_or_default()
        )));
    }
    let answer = Path::new(OsStr::from_bytes(output.stdout.trim_ascii_end()));
    if answer.is_absolute() && answer.is_dir() {
        Ok(answer.to_owned())
    } else {
        Err(failed(format!("no directory: {}", answer.display())))
    }
}
