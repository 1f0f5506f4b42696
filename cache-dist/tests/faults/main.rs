//! What engines do that is not by the book, each on demand. Those that were seen in real engines are
//! named.

mod cache;
mod connection;
mod execution;
mod results;
#[path = "../support/engine/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use cache_dist::{
    Action, Client, DigestFunction, Directory, InputBuilder, Limits, ReapiConfig, RemoteExecutor,
};
use support::{Engine, Quirks};

/// How to reach an engine, with short pauses: nothing here is slow unless it hangs.
fn config(engine: &Engine) -> ReapiConfig {
    let limits = Limits {
        connect: Duration::from_secs(20),
        idle: Duration::from_secs(20),
        pause: Duration::from_millis(1),
        ..Limits::default()
    };
    ReapiConfig { limits, ..ReapiConfig::new(&engine.url) }
}

/// The same for one that hangs.
fn impatient(engine: &Engine) -> ReapiConfig {
    let mut config = config(engine);
    config.limits.idle = Duration::from_millis(50);
    config
}

fn client(engine: &Engine) -> Client {
    Client::open(&config(engine)).unwrap()
}

async fn start(quirks: Quirks) -> (Engine, RemoteExecutor) {
    let engine = Engine::start(quirks).await;
    let executor = RemoteExecutor::new(client(&engine));
    (engine, executor)
}

/// An action with one output.
fn action() -> Action {
    let mut action = Action::new(["tool", "in/small"]);
    action.outputs = vec!["out/file".into()];
    action
}

/// A small file in a directory, and one that is too long for a batch.
fn inputs(function: DigestFunction) -> Arc<Directory> {
    let mut inputs = InputBuilder::new(function);
    inputs.bytes("in/small", "some bytes", false).unwrap();
    inputs.bytes("large", noise(5 << 20), false).unwrap();
    inputs.build()
}

/// Bytes that no compressor makes shorter.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
