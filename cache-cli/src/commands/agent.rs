//! `larder agent`: the process in the background. People have no use for it but to end it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::push::wait_for_snapshots;
use crate::agent;
use crate::config::Config;
use crate::places;

/// What to do.
#[derive(Debug, Args)]
pub(super) struct Agent {
    /// Be the agent whose socket is in this directory
    #[arg(long, conflicts_with = "stop")]
    serve: Option<PathBuf>,
    /// Leave after so many milliseconds without anything to do
    #[arg(long, default_value_t = 600_000, requires = "serve")]
    idle_ms: u64,
    /// End the agent, also those of other versions, and wait until they are gone
    #[arg(long)]
    stop: bool,
}

/// Is the agent, or ends it.
pub(super) fn run(agent: &Agent) -> ExitCode {
    if let Some(dir) = &agent.serve {
        return agent::serve(dir, Duration::from_millis(agent.idle_ms));
    }
    if !agent.stop {
        eprintln!("larder: the agent starts by itself; `larder agent --stop` ends it");
        return ExitCode::from(2);
    }
    if let (Some(places), _) = places::open(&Config::load()) {
        // Who writes a build down tells the agent, and would start another one.
        wait_for_snapshots(&places.state);
        agent::end_all(&places.state);
    }
    ExitCode::SUCCESS
}
