//! `cargo xtask servers -- COMMAND`: runs a command next to real servers.
//!
//! The servers are installed below the target directory at the first run (nginx by apt, which needs
//! root), started on free ports of the loopback interface with nothing in them, and stopped when
//! the command ends. Their addresses are in the command's environment:
//!
//! | variable             | server                   | holds                                      |
//! |----------------------|--------------------------|--------------------------------------------|
//! | `LARDER_TEST_S3`     | SeaweedFS, as S3         | bucket `larder`; keys `larder`/`larder-secret`, and `reader`/`reader-secret` that may only read |
//! | `LARDER_TEST_AZURE`  | Azurite, as Azure Blob   | container `larder` of the emulator's account |
//! | `LARDER_TEST_WEBDAV` | nginx, as WebDAV         | nothing; `/private/` is for `larder`/`secret` |
//! | `LARDER_TEST_REAPI`  | buildbox-casd, for remote execution | nothing; `/usr`, `/bin`, `/lib` and `/lib64` in its sandboxes are this machine's |
//! | `LARDER_TEST_CASD`   | none: a script that becomes such an engine, on a port and with a directory | |
//! | `LARDER_TEST_REAPI_BUILDGRID` | BuildGrid, for remote execution | instance `main`; workers run actions unsandboxed, each in a directory with a random name |
//! | `LARDER_TEST_REAPI_FLEET` | the same, without an instance | instances `fleet-1` and so on have no worker |
//! | `LARDER_TEST_BOT` | a script that becomes a worker of one of those | `start-bot INSTANCE NAME=SLOWNESS…`; see `buildgrid/bot.py` |

mod azurite;
mod buildgrid;
mod casd;
mod install;
mod nginx;
mod process;
mod weed;

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use lexopt::Arg;

use crate::repo;
use install::Place;
use process::Server;

/// A running server, and the variable that says where.
struct Running {
    variable: &'static str,
    address: String,
    /// Its processes, in the order in which they stop when this is dropped.
    _servers: Vec<Server>,
}

/// Servers that run until this is dropped.
pub(crate) struct Servers {
    running: Vec<Running>,
    /// Their data; removed after them, as fields are dropped in order.
    _data: process::Scratch,
}

impl Servers {
    /// Installs what is missing and starts all.
    ///
    /// # Errors
    /// When a server cannot be installed, or does not answer soon after its start; the message has
    /// the end of its log.
    pub(crate) fn start() -> Result<Self> {
        let place = Place::new(repo::target_directory()?.join("servers"))?;
        let data = process::Scratch::new(&place)?;
        let mut running = vec![
            weed::start(&place, data.path()).context("SeaweedFS")?,
            azurite::start(&place, data.path()).context("Azurite")?,
            nginx::start(data.path()).context("nginx")?,
            casd::start(&place, data.path()).context("buildbox-casd")?,
            casd::starter(&place, data.path()).context("buildbox-casd")?,
        ];
        running.extend(buildgrid::start(&place, data.path()).context("BuildGrid")?);
        Ok(Self { running, _data: data })
    }

    /// Installs and starts the S3 server alone.
    ///
    /// # Errors
    /// As [`Servers::start`].
    pub(crate) fn only_s3() -> Result<Self> {
        let place = Place::new(repo::target_directory()?.join("servers"))?;
        let data = process::Scratch::new(&place)?;
        let running = vec![weed::start(&place, data.path()).context("SeaweedFS")?];
        Ok(Self { running, _data: data })
    }

    /// Installs and starts an engine for remote execution alone, with nothing in it.
    ///
    /// # Errors
    /// As [`Servers::start`].
    pub(crate) fn only_reapi() -> Result<Self> {
        let place = Place::new(repo::target_directory()?.join("servers"))?;
        let data = process::Scratch::new(&place)?;
        let running = vec![casd::start(&place, data.path()).context("buildbox-casd")?];
        Ok(Self { running, _data: data })
    }

    /// The address that a variable has.
    pub(crate) fn address(&self, variable: &str) -> Option<&str> {
        let found = self.running.iter().find(|server| server.variable == variable)?;
        Some(&found.address)
    }

    /// Puts the addresses into a command's environment.
    pub(crate) fn name(&self, command: &mut Command) {
        for server in &self.running {
            command.env(server.variable, &server.address);
        }
    }
}

/// Runs a command next to the servers, and gives its exit code.
///
/// # Errors
/// On bad usage, and as [`Servers::start`].
pub(crate) fn main(mut arguments: lexopt::Parser) -> Result<ExitCode> {
    let mut words: Vec<OsString> = Vec::new();
    while let Some(argument) = arguments.next()? {
        let Arg::Value(word) = argument else { return Err(argument.unexpected().into()) };
        words.push(word);
        words.extend(arguments.raw_args()?);
    }
    let Some((program, rest)) = words.split_first() else {
        bail!(lexopt::Error::Custom("no command given: cargo xtask servers -- COMMAND".into()))
    };
    let servers = Servers::start()?;
    for server in &servers.running {
        println!("{}={}", server.variable, server.address);
    }
    let mut command = Command::new(program);
    command.args(rest);
    servers.name(&mut command);
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    drop(servers);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
