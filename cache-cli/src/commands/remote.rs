//! `larder remote`: how the remote is, and cleaning it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use cache_storage::bundle::{CollectOptions, Collected};
use clap::Subcommand;
use serde_json::Value;

use crate::agent::{self, Ask, Client, Got, Reply};
use crate::config::{Config, RemoteConfig, RemoteSettings};
use crate::{places, text};

/// What to do with the remote.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Remote {
    /// Show how fast it is, and what came from it and went to it
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove what nobody has stored anew for so many days
    Gc {
        /// How many days
        #[arg(long, default_value_t = 30)]
        days: u64,
        /// Only count
        #[arg(long)]
        dry_run: bool,
    },
}

const DAY: u64 = 24 * 60 * 60;

/// Runs the command.
///
/// # Errors
/// When no remote is configured, or it says no.
pub(super) fn run(remote: Remote) -> Result<bool> {
    match remote {
        Remote::Status { json } => status(json),
        Remote::Gc { days, dry_run } => collect(days, dry_run),
    }
}

/// The agent of the configured remote, and how that was configured.
///
/// # Errors
/// When no remote is configured.
pub(super) fn client() -> Result<(RemoteConfig, Client)> {
    let (config, settings) = settings()?;
    let client = Client::new(settings).context("this program's own file cannot be found")?;
    Ok((config, client.patient()))
}

fn settings() -> Result<(RemoteConfig, RemoteSettings)> {
    let config = Config::load();
    let (places, store) = places::open(&config);
    let places =
        places.ok_or_else(|| anyhow!(store.err().map_or(String::new(), |e| e.to_string())))?;
    if config.remote.withheld {
        bail!("the remote is not used, because of a mistake in the settings; see `larder config`");
    }
    let settings = agent::settings(&config, &places).ok_or_else(|| {
        anyhow!("no remote is configured; set remote.url in the configuration, or LARDER_REMOTE")
    })?;
    Ok((config.remote, settings))
}

fn status(json: bool) -> Result<bool> {
    let (config, client) = client()?;
    let Some(mut asked) = client.insist(&Ask::Status) else { bail!("the agent cannot be started") };
    match asked.reply(Duration::from_secs(10)) {
        Got::Reply(Reply::Status(status)) if json => sayln!("{status:#}"),
        Got::Reply(Reply::Status(status)) => say!("{}", as_text(&config, &client, &status)),
        Got::Reply(Reply::Nothing { why }) => bail!(config.in_words(&why)),
        Got::Reply(_) | Got::Nothing | Got::Gone => bail!("the agent has gone away"),
    }
    Ok(true)
}

fn as_text(config: &RemoteConfig, client: &Client, status: &Value) -> String {
    let number = |name: &str| status[name].as_u64().unwrap_or(0);
    let mut lines =
        vec![format!("Remote {} ({})", client.remote().shown_url(), text_of(&status["access"]))];
    let mut line = |name: &str, said: String| lines.push(format!("{name:<11} {said}"));
    let latency =
        status["latency_us"].as_u64().map_or_else(|| "not known yet".into(), text::micros);
    let rate = status["bytes_per_second"].as_u64();
    let rate = rate.map_or_else(String::new, |rate| format!(", {} a second", text::bytes(rate)));
    line("Speed", format!("{latency} an answer{rate}"));
    let at_once = number("at_once");
    line("Breaker", format!("{}, {at_once} requests at once", text_of(&status["breaker"])));
    if let Some(trouble) = status["trouble"].as_str() {
        line("Trouble", config.in_words(trouble));
    }
    line(
        "Asked",
        format!(
            "{} times: {} brought, {} absent, {} not worth it, {} held nothing here, {} failed",
            number("asked"),
            number("brought"),
            number("nothing"),
            number("not_worth"),
            number("none_holds"),
            number("failed")
        ),
    );
    line("Downloaded", text::bytes(number("bytes_down")));
    line("Uploaded", format!("{}, {} to be uploaded", number("uploaded"), number("to_upload")));
    let ignored = &status["ignored"];
    if let Some(ignored) = ignored.as_object() {
        let all: u64 = ignored.values().filter_map(Value::as_u64).sum();
        line("Refused", format!("{all} records without a trusted signature"));
    }
    if number("damaged") > 0 {
        line("Damaged", text::count(number("damaged"), "object"));
    }
    if number("other_version") > 0 {
        let said = text::count(number("other_version"), "record");
        line("Passed over", format!("{said} of another version of larder: see `larder doctor`"));
    }
    if number("not_ours") > 0 {
        let said = text::count(number("not_ours"), "record");
        line("Passed over", format!("{said} that larder did not write: see `larder doctor`"));
    }
    lines.join("\n") + "\n"
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or("none")
}

fn collect(days: u64, dry_run: bool) -> Result<bool> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let before = now.saturating_sub(days.saturating_mul(DAY));
    let options = CollectOptions { before, orphans_before: now.saturating_sub(DAY), dry_run };
    let collected = agent::collect(&settings()?.1, options)?;
    say!("{}", collected_text(&collected, dry_run));
    Ok(true)
}

fn collected_text(collected: &Collected, dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut out = format!(
        "{verb} {} and {} with {}\nleft: {} and {} with {}\n",
        text::count(collected.old_records, "record"),
        text::count(collected.orphans, "pack"),
        text::bytes(collected.orphan_bytes),
        text::count(collected.records, "record"),
        text::count(collected.packs, "pack"),
        text::bytes(collected.pack_bytes),
    );
    if collected.newer > 0 {
        let records = text::count(collected.newer, "record");
        out += &format!("{records} of a newer larder: no pack was removed\n");
    }
    if collected.foreign > 0 {
        let records = text::count(collected.foreign, "record");
        out += &format!("{records} not of this cache's making, or not signed by a trusted key\n");
    }
    out
}
