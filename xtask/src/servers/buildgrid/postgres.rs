//! A `PostgreSQL` server with an empty database cluster of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use super::super::install::debian;
use super::super::process::{Server, free_ports};
use crate::repo::succeed;

/// Where Debian has the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user that Debian's package makes: the server refuses to run as root.
const USER: &str = "postgres";

/// Starts a server; returns it with its address for `SQLAlchemy`, with the driver that BuildGrid
/// works with, whatever that library takes by itself. Nothing in it survives a power cut.
pub(super) fn start(data: &Path) -> Result<(Server, String)> {
    debian(&["postgresql"], || programs().is_some())?;
    let programs = programs().context("no PostgreSQL")?;
    let cluster = data.join("postgres");
    fs::create_dir_all(&cluster)?;
    fs::set_permissions(&cluster, fs::Permissions::from_mode(0o700))?;
    let user = user()?;
    if let Some(user) = &user {
        chown(&cluster, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    let program = |name: &str| {
        let mut command = Command::new(programs.join(name));
        if let Some(user) = &user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command.current_dir("/").arg("-D").arg(&cluster);
        command
    };
    let mut init = program("initdb");
    init.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username=larder"]);
    succeed(init.stdout(Stdio::null()))?;
    let [port] = free_ports()?;
    let mut command = program("postgres");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    for setting in ["fsync=off", "full_page_writes=off", "unix_socket_directories="] {
        command.args(["-c", setting]);
    }
    // Its fast shutdown.
    let server = Server::start(&mut command, data.join("postgres.log"), port)?;
    Ok((
        server.ended_by(Signal::SIGINT),
        format!("postgresql+psycopg2://larder@127.0.0.1:{port}/postgres"),
    ))
}

/// Who runs the server, if not the user of this process.
fn user() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    match User::from_name(USER)? {
        Some(user) => Ok(Some(user)),
        None => bail!("there is no user {USER}, which Debian's postgresql makes"),
    }
}

/// The directory with the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.filter_map(|entry| {
        let version: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let programs = Path::new(VERSIONS).join(version.to_string()).join("bin");
        programs.join("initdb").is_file().then_some((version, programs))
    });
    versions.max().map(|(_, programs)| programs)
}
