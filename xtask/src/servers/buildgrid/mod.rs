//! BuildGrid: a remote execution engine with a database for its queue, and a worker of our own.

mod postgres;

use std::fs;
use std::path::Path;
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
/// How slow each of the worker's seats is.
const SEATS: [&str; 4] = ["1", "1", "1", "1"];

pub(super) fn start(place: &Place, data: &Path) -> Result<Running> {
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
    let bot = directory.join("bot.py");
    fs::write(&bot, BOT)?;
    let mut command = Command::new(program.with_file_name("python"));
    command.arg(bot).args([&format!("127.0.0.1:{port}"), "main"]);
    command.arg(directory.join("bot")).args(SEATS);
    let bot = Server::start_silent(&mut command, data.join("bot.log"))?.ended_by(Signal::SIGTERM);
    let address = format!("grpc://127.0.0.1:{port}/main");
    let servers = vec![bot, server, database];
    Ok(Running { variable: "LARDER_TEST_REAPI_BUILDGRID", address, _servers: servers })
}

/// Every service in one process, which looks for work to hand out ten times a second.
fn configuration(port: u16, database: &str, cas: &Path) -> String {
    let cas = cas.display();
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
  - name: main
    services:
      - !action-cache
        cache: *results
      - !execution
        scheduler: *scheduler
      - !cas
        storage: *storage
      - !bytestream
        storage: *storage
thread-pool-size: 100
"#
    )
}
