//! Server processes: started with a log, waited for, stopped.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::install::Place;

/// How long a server may take until it accepts connections.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// How long a server may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// Ports of the loopback interface that were free a moment ago, all different.
///
/// # Errors
/// When there are none.
pub(super) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// A directory for the servers' data, removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let path = place.path().join(format!("data-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server's process, ended when dropped: killed unless [told otherwise](Server::ended_by), as what it
/// holds is thrown away anyway.
pub(super) struct Server {
    child: Child,
    log: PathBuf,
    end: Signal,
}

impl Server {
    /// Starts a server whose output goes into `log`, and waits until `port` accepts connections.
    ///
    /// # Errors
    /// When it cannot be started, ends, or takes too long.
    pub(super) fn start(command: &mut Command, log: PathBuf, port: u16) -> Result<Self> {
        let mut server = Self::start_silent(command, log)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        server
            .wait_until(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())?;
        Ok(server)
    }

    /// Starts a process that listens nowhere.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start_silent(command: &mut Command, log: PathBuf) -> Result<Self> {
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self { child, log, end: Signal::SIGKILL })
    }

    /// The same, told by this signal to end, for it has processes of its own.
    #[must_use]
    pub(super) fn ended_by(mut self, signal: Signal) -> Self {
        self.end = signal;
        self
    }

    /// Waits until the server is `ready`.
    ///
    /// # Errors
    /// When it ends, or takes too long.
    pub(super) fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let began = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it has ended with {status}:\n{}", self.end_of_log());
            }
            if began.elapsed() > PATIENCE {
                bail!("it is not ready after {PATIENCE:?}:\n{}", self.end_of_log());
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    fn end_of_log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.end != Signal::SIGKILL
            && let Ok(id) = i32::try_from(self.child.id())
            && kill(Pid::from_raw(id), self.end).is_ok()
        {
            let began = Instant::now();
            while began.elapsed() < FAREWELL && matches!(self.child.try_wait(), Ok(None)) {
                sleep(PAUSE);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
