//! This program under two other names, for watching what cargo and larder do.
//!
//! - as `rustc`: tells a pipe what it is asked for and becomes the real compiler (`count`). A pipe,
//!   because a compile that writes files beside its outputs is not stored;
//! - as `capture`: a `RUSTC_WRAPPER` that saves the invocation of one crate and then runs the
//!   wrapper that is being measured (`bench hit`).

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::files::copy_file;

/// Where the shim writes.
pub(crate) const LOG: &str = "XTASK_SHIM_LOG";
/// The program that the shim stands for.
pub(crate) const NEXT: &str = "XTASK_SHIM_NEXT";
/// The crate whose invocation is captured.
pub(crate) const CRATE: &str = "XTASK_SHIM_CRATE";

const COUNTING: &str = "rustc";
const CAPTURING: &str = "capture";

/// Does a shim's work if this process was started under a shim's name. The compiler then takes this
/// process's place, so there is a result only on failure.
pub(crate) fn run_if_called_as_one() -> Option<ExitCode> {
    let called = env::args_os().next().map(PathBuf::from)?;
    let name = called.file_name()?.to_str()?;
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let result = match name {
        COUNTING => count(&arguments),
        CAPTURING => capture(&arguments),
        _ => return None,
    };
    let Err(error) = result;
    eprintln!("xtask {name} shim: {error:#}");
    Some(ExitCode::FAILURE)
}

enum Never {}

fn count(arguments: &[OsString]) -> Result<Never> {
    let text: Vec<String> =
        arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let line = format!("{}\n", crate::count::kind(&text));
    // One write of a short line: processes at the same time do not mix (pipe(7), `PIPE_BUF`).
    OpenOptions::new().write(true).open(variable(LOG)?)?.write_all(line.as_bytes())?;
    become_next(arguments)
}

fn capture(arguments: &[OsString]) -> Result<Never> {
    let wanted = variable(CRATE)?;
    if crate_name(arguments) == Some(&wanted) {
        fs::write(variable(LOG)?, serde_json::to_vec(&invocation(arguments)?)?)?;
    }
    become_next(arguments)
}

fn become_next(arguments: &[OsString]) -> Result<Never> {
    let mut next = Command::new(variable(NEXT)?);
    next.args(arguments).env_remove(LOG).env_remove(NEXT).env_remove(CRATE);
    bail!("cannot run {next:?}: {}", next.exec())
}

fn variable(name: &str) -> Result<OsString> {
    env::var_os(name).with_context(|| format!("{name} is not set"))
}

fn crate_name(arguments: &[OsString]) -> Option<&OsString> {
    let at = arguments.iter().position(|argument| argument == "--crate-name")?;
    arguments.get(at + 1)
}

fn arguments_as_json(arguments: &[OsString]) -> Value {
    arguments
        .iter()
        .map(|argument| String::from_utf8_lossy(argument.as_bytes()).into_owned())
        .collect()
}

fn invocation(arguments: &[OsString]) -> Result<Value> {
    let variables =
        env::vars_os().filter(|(name, _)| ![LOG, NEXT, CRATE].iter().any(|own| name == own));
    let variables = variables.map(|(name, value)| {
        (name.to_string_lossy().into_owned(), Value::from(value.to_string_lossy().into_owned()))
    });
    Ok(json!({
        "arguments": arguments_as_json(arguments),
        "directory": env::current_dir()?.to_string_lossy(),
        "environment": variables.collect::<serde_json::Map<_, _>>(),
    }))
}

/// Puts a compiler that counts into `directory` and returns its path.
///
/// # Errors
/// When this program cannot be copied.
pub(crate) fn install_counting(directory: &Path) -> Result<PathBuf> {
    install(directory, COUNTING)
}

/// Puts a wrapper that captures into `directory` and returns its path.
///
/// # Errors
/// When this program cannot be copied.
pub(crate) fn install_capturing(directory: &Path) -> Result<PathBuf> {
    install(directory, CAPTURING)
}

fn install(directory: &Path, name: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    copy_file(&env::current_exe()?, &path)?;
    Ok(path)
}
