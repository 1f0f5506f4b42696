//! Tries an engine: what a build would do, once and with little.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::{
    Action, Client, Control, Executed, Executor, InputBuilder, OutputKind, ReapiConfig,
    RemoteError, RemoteExecutor, Result, ServerCapabilities, Stage,
};

/// What the action does: it reads an input and writes an output with a tool of the worker's.
const SCRIPT: &str = "read line < greeting && echo \"$line\" > answer && echo done";
const SHELL: &str = "/bin/sh";
const GREETING: &str = "hello from larder";

/// What is tried, and for how long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckOptions {
    /// How long the engine may take for an action that needs no time.
    pub patience: Duration,
    /// What actions ask of workers.
    pub platform: BTreeMap<String, String>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { patience: Duration::from_secs(60), platform: BTreeMap::new() }
    }
}

/// What was found out about an engine.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// What it can do; `None` if that could not be asked.
    pub capabilities: Option<ServerCapabilities>,
    /// How long the answer to the first question took, the connection included.
    pub latency: Option<Duration>,
    /// The hello-world action, if it ran.
    pub ran: Option<CheckedRun>,
    /// Why it cannot be used; `None`: it can.
    pub trouble: Option<Trouble>,
}

/// An action that ran.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckedRun {
    /// From sending the first byte to its end.
    pub total: Duration,
    /// Who ran it, in the engine's words.
    pub worker: String,
    /// For how long it waited for a worker, where the engine says so.
    pub queued: Option<Duration>,
    /// Whether its result was kept and served again.
    pub kept: bool,
}

/// What is wrong, in plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// What.
    pub kind: TroubleKind,
    /// What was met, in a sentence without its end.
    pub said: String,
    /// What to do about it.
    pub fix: String,
    /// The setting to look at, where one is to blame: `url`, `platform` or `option NAME`.
    pub setting: Option<String>,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TroubleKind {
    /// A setting that cannot be right, TLS among them.
    Settings,
    /// Nobody answers there.
    Unreachable,
    /// It refuses who asks.
    Denied,
    /// It has no such instance.
    Instance,
    /// It executes nothing.
    CacheOnly,
    /// It knows none of our digest functions.
    DigestFunction,
    /// It refuses what is asked of workers.
    Platform,
    /// Nothing more can be stored.
    Full,
    /// No worker has taken the action in time.
    NoWorker,
    /// The action has not ended in time.
    TooSlow,
    /// Workers lack a shell.
    NoShell,
    /// The action did something else than it should.
    WrongResult,
    /// Anything else.
    Failed,
}

/// Tries an engine. Within a tokio runtime.
pub async fn check(config: &ReapiConfig, options: &CheckOptions) -> CheckReport {
    let mut report = CheckReport { capabilities: None, latency: None, ran: None, trouble: None };
    if let Err(trouble) = try_all(config, options, &mut report).await {
        report.trouble = Some(trouble);
    }
    report
}

async fn try_all(
    config: &ReapiConfig,
    options: &CheckOptions,
    report: &mut CheckReport,
) -> Result<(), Trouble> {
    let explain = |error| explain(config, error);
    let client = Client::open(config).map_err(explain)?;
    let began = Instant::now();
    let can = client.capabilities().await.map_err(explain)?.clone();
    report.latency = Some(began.elapsed());
    report.capabilities = Some(can.clone());
    if !can.execute {
        return Err(cache_only());
    }
    let action = hello(options);
    let mut inputs = InputBuilder::new(can.digest_function);
    inputs.bytes("greeting", format!("{GREETING}\n"), false).map_err(explain)?;
    let inputs = inputs.build();
    let executor = RemoteExecutor::new(client);
    let stage = Arc::new(Mutex::new(None));
    let control = Control::new().with_watch({
        let stage = Arc::clone(&stage);
        move |now| *stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(now)
    });
    let began = Instant::now();
    let run = tokio::time::timeout(options.patience, executor.execute(&action, &inputs, &control));
    let Ok(result) = run.await else {
        let stage = *stage.lock().unwrap_or_else(PoisonError::into_inner);
        return Err(too_slow(stage, options.patience));
    };
    let executed = result.map_err(explain)?;
    let total = began.elapsed();
    judge(&executed).await?;
    let again =
        tokio::time::timeout(options.patience, executor.execute(&action, &inputs, &control));
    report.ran = Some(CheckedRun {
        total,
        worker: executed.worker,
        queued: executed.timings.queued,
        kept: again.await.is_ok_and(|again| again.is_ok_and(|again| again.cached)),
    });
    Ok(())
}

/// An action that nobody has run before.
fn hello(options: &CheckOptions) -> Action {
    let mut action = Action::new([SHELL, "-c", SCRIPT]);
    action.outputs = vec!["answer".into()];
    action.platform.clone_from(&options.platform);
    action.timeout = Some(options.patience);
    action.salt = crate::unique::name().into();
    action.label = "larder execute check".into();
    action
}

fn trouble(kind: TroubleKind, said: impl Into<String>, fix: impl Into<String>) -> Trouble {
    Trouble { kind, said: said.into(), fix: fix.into(), setting: None }
}

fn of_setting(kind: TroubleKind, setting: String, said: String, fix: &str) -> Trouble {
    Trouble { setting: Some(setting), ..trouble(kind, said, fix) }
}

fn cache_only() -> Trouble {
    trouble(
        TroubleKind::CacheOnly,
        "the server there is a cache only: it executes nothing",
        "use it as remote.url, or name an address of the engine that executes",
    )
}

fn too_slow(stage: Option<Stage>, patience: Duration) -> Trouble {
    let seconds = patience.as_secs();
    match stage {
        Some(Stage::Executing) => trouble(
            TroubleKind::TooSlow,
            format!("a worker has the action, and did not end it in {seconds} s"),
            "look at the worker's log",
        ),
        Some(Stage::Queued) => trouble(
            TroubleKind::NoWorker,
            format!("no worker took the action in {seconds} s"),
            "start workers for this instance, or ask for what they have (execute.platform)",
        ),
        _ => trouble(
            TroubleKind::NoWorker,
            format!("no result in {seconds} s, and no word of a worker"),
            "see whether the engine has a worker, and what its log says",
        ),
    }
}

/// Whether the action did what it should.
async fn judge(executed: &Executed) -> Result<(), Trouble> {
    let said = String::from_utf8_lossy(&executed.stderr);
    let said = crate::status::one_line(&said);
    if executed.exit_code == 126 || executed.exit_code == 127 {
        return Err(no_shell(&format!("exit code {}: {said}", executed.exit_code)));
    }
    if executed.exit_code != 0 {
        return Err(trouble(
            TroubleKind::WrongResult,
            format!("a command of the shell ended with {}: {said}", executed.exit_code),
            "look at the worker's log, and at the sandbox that it makes",
        ));
    }
    let answer = match &executed.outputs[..] {
        [output] => match &output.kind {
            OutputKind::File { content, .. } => content.read().await,
            _ => Err(RemoteError::Garbage("the output is no file".into())),
        },
        others => Err(RemoteError::Garbage(format!("{} outputs instead of one", others.len()))),
    };
    match answer {
        Ok(bytes) if bytes == format!("{GREETING}\n") && executed.stdout == "done\n" => Ok(()),
        Ok(_) => Err(trouble(
            TroubleKind::WrongResult,
            "the action's output is not what it should be",
            "look at the worker's log",
        )),
        Err(error) => Err(trouble(
            TroubleKind::WrongResult,
            format!("the action's output cannot be read: {error}"),
            "look at the worker's log, and at the engine's storage",
        )),
    }
}

fn no_shell(said: &str) -> Trouble {
    trouble(
        TroubleKind::NoShell,
        format!("the worker's sandbox cannot run {SHELL} ({said})"),
        format!("give sandboxes {SHELL} and the C library: an image that has them, or a mount"),
    )
}

/// What an error means to the user of these settings.
fn explain(config: &ReapiConfig, error: RemoteError) -> Trouble {
    use TroubleKind as K;
    let instance = Address::parse(&config.url).map(|address| address.instance).unwrap_or_default();
    let text = error.to_string();
    let small = text.to_ascii_lowercase();
    match error {
        RemoteError::Misconfigured { setting, reason } if setting == "platform" => {
            of_setting(K::Platform, setting, reason, "ask workers only for what the engine knows")
        }
        RemoteError::Misconfigured { setting, reason } if setting.ends_with("digest") => {
            let fix = "leave it unset, or have the engine offer it";
            of_setting(K::DigestFunction, setting, reason, fix)
        }
        RemoteError::Misconfigured { setting, reason } => {
            of_setting(K::Settings, setting, reason, "change it")
        }
        RemoteError::Denied { setting, reason } => {
            let said = format!("access denied: {reason}");
            of_setting(K::Denied, setting, said, "see whether it is right and still valid")
        }
        RemoteError::Refused(_) | RemoteError::Failed(_) if small.contains("instance") => {
            let named = match instance.as_str() {
                "" => "the address names no instance".to_owned(),
                name => format!("the address names the instance {name:?}"),
            };
            let fix = "write its name after the address: grpc://HOST:PORT/INSTANCE";
            trouble(K::Instance, format!("{named}, and the engine knows none such: {text}"), fix)
        }
        RemoteError::Refused(_) | RemoteError::Failed(_)
            if ["no such file", "not found", "execve", "cannot run"]
                .iter()
                .any(|words| small.contains(words)) =>
        {
            no_shell(&text)
        }
        RemoteError::Unavailable(_) | RemoteError::TimedOut(_) => trouble(
            K::Unreachable,
            text,
            "see whether the engine runs and this machine may reach it; grpc:// is without TLS, \
             grpcs:// with",
        ),
        RemoteError::Full(_) => trouble(K::Full, text, "make room on the engine"),
        RemoteError::Unsupported(_) => {
            trouble(K::CacheOnly, text, "name an address of the engine that executes")
        }
        _ => trouble(K::Failed, text, "look at the engine's log"),
    }
}
