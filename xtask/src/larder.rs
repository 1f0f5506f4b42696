//! The `larder` binary under test, its environment, and its counters.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::build_env::clean_command;
use crate::repo;

/// The binary to measure: `given`, or this repository's own in release mode, built first.
///
/// # Errors
/// When it cannot be built or found.
pub(crate) fn binary(given: Option<PathBuf>) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path,
        None => {
            let mut build = Command::new("cargo");
            build.args(["build", "--release", "--bin", "larder"]).current_dir(repo::root());
            repo::succeed(&mut build)?;
            repo::target_directory()?.join("release/larder")
        }
    };
    path.canonicalize().with_context(|| format!("no larder at {}", path.display()))
}

/// Sets a command up to build through larder with its store in `store` and default settings.
pub(crate) fn wrap(command: &mut Command, larder: &Path, store: &Path) {
    command.env("RUSTC_WRAPPER", larder).env("LARDER_DIR", store);
    command.env("LARDER_CONFIG", store.with_extension("toml"));
}

/// Hits and misses since the store's counters were last zeroed, and all that was reported.
pub(crate) struct Stats {
    /// Invocations answered from the store.
    pub(crate) hits: Option<u64>,
    /// Invocations that had to compile although they are cacheable.
    pub(crate) misses: Option<u64>,
    /// Invocations passed through, for whatever reason.
    pub(crate) uncacheable: Option<u64>,
    /// The whole answer of `larder stats --json`.
    pub(crate) raw: Value,
}

/// Reads the counters with `larder stats --json`.
///
/// # Errors
/// When the command fails or its answer is not JSON.
pub(crate) fn stats(larder: &Path, store: &Path) -> Result<Stats> {
    let raw: Value = serde_json::from_slice(&command(larder, store, &["stats", "--json"])?)?;
    Ok(Stats {
        hits: total(&raw["hits"]),
        misses: total(&raw["misses"]),
        uncacheable: total(&raw["uncacheable"]),
        raw,
    })
}

/// Sets the counters to zero with `larder stats --zero`.
///
/// # Errors
/// When the command fails.
pub(crate) fn zero_stats(larder: &Path, store: &Path) -> Result<()> {
    command(larder, store, &["stats", "--zero"]).map(drop)
}

/// Uploads what is still to be uploaded, with `larder push --wait`.
///
/// # Errors
/// When the command fails.
pub(crate) fn push(larder: &Path, store: &Path, env: &[(String, String)]) -> Result<()> {
    command_with(larder, store, &["push", "--wait"], env).map(drop)
}

/// Ends the agent of a store, where there is one.
///
/// # Errors
/// When the command fails.
pub(crate) fn stop_agent(larder: &Path, store: &Path, env: &[(String, String)]) -> Result<()> {
    command_with(larder, store, &["agent", "--stop"], env).map(drop)
}

/// What the agent of a store says of the engine: the answer of `larder execute status --json`.
///
/// # Errors
/// When the command fails or its answer is not JSON.
pub(crate) fn engine(larder: &Path, store: &Path, env: &[(String, String)]) -> Result<Value> {
    let answer = command_with(larder, store, &["execute", "status", "--json"], env)?;
    Ok(serde_json::from_slice(&answer)?)
}

fn command(larder: &Path, store: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    command_with(larder, store, arguments, &[])
}

fn command_with(
    larder: &Path,
    store: &Path,
    arguments: &[&str],
    env: &[(String, String)],
) -> Result<Vec<u8>> {
    let directory = store.parent().unwrap_or(store);
    fs::create_dir_all(directory)?;
    let mut command = clean_command(larder.as_ref(), directory);
    wrap(&mut command, larder, store);
    let output = command
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("RUSTC_WRAPPER", OsStr::new(""))
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", larder.display()))?;
    ensure!(
        output.status.success(),
        "larder {}: {}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// A counter, or the sum of a group of them.
fn total(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::Object(parts) => Some(parts.values().filter_map(total).sum()),
        Value::Array(parts) => Some(parts.iter().filter_map(total).sum()),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counters_may_be_split_by_kind() {
        assert_eq!(total(&json!(3)), Some(3));
        assert_eq!(total(&json!({"lib": 3, "check": 4})), Some(7));
        assert_eq!(total(&json!([{"reason": "link", "count": 2}])), Some(2));
        assert_eq!(total(&json!(null)), None);
    }
}
