//! `larder execute`: whether an engine can be used, and what it can do.

mod status;

use std::time::Duration;

use anyhow::{Result, bail};
use cache_dist::{CheckOptions, CheckReport, Limits, ReapiConfig, check};
use clap::Subcommand;

use crate::config::Config;
use crate::text;

/// What to do with the engine.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Execute {
    /// Run a small action on the engine, and say what is wrong if that fails
    Check {
        /// How many seconds it may take
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        patience: u64,
    },
    /// Show what the engine can do, and what it did
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// The setting that names the engine.
const VARIABLE: &str = "LARDER_EXECUTE";

/// Runs the command.
///
/// # Errors
/// When no engine is configured, or `status` gets no answer.
pub(super) fn run(execute: Execute) -> Result<bool> {
    let config = config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = match execute {
        Execute::Check { patience } => {
            let mut options = CheckOptions::default();
            options.patience = Duration::from_secs(patience);
            let report = runtime.block_on(check(&config, &options));
            say!("{}", checked(&config.url, &report));
            Ok(report.trouble.is_none())
        }
        Execute::Status { json } => runtime.block_on(status::print(&config, json)),
    };
    // Nobody waits for a name that is still being resolved.
    runtime.shutdown_background();
    result
}

/// How the engine is reached, where a person waits.
fn config() -> Result<ReapiConfig> {
    let config = Config::load().execute;
    if config.withheld {
        bail!("the engine is not used, because of a mistake in the settings; see `larder config`");
    }
    let Some(url) = config.url.value else {
        bail!(
            "no engine is configured; set {VARIABLE}=grpc://HOST:PORT[/INSTANCE], or execute.url"
        );
    };
    let options = config.options.into_iter().map(|(name, set)| (name, set.value)).collect();
    let limits = Limits { connect: Duration::from_secs(5), retries: 1, ..Limits::default() };
    Ok(ReapiConfig { limits, options, ..ReapiConfig::new(url) })
}

/// A line for each thing that was tried, and one with what to do.
fn checked(url: &str, report: &CheckReport) -> String {
    let mut out = String::new();
    let mut line = |level: &str, said: String| out += &format!("{level:<8}{said}\n");
    if let (Some(can), Some(latency)) = (&report.capabilities, report.latency) {
        let latency = text::duration(latency);
        line("ok", format!("{url}: answers in {latency}; {}", status::in_words(can)));
    }
    if let Some(ran) = &report.ran {
        let mut said = format!("an action ran in {}", text::duration(ran.total));
        if !ran.worker.is_empty() {
            said += &format!(", by {}", ran.worker);
        }
        if let Some(queued) = ran.queued {
            said += &format!(", {} of it waiting for a worker", text::duration(queued));
        }
        line("ok", said);
        match ran.kept {
            true => line("ok", "its result was kept and served again".into()),
            false => line("note", "its result was not kept: others run the same again".into()),
        }
    }
    if let Some(trouble) = &report.trouble {
        line("BROKEN", format!("{url}: {}", trouble.said));
        let setting = trouble.setting.as_deref().map(name_of);
        let setting = setting.map_or_else(String::new, |name| format!("{name}: "));
        line("", format!("-> {setting}{}", trouble.fix));
    }
    out
}

/// A setting as the user writes it.
fn name_of(setting: &str) -> String {
    match setting {
        "url" => format!("execute.url ({VARIABLE})"),
        other => format!("execute.{}", other.replacen("option ", "options.", 1)),
    }
}
