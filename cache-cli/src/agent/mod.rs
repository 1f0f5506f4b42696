//! The agent: the process that does what takes a network.
//!
//! A wrapper that has a remote and misses asks it over a Unix socket to bring what is wanted to the local
//! store; what was stored, it finds in a directory of small files, the *spool*, and uploads when the build
//! is over. It is started by whoever first finds nobody at the socket, with an empty environment, and
//! leaves when it has had nothing to do for a while. Each request carries the settings of whoever asks, so
//! one agent serves builds with different remotes and credentials.
//!
//! ```text
//! <state>/agent-v1/<build>/socket     where it listens; <build> is that of the program: others coexist
//! <state>/agent-v1/<build>/lock       flock(2) while it lives: there is one; its process number
//! <state>/agent-v1/<build>/avoid      it was asked and did not answer: nobody asks for some seconds
//! <state>/remotes-v1/<remote>/history.json   how fast the remote was
//! <state>/remotes-v1/<remote>/spool/         what is to be uploaded, an empty file each
//! <state>/remotes-v1/<remote>/placed/        which outcomes are there, and in which packs
//! <state>/remotes-v1/<remote>/uploading      flock(2) while somebody uploads
//! ```
//!
//! All of it may be deleted at any time: at worst something is not uploaded, or uploaded twice.

mod ask;
mod bring;
mod budget;
mod client;
mod download;
pub(crate) mod engine_cache;
mod execute;
mod history;
mod instance;
mod placed;
mod progress;
mod protocol;
mod remote;
mod server;
mod spool;
mod status;
mod supply;
mod upload;

pub(crate) use client::{Client, Got};
pub(crate) use instance::end_all;
pub(crate) use protocol::{Ask, Left, Reply};
pub(crate) use remote::signed;
pub(crate) use server::serve;
use supply::AgentSupply;

use std::sync::Arc;

use cache_rustc::engine::Engine;
use cache_storage::bundle::{CollectOptions, Collected, Depot};

use crate::config::{Config, RemoteSettings};
use crate::places::Places;

/// The remote that is configured, with the variables of this process.
pub(crate) fn settings(config: &Config, places: &Places) -> Option<RemoteSettings> {
    // Nothing is read where there is none.
    config.remote.url.value.as_ref()?;
    config.remote.settings(places.store.clone(), places.state.clone(), std::env::vars_os())
}

/// The engine, with the remote that is configured behind its store.
pub(crate) fn supply(engine: Engine, config: &Config, places: &Places) -> Engine {
    let supply = settings(config, places).and_then(AgentSupply::new);
    match supply {
        Some(supply) => engine.with_supply(Arc::new(supply)),
        None => engine,
    }
}

/// The engine, with the machines that are configured to compile on.
pub(crate) fn dispatcher(engine: Engine, config: &Config, places: &Places) -> Engine {
    let settings = config.execute.settings(places.state.clone());
    let local = config.execute.local.value;
    match settings.and_then(|settings| execute::AgentDispatcher::new(settings, local)) {
        Some(dispatcher) => engine.with_dispatcher(Arc::new(dispatcher)),
        None => engine,
    }
}

/// Asks the agent that runs, if one does, how the engine of the configuration is.
pub(crate) fn ask_engine(config: &Config, state: std::path::PathBuf) -> Option<client::Asked> {
    let client = Client::of_engine(config.execute.settings(state)?).ok()?;
    client.patient().ask(Ask::Status)
}

/// Removes from a remote what is old, by this process itself.
///
/// # Errors
/// What the remote says.
pub(crate) fn collect(
    remote: &RemoteSettings,
    options: CollectOptions,
) -> anyhow::Result<Collected> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let stack = remote::open_stack(remote)?;
        Depot::new(stack.store).collect(options).await
    })?)
}
