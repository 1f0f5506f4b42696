//! `larder push`: uploading what builds have left to be uploaded.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cache_rustc::engine::Journal;

use super::remote::client;
use crate::agent::{Ask, Got, Left, Reply};
use crate::config::RemoteConfig;
use crate::text;

/// Writing a build down takes as long as reading its fingerprints.
const SNAPSHOTS: Duration = Duration::from_secs(10);
/// As long as a CI job may take.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// Begins to upload, and waits for it if that is wanted. Whether nothing is left.
///
/// # Errors
/// When no remote is configured, or the agent cannot be started.
pub(super) fn run(wait: bool) -> Result<bool> {
    let (config, client) = client()?;
    if wait {
        wait_for_snapshots(&client.remote().state);
    }
    let ask = if wait { Ask::Push } else { Ask::Poke };
    if client.insist(&Ask::Status).is_none() {
        bail!("the agent cannot be started");
    }
    let Some(mut asked) = client.send(ask) else { bail!("the agent does not answer") };
    match asked.reply(if wait { LONGEST } else { Duration::from_secs(10) }) {
        Got::Reply(Reply::Done) => Ok(true),
        Got::Reply(Reply::Pushed(left)) => Ok(told(&config, &left)),
        Got::Reply(Reply::Nothing { why }) => bail!(config.in_words(&why)),
        Got::Reply(_) | Got::Nothing | Got::Gone => bail!("the agent has gone away"),
    }
}

/// A build that has just ended is written down by a process that waited for its end.
pub(super) fn wait_for_snapshots(state: &Path) {
    let began = Instant::now();
    while Journal::being_written(state) > 0 && began.elapsed() < SNAPSHOTS {
        sleep(Duration::from_millis(20));
    }
}

fn told(config: &RemoteConfig, left: &Left) -> bool {
    sayln!("uploaded {}", text::count(left.uploaded, "outcome"));
    if left.left > 0 {
        let why = left.trouble.as_deref().map(|trouble| config.in_words(trouble));
        let why = why.unwrap_or_else(|| "more was stored meanwhile".to_owned());
        sayln!("{} left: {why}", text::count(left.left, "outcome"));
    }
    left.left == 0
}
