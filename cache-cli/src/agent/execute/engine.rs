//! One engine, as the agent has it open.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cache_dist::{Client, Control, ReapiConfig, RemoteError, RustcExecutor};
use cache_rustc::engine::{Executed, Job};
use tokio::sync::{OnceCell, Semaphore};

use super::super::ask::Conversation;
use super::super::protocol::{Came, Reply};
use super::super::remote::locked;
use crate::config::ExecuteSettings;

/// Units that are in flight at once; cargo has hundreds in a large workspace.
const AT_ONCE: usize = 64;
/// How long an engine that could not be used is left alone; doubled each time.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Leaves an engine alone for a while that could not be used.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    until: Option<Instant>,
    why: String,
}

impl Breaker {
    fn is_open(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    fn failed(&mut self, why: String) {
        if self.is_open() {
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
    slots: Semaphore,
    breaker: Mutex<Breaker>,
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
        })
    }

    /// Compiles a unit for whoever asks, as long as they listen.
    ///
    /// # Errors
    /// What the connection says.
    pub(super) async fn execute(&self, job: &Job, talk: &mut Conversation) -> io::Result<()> {
        let nothing = |why: String| Reply::Nothing { why };
        if locked(&self.breaker).is_open() {
            let why = format!("engine-away: {}", locked(&self.breaker).why);
            return talk.say(&nothing(why)).await;
        }
        let Ok(_slot) = self.slots.try_acquire() else {
            return talk.say(&nothing("engine-full".into())).await;
        };
        talk.say(&Reply::Done).await?;
        let result = tokio::select! {
            result = self.run(job) => result,
            // Dropped with it, the action is given up on the engine too.
            () = talk.closed() => return Ok(()),
        };
        let reply = match result.map_err(|error| self.reason(&error)) {
            Ok(executed) => match write(job, executed) {
                Ok(came) => Reply::Executed(Box::new(came)),
                Err(error) => nothing(format!("scratch: {error}")),
            },
            Err(why) => nothing(why),
        };
        talk.say(&reply).await
    }

    async fn run(&self, job: &Job) -> Result<Executed, RemoteError> {
        let executor =
            self.executor.get_or_try_init(|| RustcExecutor::new(self.client.clone(), &self.dir));
        let executed = executor.await?.run(job, &Control::new()).await?;
        let mut breaker = locked(&self.breaker);
        breaker.failures = 0;
        Ok(executed)
    }

    /// Why there is no result, as a stable word with the detail behind it.
    fn reason(&self, error: &RemoteError) -> String {
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

/// Puts what came into files, for the one who asked.
fn write(job: &Job, executed: Executed) -> io::Result<Came> {
    let put = |name: &str, bytes: &[u8]| fs::write(job.scratch.join(name), bytes);
    put("stdout", &executed.stdout)?;
    put("stderr", &executed.stderr)?;
    if let Some(trace) = &executed.trace {
        put("trace", trace)?;
    }
    let names: Vec<_> = executed.left.into_iter().collect();
    put("left", &names.join(&b'\n'))?;
    Ok(Came {
        exit_code: executed.exit_code,
        env: executed.env,
        tied: executed.tied,
        outputs: executed.outputs.into_keys().collect(),
        system: executed.system,
        run_us: executed.run_us,
    })
}
