//! The wrapper's end: finding the agent, starting it, asking it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use cache_core::Hasher;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::instance;
use super::protocol::{self, Ask, Message, Reply, Request, Whom};
use crate::config::{ExecuteSettings, Fetch, RemoteSettings};

/// What an agent that is there needs for its first reply, on a machine that is busy compiling.
const FIRST_REPLY: Duration = Duration::from_millis(400);
/// What an agent needs to start.
const START: Duration = Duration::from_millis(500);
/// Either, where a person waits and no build does.
const FOR_A_PERSON: Duration = Duration::from_secs(5);
/// How long one that did not answer is not asked again: past that, it costs one short wait again.
const AVOID: Duration = Duration::from_secs(60);

/// Asks the agent.
#[derive(Clone, Debug)]
pub(crate) struct Client<S = RemoteSettings> {
    settings: S,
    dir: PathBuf,
    /// Whether it is waited for as a person does: then one that did not answer is asked all the same.
    patient: bool,
}

/// The agent's directory for this very program, whatever its version says.
fn directory(state: &Path) -> io::Result<PathBuf> {
    let own = fs::metadata(std::env::current_exe()?)?;
    let mut hasher = Hasher::keyed("larder 2026-11 agent v1");
    hasher.field(env!("CARGO_PKG_VERSION").as_bytes());
    for number in [own.ino(), own.size(), own.mtime().cast_unsigned()] {
        hasher.field(&number.to_le_bytes());
    }
    let name = hasher.finish().to_hex();
    Ok(state.join("agent-v1").join(name.get(..16).unwrap_or_default()))
}

impl<S> Client<S> {
    /// The same for a command that a person gives.
    pub(crate) fn patient(self) -> Self {
        Self { patient: true, ..self }
    }
}

impl Client {
    /// For this remote. Nothing is asked yet.
    ///
    /// # Errors
    /// When this program's own file cannot be found.
    pub(crate) fn new(remote: RemoteSettings) -> io::Result<Self> {
        let dir = directory(&remote.state)?;
        let patient = remote.fetch == Fetch::Always;
        Ok(Self { settings: remote, dir, patient })
    }

    /// The settings that requests carry.
    pub(crate) fn remote(&self) -> &RemoteSettings {
        &self.settings
    }
}

impl Client<ExecuteSettings> {
    /// For this engine. Nothing is asked yet.
    ///
    /// # Errors
    /// When this program's own file cannot be found.
    pub(crate) fn of_engine(engine: ExecuteSettings) -> io::Result<Self> {
        let dir = directory(&engine.state)?;
        Ok(Self { settings: engine, dir, patient: false })
    }
}

impl<S: Clone + Into<Whom>> Client<S> {
    /// Asks, after starting an agent if nobody is there, and one that hangs is ended first.
    pub(crate) fn insist(&self, ask: &Ask) -> Option<Asked> {
        self.ask_anybody(ask).or_else(|| {
            instance::end(&self.dir);
            self.ask_anybody(ask)
        })
    }

    /// A time limit for the agent's own part, or the longer one where whoever asks is patient.
    pub(super) fn wait(&self, limit: Duration) -> Duration {
        if self.patient { FOR_A_PERSON } else { limit }
    }

    /// Asks without waiting for a first reply.
    pub(crate) fn send(&self, ask: Ask) -> Option<Asked> {
        let asked = Asked { stream: self.connect().ok()?, first: None };
        let request = Message::json(&Request { whom: self.settings.clone().into(), ask });
        protocol::write(&asked.stream, &request).ok()?;
        Some(asked)
    }

    /// Asks, after starting an agent if nobody is there; `None` when nobody answers.
    pub(crate) fn ask_anybody(&self, ask: &Ask) -> Option<Asked> {
        let asked = self.ask(ask.clone());
        asked.or_else(|| self.start().then(|| self.ask(ask.clone()))?)
    }

    /// Asks; `None` when nobody is there or nobody answers.
    pub(crate) fn ask(&self, ask: Ask) -> Option<Asked> {
        if self.is_avoided() {
            return None;
        }
        let mut asked = self.send(ask)?;
        match asked.reply(self.wait(FIRST_REPLY)) {
            Got::Reply(first) => Some(Asked { first: Some(first), ..asked }),
            Got::Nothing => {
                self.avoid();
                None
            }
            Got::Gone => None,
        }
    }

    /// Starts an agent and waits a moment until it listens. Whether it does.
    pub(crate) fn start(&self) -> bool {
        if self.is_avoided() {
            return false;
        }
        let started = self.spawn().is_ok_and(|mut ready| {
            let mut byte = [0];
            wait_readable(&ready, self.wait(START))
                && ready.read(&mut byte).is_ok_and(|read| read == 1)
        });
        // Another one may be faster; if there is none, nobody tries again soon.
        let there = started || self.comes();
        if !there {
            self.avoid();
        }
        there
    }

    /// Whether an agent listens soon that another process has started: it holds the lock a moment
    /// before.
    fn comes(&self) -> bool {
        let began = Instant::now();
        loop {
            if self.connect().is_ok() {
                return true;
            }
            if began.elapsed() > self.wait(START / 4) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the process; what it prints when it is ready can be read.
    fn spawn(&self) -> io::Result<File> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("agent").arg("--serve").arg(&self.dir);
        if let Some(idle) = std::env::var_os("LARDER_AGENT_IDLE_MS") {
            command.arg("--idle-ms").arg(idle);
        }
        command.env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        Ok(File::from(OwnedFd::from(out)))
    }

    fn connect(&self) -> io::Result<UnixStream> {
        // A socket's path may have 108 bytes (unix(7)); this one has few however long the directory's is.
        let dir = File::open(&self.dir)?;
        let path = format!("/proc/self/fd/{}/socket", dir.as_raw_fd());
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Also bounds connecting, when the agent is stopped and its queue full.
        set_socket_timeout(&socket, Timeout::Send, Some(self.wait(FIRST_REPLY)))?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(UnixStream::from(socket))
    }

    fn is_avoided(&self) -> bool {
        if self.patient {
            return false;
        }
        let since = fs::metadata(self.dir.join("avoid")).and_then(|meta| meta.modified());
        let age = since.ok().and_then(|since| SystemTime::now().duration_since(since).ok());
        age.is_some_and(|age| age < AVOID)
    }

    fn avoid(&self) {
        let _ = fs::create_dir_all(&self.dir);
        let _ = fs::write(self.dir.join("avoid"), "");
    }
}

fn wait_readable(file: &File, limit: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec::try_from(limit).ok();
    poll(&mut [PollFd::new(file, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0)
}

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Asked {
    stream: UnixStream,
    /// Read already.
    first: Option<Reply>,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Got {
    /// A reply.
    Reply(Reply),
    /// None came in time.
    Nothing,
    /// None will come.
    Gone,
}

impl Asked {
    /// A request whose replies come from the other end of this.
    #[cfg(test)]
    pub(super) fn on(stream: UnixStream) -> Self {
        Self { stream, first: None }
    }

    /// The next reply.
    pub(crate) fn reply(&mut self, limit: Duration) -> Got {
        if let Some(first) = self.first.take() {
            return Got::Reply(first);
        }
        match self.message(limit) {
            Ok(Some(message)) => message.parse().map_or(Got::Gone, Got::Reply),
            Ok(None) => Got::Nothing,
            Err(_) => Got::Gone,
        }
    }

    /// The next message; `None` when it does not begin in time.
    pub(super) fn message(&mut self, limit: Duration) -> io::Result<Option<Message>> {
        // No time at all would mean no limit.
        self.stream.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        let mut head = [0];
        match (&self.stream).read(&mut head) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        // What has begun comes at once.
        self.stream.set_read_timeout(Some(FIRST_REPLY * 4))?;
        protocol::read(head.as_slice().chain(&self.stream)).map(Some)
    }

    /// Says something.
    pub(super) fn say(&self, message: &Message) -> io::Result<()> {
        protocol::write(&self.stream, message)
    }

    /// The stream, to be shut down from elsewhere.
    pub(super) fn stream(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }
}
