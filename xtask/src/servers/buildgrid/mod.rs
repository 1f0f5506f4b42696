//! BuildGrid: a remote execution engine with a database for its queue, and workers of our own. Its instance
//! `main` has one with four seats; to the others tests bring workers as they need them.

mod postgres;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;
use nix::sys::signal::Signal;

use super::Running;
use super::install::Place;
use super::process::{Server, free_ports};
use crate::repo::succeed;

const PACKAGE: &str = "buildgrid[database,redis]==0.4.4";
/// BuildGrid has no worker: this one leases actions and runs them.
const BOT: &str = include_str!("bot.py");
/// The worker's seats, and how slow each is.
const SEATS: [&str; 4] = ["bot-1=1", "bot-2=1", "bot-3=1", "bot-4=1"];
/// Instances without a worker: `fleet-1` and so on, one for each test that brings its own.
const FLEETS: usize = 6;

/// Starts the engine with its worker; what starts more workers comes with it.
pub(super) fn start(place: &Place, data: &Path) -> Result<[Running; 3]> {
    let program = place.python(PACKAGE, "bgd")?;
    let directory = data.join("buildgrid");
    fs::create_dir_all(&directory)?;
    let (database, url) = postgres::start(data)?;
    succeed(Command::new(&program).args(["migrate", "apply", &url]).stdout(Stdio::null()))?;
    let [port] = free_ports()?;
    let settings = directory.join("settings.yml");
    fs::write(&settings, configuration(port, &url, &directory.join("cas")))?;
    let mut command = Command::new(&program);
    command.args(["server", "start"]).arg(&settings);
    let server = Server::start(&mut command, data.join("buildgrid.log"), port)?;
    let starter = starter(&program.with_file_name("python"), &directory, port)?;
    let mut command = Command::new(&starter);
    command.arg("main").args(SEATS);
    let bot = Server::start_silent(&mut command, data.join("bot.log"))?.ended_by(Signal::SIGTERM);
    let address = format!("grpc://127.0.0.1:{port}");
    let running = |variable, address, servers| Running { variable, address, _servers: servers };
    Ok([
        running(
            "LARDER_TEST_REAPI_BUILDGRID",
            format!("{address}/main"),
            vec![bot, server, database],
        ),
        running("LARDER_TEST_REAPI_FLEET", address, vec![]),
        running("LARDER_TEST_BOT", starter.display().to_string(), vec![]),
    ])
}

/// A script that becomes a worker of an instance, with the seats that are named behind it.
fn starter(python: &Path, directory: &Path, port: u16) -> Result<PathBuf> {
    let bot = directory.join("bot.py");
    fs::write(&bot, BOT)?;
    let (python, bot) = (python.display(), bot.display());
    let own = directory.join("bot");
    let text =
        format!("#!/bin/sh\nexec '{python}' '{bot}' 127.0.0.1:{port} '{}' \"$@\"\n", own.display());
    let script = directory.join("start-bot");
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// Every service in one process, which looks for work to hand out ten times a second.
fn configuration(port: u16, database: &str, cas: &Path) -> String {
    let cas = cas.display();
    let fleets = (1..=FLEETS).map(|number| format!("fleet-{number}"));
    let instances = std::iter::once("main".to_owned()).chain(fleets).map(|name| {
        format!(
            "  - name: {name}
    services:
      - !action-cache
        cache: *results
      - !execution
        scheduler: *scheduler
      - !cas
        storage: *storage
      - !bytestream
        storage: *storage
"
        )
    });
    let instances: String = instances.collect();
    format!(
        r#"server:
  - !channel
    address: "127.0.0.1:{port}"
    insecure-mode: true
authorization:
  method: none
connections:
  - !sql-connection &sql
    connection-string: {database}
    pool-size: 20
    max-overflow: 20
storages:
  - !disk-storage &storage
    path: {cas}
caches:
  - !lru-action-cache &results
    storage: *storage
    max-cached-refs: 100000
    allow-updates: true
    cache-failed-actions: true
schedulers:
  - !sql-scheduler &scheduler
    sql: *sql
    storage: *storage
    action-cache: *results
    poll-interval: 0.1
    assigners:
      - !priority-age-assigner
        count: 1
        interval: 0.1
        failure-backoff: 0.1
instances:
{instances}thread-pool-size: 100
"#
    )
}
