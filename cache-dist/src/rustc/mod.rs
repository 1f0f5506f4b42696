//! rustc on an engine: from a unit's job to an action, and from its result to what the unit's caller
//! expects.
//!
//! The tree of inputs has every file at its absolute path of this machine. Where the sandbox's root is
//! the tree's, nothing in outputs, messages or the trace has to be translated: bytes are those of a
//! compile here, by construction. Elsewhere the worker's directory comes before each path, and is taken
//! out again of all but the outputs (`place`).

mod place;
mod result;
mod script;
mod toolchain;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_rustc::engine::{Executed, Job};

use crate::{Action, Client, Control, Executor, FileDigests, RemoteError, RemoteExecutor, Result};

/// Where what is not the job's own lies in the tree.
const OWN: &str = "larder-run";

/// Compiles units on an engine.
#[derive(Debug)]
pub struct RustcExecutor {
    client: Client,
    executor: Arc<dyn Executor>,
    digests: FileDigests,
    /// For what `sha256sum` checks there, whatever the engine's own function is.
    sums: FileDigests,
    /// Where digests of large files are kept, and how many are.
    memo: PathBuf,
    saved: AtomicUsize,
}

impl RustcExecutor {
    /// Compiles on this engine. In `directory`, which is there, it keeps what it would take time to
    /// find out again.
    ///
    /// # Errors
    /// What asking the engine what it can do meets.
    pub async fn new(client: Client, directory: &Path) -> Result<Self> {
        let function = client.capabilities().await?.digest_function;
        let memo = directory.join(format!("digests-{function}"));
        Ok(Self {
            executor: Arc::new(RemoteExecutor::new(client.clone())),
            client,
            digests: FileDigests::load(function, &memo),
            memo,
            saved: AtomicUsize::new(0),
            sums: FileDigests::new(crate::DigestFunction::Sha256),
        })
    }

    /// The engine.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a job. Its outputs are in its scratch directory then.
    ///
    /// # Errors
    /// When there is no answer as to what the compiler does; [`RemoteError::Unsupported`] when the
    /// engine's sandbox is none in which it could run.
    pub async fn run(&self, job: &Job, control: &Control) -> Result<Executed> {
        let (inputs, system) = self.tree(job).await?;
        let saved = self.digests.save(&self.memo, self.saved.load(Ordering::Relaxed));
        self.saved.store(saved, Ordering::Relaxed);
        let mut action = Action::new(script::arguments(job)?);
        action.environment.insert("PATH".into(), script::PATH.into());
        action.outputs =
            job.outputs.iter().map(|path| tree::relative(path)).collect::<Result<_>>()?;
        action.outputs.extend(script::OUTPUTS.iter().map(|name| format!("{OWN}/{name}")));
        action.label.clone_from(&job.unit);
        let executed = self.executor.execute(&action, &inputs, control).await?;
        if executed.exit_code == script::REFUSED {
            let text = "inputs where they were put, in a directory with a plain name";
            return Err(RemoteError::Unsupported(text.into()));
        }
        result::read(job, &system, &executed).await
    }
}
