//! What is to be built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::environment::Environment;

/// A workspace, and the directory in it that cargo runs in.
#[derive(Debug)]
pub(super) struct Project {
    /// The workspace's directory.
    pub(super) root: PathBuf,
    /// The directory that was asked for, relative to `root`.
    pub(super) member: PathBuf,
}

impl Project {
    /// The project that `path`, which is canonical, is in.
    ///
    /// # Errors
    /// When there is none, or it is not whole without files outside its directory.
    pub(super) fn find(path: &Path, environment: &Environment) -> Result<Self> {
        let metadata = metadata(path, environment)?;
        let root = metadata["workspace_root"]
            .as_str()
            .ok_or_else(|| anyhow!("cargo metadata names no workspace_root"))?;
        let root = PathBuf::from(root).canonicalize()?;
        check_whole(&root, &metadata)?;
        let member = path.strip_prefix(&root).map(PathBuf::from).unwrap_or_default();
        Ok(Self { root, member })
    }

    /// The directory's name.
    pub(super) fn name(&self) -> String {
        let name = self.root.file_name();
        name.map_or_else(|| "project".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Copies the nearest cargo configuration above the project, which the copies would miss, to
    /// the directory above the copy. Paths in it that are relative to its place are not adapted.
    pub(super) fn copy_outer_config(&self, above: &Path) -> Result<()> {
        let home = crate::cargo_config::home();
        for outer in self.root.ancestors().skip(1) {
            let dir = outer.join(".cargo");
            if Some(&dir) == home.as_ref() {
                continue;
            }
            for name in ["config.toml", "config"] {
                if dir.join(name).is_file() {
                    let to = above.join(".cargo");
                    fs::create_dir_all(&to)?;
                    fs::copy(dir.join(name), to.join("config.toml"))?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// What `cargo metadata` says of the workspace that `path` is in.
///
/// # Errors
/// When there is none.
pub(super) fn metadata(path: &Path, environment: &Environment) -> Result<Value> {
    let mut command = environment.cargo(path);
    command.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let output = command.output().context("cannot run cargo; is it on PATH?")?;
    if !output.status.success() {
        bail!(
            "{} is no cargo project: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata was not understood")
}

/// A path dependency outside the workspace would not be where its manifest says.
fn check_whole(root: &Path, metadata: &Value) -> Result<()> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    for dependency in packages.flat_map(|p| p["dependencies"].as_array().into_iter().flatten()) {
        if let Some(path) = dependency["path"].as_str()
            && !fs::canonicalize(path).is_ok_and(|path| path.starts_with(root))
        {
            bail!(
                "{} depends on {path}, which is outside of it and would not be found from a copy; \
                 try the directory that holds both, if it is a workspace",
                root.display()
            );
        }
    }
    Ok(())
}
