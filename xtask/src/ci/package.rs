//! Whether the crates could be published: metadata complete, all files in, and the result builds.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Done;
use crate::repo;

/// Packages every publishable crate of the workspace together, so that those that depend on each
/// other need not be on crates.io yet, and builds each from its package.
///
/// # Errors
/// When cargo cannot package or build one of them.
pub(super) fn check() -> Result<Done> {
    let metadata = repo::metadata(&repo::root())?;
    let packages = metadata["packages"].as_array().context("cargo metadata without packages")?;
    // `publish = false` appears as an empty list of registries.
    let publishable = packages.iter().filter(|package| package["publish"].is_null());
    let names: Vec<&str> = publishable.filter_map(|package| package["name"].as_str()).collect();
    ensure!(!names.is_empty(), "no crate is to be published");
    for package in packages.iter().filter(|package| package["publish"].is_null()) {
        for field in ["description", "license"] {
            ensure!(package[field].is_string(), "{} has no {field}", package["name"]);
        }
    }
    let mut command = Command::new("cargo");
    command.args(["package", "--allow-dirty", "--locked"]).current_dir(repo::root());
    command.args(names.iter().flat_map(|name| ["--package", name]));
    repo::succeed(&mut command)?;
    Ok(Done::Passed)
}
