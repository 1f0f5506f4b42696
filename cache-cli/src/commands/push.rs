//! `larder push`: uploading what builds have left to be uploaded.

use std::time::Duration;

use anyhow::{Result, bail};

use super::remote::client;
use crate::agent::{Ask, Got, Left, Reply};
use crate::text;

/// As long as a CI job may take.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// Begins to upload, and waits for it if that is wanted. Whether nothing is left.
///
/// # Errors
/// When no remote is configured, or the agent cannot be started.
pub(super) fn run(wait: bool) -> Result<bool> {
    let client = client()?;
    let ask = if wait { Ask::Push } else { Ask::Poke };
    if client.ask(Ask::Status).is_none() && !client.start() {
        bail!("the agent cannot be started");
    }
    let Some(mut asked) = client.send(ask) else { bail!("the agent does not answer") };
    match asked.reply(if wait { LONGEST } else { Duration::from_secs(10) }) {
        Got::Reply(Reply::Done) => Ok(true),
        Got::Reply(Reply::Pushed(left)) => Ok(told(&left)),
        Got::Reply(Reply::Nothing { why }) => bail!("{why}"),
        Got::Reply(_) | Got::Nothing | Got::Gone => bail!("the agent has gone away"),
    }
}

fn told(left: &Left) -> bool {
    println!("uploaded {}", text::count(left.uploaded, "outcome"));
    if left.left > 0 {
        let why = left.trouble.as_deref().unwrap_or("more was stored meanwhile");
        println!("{} left: {why}", text::count(left.left, "outcome"));
    }
    left.left == 0
}
