//! The tree of a job's inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_rustc::engine::{Job, Toolchain};

use super::{OWN, RustcExecutor, script, toolchain};
use crate::{Directory, InputBuilder, RemoteError, Result};

/// A path of this machine as one of the tree.
///
/// # Errors
/// [`RemoteError::Local`] when it cannot be one.
pub(super) fn relative(path: &Path) -> Result<String> {
    let text = path.to_str().and_then(|text| text.strip_prefix('/'));
    let wrong = || RemoteError::Local(format!("{} is no absolute path", path.display()));
    text.map(str::to_owned).ok_or_else(wrong)
}

impl RustcExecutor {
    /// The tree, and the system's files whose sums are in it.
    ///
    /// # Errors
    /// [`RemoteError::Local`] for what cannot be read.
    pub(super) async fn tree(&self, job: &Job) -> Result<(Arc<Directory>, BTreeSet<PathBuf>)> {
        let mut builder = InputBuilder::new(self.digests.function());
        let tools = toolchain::files(&job.toolchain).await?;
        for path in job.files.iter().chain([&job.tracer]).chain(&tools).collect::<BTreeSet<_>>() {
            builder.file(&relative(path)?, self.digests.input(path).await?)?;
        }
        for (path, target) in toolchain::alternatives(job).await {
            builder.symlink(&relative(&path)?, target)?;
        }
        for dir in &job.directories {
            builder.directory(&relative(dir)?)?;
        }
        let sums = self.sums(job).await;
        let lines: String =
            sums.iter().map(|(path, sum)| format!("{sum}  {}\n", path.display())).collect();
        builder.bytes(&format!("{OWN}/{}", script::SUMS), lines, false)?;
        Ok((builder.build(), sums.into_keys().collect()))
    }

    /// The part of the tree that is a toolchain.
    ///
    /// # Errors
    /// As [`tree`](Self::tree).
    pub(super) async fn tools(&self, toolchain: &Toolchain) -> Result<Arc<Directory>> {
        let mut builder = InputBuilder::new(self.digests.function());
        for path in toolchain::files(toolchain).await?.iter().collect::<BTreeSet<_>>() {
            builder.file(&relative(path)?, self.digests.input(path).await?)?;
        }
        Ok(builder.build())
    }

    /// The sums of the system's files that matter. One that cannot be read here is not the same there.
    async fn sums(&self, job: &Job) -> BTreeMap<PathBuf, String> {
        let mut sums = BTreeMap::new();
        for path in &job.system {
            // Such names are written otherwise (sha256sum(1), `--check`).
            let plain = path.to_str().is_some_and(|text| !text.contains(['\\', '\n', '\r']));
            if plain && let Ok(file) = self.sums.input(path).await {
                sums.insert(path.clone(), file.digest.hex());
            }
        }
        sums
    }
}
