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

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cache_rustc::engine::{Executed, Job, Toolchain};

use crate::{
    Action, Client, Control, Executor, FileDigests, RemoteError, RemoteExecutor, Result, Timings,
    Uploaded,
};

/// Where what is not the job's own lies in the tree.
const OWN: &str = "larder-run";

/// What a job took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spent {
    /// Who has run it, in the engine's own words; empty where it does not say.
    pub worker: String,
    /// How long it took.
    pub timings: Timings,
    /// Whether the engine had the result of an earlier run.
    pub cached: bool,
    /// Making the tree of inputs took so long, digests of files included.
    pub tree: Duration,
    /// What had to be brought to the engine.
    pub uploaded: Uploaded,
    /// What had to be brought of the toolchain, by the first job that needs it.
    pub toolchain: Uploaded,
    /// Bytes that came back.
    pub downloaded: u64,
}

/// A toolchain that is brought once.
type Provided = Arc<tokio::sync::OnceCell<()>>;

/// Compiles units on an engine.
#[derive(Debug)]
pub struct RustcExecutor {
    client: Client,
    executor: RemoteExecutor,
    toolchains: Mutex<HashMap<Toolchain, Provided>>,
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
            executor: RemoteExecutor::new(client.clone()),
            toolchains: Mutex::default(),
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
    /// When there is no answer as to what the compiler does; [`RemoteError::Local`] when an input cannot
    /// be read, or cannot be seen where the engine runs actions.
    pub async fn run(&self, job: &Job, control: &Control) -> Result<(Executed, Spent)> {
        self.run_as(job, 0, control).await
    }

    /// Runs a job beside another run of it, which is the so-maniest: as another action, since engines
    /// join equal ones, and one whose result nobody will look for.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_again(
        &self,
        job: &Job,
        time: usize,
        control: &Control,
    ) -> Result<(Executed, Spent)> {
        self.run_as(job, time, control).await
    }

    async fn run_as(&self, job: &Job, time: usize, control: &Control) -> Result<(Executed, Spent)> {
        let toolchain = self.provide(&job.toolchain).await?;
        let began = Instant::now();
        let (inputs, system) = self.tree(job).await?;
        let tree = began.elapsed();
        let saved = self.digests.save(&self.memo, self.saved.load(Ordering::Relaxed));
        self.saved.store(saved, Ordering::Relaxed);
        let mut action = Action::new(script::arguments(job)?);
        action.environment.insert("PATH".into(), script::PATH.into());
        action.outputs =
            job.outputs.iter().map(|path| tree::relative(path)).collect::<Result<_>>()?;
        action.outputs.extend(script::OUTPUTS.iter().map(|name| format!("{OWN}/{name}")));
        action.label.clone_from(&job.unit);
        if time > 0 {
            action.salt = format!("larder again {time}").into();
            (action.lookup, action.store) = (false, false);
        }
        let executed = self.executor.execute(&action, &inputs, control).await?;
        if executed.exit_code == script::REFUSED {
            let place = job.cwd.display();
            return Err(RemoteError::Local(format!(
                "{place} cannot be seen in the engine's sandbox"
            )));
        }
        let (done, downloaded) = result::read(job, &system, &executed).await?;
        let spent = Spent {
            timings: executed.timings,
            cached: executed.cached,
            tree,
            uploaded: executed.uploaded,
            toolchain,
            downloaded,
            worker: executed.worker,
        };
        Ok((done, spent))
    }

    /// Whether a toolchain was brought.
    #[must_use]
    pub fn has(&self, toolchain: &Toolchain) -> bool {
        self.provided(toolchain).initialized()
    }

    fn provided(&self, toolchain: &Toolchain) -> Provided {
        // Every change is one call: the map is whole even if a panic poisoned the lock.
        let mut toolchains = self.toolchains.lock().unwrap_or_else(PoisonError::into_inner);
        toolchains.entry(toolchain.clone()).or_default().clone()
    }

    /// Brings a toolchain, if that was not done before. Jobs that need it and come meanwhile wait.
    ///
    /// # Errors
    /// [`RemoteError::Local`] for what cannot be read; what uploading meets.
    pub async fn provide(&self, toolchain: &Toolchain) -> Result<Uploaded> {
        let mut uploaded = Uploaded::default();
        let bring = async || {
            let tree = self.tools(toolchain).await?;
            uploaded = self.executor.upload(&tree).await?;
            Ok::<_, RemoteError>(())
        };
        self.provided(toolchain).get_or_try_init(bring).await?;
        Ok(uploaded)
    }
}
