//! Where this repository and its target directory are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The root of this repository: the directory above this crate's, which `cargo run` and `cargo test` name
/// in the environment. Compiled in, it would make this program another one in every checkout.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    here.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// What `cargo metadata --no-deps` says about the workspace at `directory`.
///
/// # Errors
/// When cargo cannot be run or refuses the workspace.
pub(crate) fn metadata(directory: &Path) -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(directory)
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The target directory of this repository, wherever the environment puts it.
///
/// # Errors
/// As [`metadata`].
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata(&root())?;
    let path = metadata["target_directory"].as_str().context("cargo metadata names no target")?;
    Ok(path.into())
}

/// Runs a command to its end with this process's stdin, stdout and stderr.
///
/// # Errors
/// When it cannot be started or does not succeed; the message names the command.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
