//! One engine, as the agent has it open.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_dist::schedule::Unit;
use cache_dist::{Client, ReapiConfig, RemoteError, RustcExecutor};
use cache_rustc::engine::{Job, Toolchain};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::super::remote::locked;
use super::super::server::LOW;
use super::figures::Figures;
use super::tails::Tails;
use super::underway::UnderWay;
use super::worth::Worth;
use crate::config::ExecuteSettings;

/// Units that are in flight at once; cargo has hundreds in a large workspace.
const AT_ONCE: usize = 64;
/// How long an engine that could not be used is left alone; doubled each time.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Leaves an engine alone for a while that could not be used.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    until: Option<Instant>,
    why: String,
}

impl Breaker {
    /// Why the engine is left alone now, if it is.
    pub(super) fn open(&self) -> Option<String> {
        let until = self.until.filter(|until| Instant::now() < *until);
        until.map(|_| self.why.clone())
    }

    /// It has done something.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
    }

    fn failed(&mut self, why: String) {
        if self.open().is_some() {
            return; // others that were under way
        }
        let pause = PAUSE * 2_u32.pow(self.failures.min(8));
        self.until = Some(Instant::now() + pause.min(LONGEST_PAUSE));
        self.failures += 1;
        self.why = why;
    }
}

/// An engine.
pub(super) struct Engine {
    client: Client,
    dir: PathBuf,
    executor: OnceCell<RustcExecutor>,
    pub(super) slots: Semaphore,
    pub(super) breaker: Mutex<Breaker>,
    /// Of two locks this one is taken first.
    pub(super) worth: Mutex<Worth>,
    pub(super) underway: Mutex<UnderWay>,
    /// Toolchains that are being brought, or why they cannot be.
    preparing: Mutex<HashMap<Toolchain, Option<String>>>,
    pub(super) figures: Mutex<Figures>,
    pub(super) tails: Arc<Tails>,
}

impl Engine {
    /// Opens it; no request is made.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(super) fn open(settings: ExecuteSettings) -> Result<Self, String> {
        let dir = settings.dir();
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let config =
            ReapiConfig { url: settings.url, options: settings.options, ..ReapiConfig::default() };
        let client = Client::open(&config).map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            dir,
            executor: OnceCell::new(),
            slots: Semaphore::new(AT_ONCE),
            breaker: Mutex::default(),
            worth: Mutex::default(),
            underway: Mutex::default(),
            preparing: Mutex::default(),
            figures: Mutex::default(),
            tails: Arc::new(Tails::new(&settings.state)),
        })
    }

    /// Makes room for a job. One that is to be done in any case may wait for it.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(super) fn take(
        self: &Arc<Self>,
        job: &Job,
        unit: Unit,
    ) -> Result<Option<SemaphorePermit<'_>>, String> {
        if let Some(why) = locked(&self.breaker).open() {
            return Err(format!("engine-away: {why}"));
        }
        if job.always {
            return Ok(None);
        }
        let slot = self.slots.try_acquire().map_err(|_| "engine-full".to_owned())?;
        if !self.executor.get().is_some_and(|executor| executor.has(&job.toolchain)) {
            return Err(self.prepare(&job.toolchain));
        }
        let mut worth = locked(&self.worth);
        let known = job.cost_us.is_some();
        worth.judge(unit, known, self.in_flight().saturating_sub(1))?;
        worth.sent();
        drop(worth);
        Ok(Some(slot))
    }

    /// How things are, as JSON: times in microseconds, sizes in bytes.
    pub(super) fn status(&self) -> Value {
        let worth = locked(&self.worth);
        let mut status = locked(&self.figures).json(&worth.fleet);
        status["in_flight"] = self.in_flight().into();
        status["at_once"] = worth.at_once().min(AT_ONCE).into();
        drop(worth);
        status["builds"] = self.tails.json();
        status["trouble"] = locked(&self.breaker).open().into();
        status
    }

    /// Units of ours that the engine has.
    pub(super) fn in_flight(&self) -> usize {
        AT_ONCE.saturating_sub(self.slots.available_permits())
    }

    /// Has a toolchain brought while no unit waits for it, on a thread of low priority: a compile must
    /// not notice. Says why units stay here meanwhile.
    fn prepare(self: &Arc<Self>, toolchain: &Toolchain) -> String {
        let under_way = "not-ready: the engine is being given the toolchain".to_owned();
        let mut preparing = locked(&self.preparing);
        if let Some(state) = preparing.get(toolchain) {
            return state.clone().unwrap_or(under_way);
        }
        preparing.insert(toolchain.clone(), None);
        drop(preparing);
        let (engine, toolchain, runtime) = (self.clone(), toolchain.clone(), Handle::current());
        let work = move || {
            // On Linux this is the thread's own (nice(2), "C library/kernel differences").
            let _ = rustix::process::nice(LOW);
            runtime.block_on(engine.provide(toolchain));
        };
        // Without a thread there is no engine.
        let _ = std::thread::Builder::new().name("toolchain".into()).spawn(work);
        under_way
    }

    async fn provide(&self, toolchain: Toolchain) {
        let provided = match self.executor().await {
            Ok(executor) => executor.provide(&toolchain).await,
            Err(error) => Err(error),
        };
        let mut preparing = locked(&self.preparing);
        match provided {
            Ok(uploaded) => locked(&self.figures).toolchain(uploaded),
            // What is wrong here stays so.
            Err(error @ RemoteError::Local(_)) => {
                preparing.insert(toolchain, Some(self.reason(&error)));
                return;
            }
            Err(error) => drop(self.reason(&error)),
        }
        preparing.remove(&toolchain);
    }

    pub(super) async fn executor(&self) -> Result<&RustcExecutor, RemoteError> {
        let open = || RustcExecutor::new(self.client.clone(), &self.dir);
        self.executor.get_or_try_init(open).await
    }

    /// Why there is no result, as a stable word with the detail behind it.
    pub(super) fn reason(&self, error: &RemoteError) -> String {
        let word = match error {
            RemoteError::Local(_) => return format!("input: {error}"),
            RemoteError::Missing(_) => "engine-lost",
            RemoteError::TimedOut(_) => "engine-slow",
            RemoteError::Unsupported(_) => "engine-unfit",
            _ => "engine",
        };
        let why = format!("{word}: {error}");
        locked(&self.breaker).failed(why.clone());
        why
    }
}
