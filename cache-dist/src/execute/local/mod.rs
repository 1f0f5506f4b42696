//! Running an action on this machine, in a directory of its own.

mod collect;
mod process;
mod stage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tempfile::TempDir;

use super::{Action, Control, Executed, Executor, Stage, Timings};
use crate::content::blocking;
use crate::{Directory, RemoteError, Result, Uploaded};

/// Runs actions on this machine: the inputs are copied into a new directory, the command runs
/// there with the action's environment and nothing else, and the directory goes with the last of
/// the outputs.
///
/// This is no sandbox: a command that names files outside of its inputs finds them. Nothing is
/// cached.
#[derive(Clone, Debug)]
pub struct LocalExecutor {
    scratch: PathBuf,
}

impl LocalExecutor {
    /// Runs actions below this directory, which has to exist.
    #[must_use]
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        Self { scratch: scratch.into() }
    }

    async fn run(
        &self,
        action: &Action,
        inputs: &Directory,
        control: &Control,
    ) -> Result<Executed> {
        action.check()?;
        let began = Instant::now();
        let root = self.directory()?;
        stage::stage(inputs, Arc::clone(&root)).await?;
        let working = working_directory(action, root.path()).await?;
        let staged = began.elapsed();
        control.tell(Stage::Executing);
        let began = Instant::now();
        let ended = process::run(action, &working).await?;
        let run = began.elapsed();
        control.tell(Stage::Completed);
        Ok(Executed {
            exit_code: ended.exit_code,
            stdout: ended.stdout,
            stderr: ended.stderr,
            outputs: collect::outputs(action, &working, &root).await?,
            cached: false,
            worker: String::new(),
            timings: Timings { inputs: Some(staged), run: Some(run), ..Timings::default() },
            uploaded: Uploaded::default(),
        })
    }

    fn directory(&self) -> Result<Arc<TempDir>> {
        let made = tempfile::Builder::new().prefix("action-").tempdir_in(&self.scratch);
        made.map(Arc::new).map_err(|e| RemoteError::local(self.scratch.display(), &e))
    }
}

/// Where the command runs, with the directories that its outputs go to.
async fn working_directory(action: &Action, root: &Path) -> Result<PathBuf> {
    let working = root.join(&action.working_directory);
    if !working.is_dir() {
        let name = &action.working_directory;
        return Err(RemoteError::Local(format!("no input makes the working directory {name:?}")));
    }
    let above: Vec<_> = action
        .outputs
        .iter()
        .filter_map(|output| Some(working.join(output).parent()?.to_owned()))
        .collect();
    blocking(move || {
        for directory in above {
            let made = std::fs::create_dir_all(&directory);
            made.map_err(|e| RemoteError::local(directory.display(), &e))?;
        }
        Ok(working)
    })
    .await
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn execute(
        &self,
        action: &Action,
        inputs: &Directory,
        control: &Control,
    ) -> Result<Executed> {
        control.guard(self.run(action, inputs, control)).await
    }
}
