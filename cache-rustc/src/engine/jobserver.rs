//! The job token of this process: given back to the build's jobserver while it only waits.
//!
//! Whoever starts a compiler in a parallel build (cargo, GNU make) holds one token of the jobserver
//! for it and takes that token to be free again when the compiler ends. A process that waits for
//! another build's result would keep a core of its own build idle meanwhile, so it puts a token
//! into the jobserver, and takes one out again before it goes on or ends.
//!
//! The jobserver is a pipe that holds one byte for each free token. Its place is told in a
//! variable: `--jobserver-auth=R,W` and the older `--jobserver-fds=R,W` name two inherited file
//! descriptors, `--jobserver-auth=fifo:PATH` a named pipe (GNU make manual, "POSIX Jobserver
//! Interaction"; the `jobserver` crate, which cargo and rustc use, reads the same).
//!
//! Why this cannot deadlock: no process waits for a flight while it holds a token, and none waits
//! for a token while it holds a flight. What is waited for is thus always held by a process that
//! runs: a flight by one that compiles, a token by one that compiles or by cargo, which puts back
//! what it has no job for (`DrainState::wait_for_events`).
//!
//! A process that is killed between giving and taking leaves one token too many.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, getppid};

/// Where a jobserver is told of, in the order in which rustc looks.
const VARIABLES: [&str; 3] = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"];
/// The byte that stands for a token which was never read from the pipe, as GNU make writes it.
const TOKEN: &[u8] = b"+";
/// How often a process that waits for a token looks whether its build is still there.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The token that this process runs on. When dropped, it is held again.
#[derive(Debug)]
pub(super) struct JobToken<'e> {
    env: Option<&'e HashMap<OsString, OsString>>,
    given: Option<Given>,
}

/// A token that was given back.
#[derive(Debug)]
struct Given {
    /// Where to take one again; does not block.
    tokens: File,
    /// Who started this process: when that has ended, so has the build.
    parent: Option<Pid>,
}

impl<'e> JobToken<'e> {
    /// A token that is held. Without an environment (whose variables tell of the jobserver) it is
    /// never given back.
    pub(super) fn held(env: Option<&'e HashMap<OsString, OsString>>) -> Self {
        Self { env, given: None }
    }

    /// Gives the token back, where there is a jobserver. To be called when about to wait.
    pub(super) fn give_back(&mut self) {
        if self.given.is_some() {
            return;
        }
        let Some((tokens, mut give)) = self.env.and_then(jobserver) else { return };
        // A full pipe means that this is no jobserver as we know it.
        if matches!(give.write(TOKEN), Ok(1)) {
            self.given = Some(Given { tokens, parent: getppid() });
        }
    }

    /// Takes a token if one is free. Gives whether one is held now.
    pub(super) fn take_at_once(&mut self) -> bool {
        if self.given.as_mut().is_some_and(Given::read) {
            self.given = None;
        }
        self.given.is_none()
    }

    /// Waits until a token is held. A build that has ended has none to give; then this process
    /// just goes on, as a compiler would.
    pub(super) fn take(&mut self) {
        while !self.take_at_once() {
            if self.given.as_ref().is_some_and(Given::is_orphaned_after_a_while) {
                self.given = None;
            }
        }
    }
}

impl Drop for JobToken<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

impl Given {
    /// Whether a token was there, or never will be.
    fn read(&mut self) -> bool {
        match self.tokens.read(&mut [0]) {
            // A token; or nothing, for ever: everybody has closed the pipe.
            Ok(0 | 1..) => true,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Waits for a token for a while; then, whether the build is gone.
    fn is_orphaned_after_a_while(&self) -> bool {
        let mut fds = [PollFd::new(&self.tokens, PollFlags::IN)];
        match poll(&mut fds, Some(&LOOK)) {
            Ok(0) => getppid() != self.parent,
            Ok(_) | Err(rustix::io::Errno::INTR) => false,
            Err(_) => true,
        }
    }
}

/// Opens the jobserver that the environment tells of: where to take tokens and where to give them.
/// `None`: there is none, or it is not certain that it is one.
fn jobserver(env: &HashMap<OsString, OsString>) -> Option<(File, File)> {
    let flags = VARIABLES.iter().find_map(|name| env.get(OsStr::new(name)))?;
    match place(flags.as_bytes())? {
        Place::Fifo(path) => Some((open(&path, Side::Take)?, open(&path, Side::Give)?)),
        Place::Pipe(take, give) => {
            let path = |fd: u32| PathBuf::from(format!("/proc/self/fd/{fd}"));
            let (take, give) = (path(take), path(give));
            // Descriptors may have been closed and be something else by now.
            if !(may(&take, Side::Take) && may(&give, Side::Give)) {
                return None;
            }
            let (take, give) = (open(&take, Side::Take)?, open(&give, Side::Give)?);
            let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
            same(&take.metadata().ok()?, &give.metadata().ok()?).then_some((take, give))
        }
    }
}

/// How a jobserver is named.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A named pipe, absolute.
    Fifo(PathBuf),
    /// Descriptors to read from and to write to.
    Pipe(u32, u32),
}

/// The last mention counts; negative descriptors say that there is no jobserver.
fn place(flags: &[u8]) -> Option<Place> {
    let words = || flags.split(|byte| *byte == b' ').rev();
    let after = |option: &[u8]| words().find_map(|word| word.strip_prefix(option));
    let named = after(b"--jobserver-auth=").or_else(|| after(b"--jobserver-fds="))?;
    if let Some(path) = named.strip_prefix(b"fifo:") {
        let path = Path::new(OsStr::from_bytes(path));
        return path.is_absolute().then(|| Place::Fifo(path.to_path_buf()));
    }
    let (take, give) = std::str::from_utf8(named).ok()?.split_once(',')?;
    Some(Place::Pipe(take.parse().ok()?, give.parse().ok()?))
}

/// A side of the pipe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Take,
    Give,
}

/// Whether a descriptor is open for this. proc(5), `/proc/pid/fd`: the link's owner permissions
/// tell how.
fn may(link: &Path, side: Side) -> bool {
    let wanted = if side == Side::Take { 0o400 } else { 0o200 };
    std::fs::symlink_metadata(link).is_ok_and(|meta| meta.mode() & wanted != 0)
}

/// Opens a pipe anew, so that not blocking on it is nobody else's matter; nothing but a pipe.
fn open(path: &Path, side: Side) -> Option<File> {
    let is_pipe = |meta: &Metadata| meta.file_type().is_fifo();
    std::fs::metadata(path).ok().filter(is_pipe)?;
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(side == Side::Take)
        .write(side == Side::Give)
        .custom_flags(nonblocking)
        .open(path)
        .ok()?;
    file.metadata().ok().filter(is_pipe)?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::pipe;
    use std::os::fd::AsRawFd;

    type Env = HashMap<OsString, OsString>;

    fn env(name: &str, value: impl AsRef<OsStr>) -> Env {
        Env::from([(name.into(), value.as_ref().into())])
    }

    fn descriptors(take: &impl AsRawFd, give: &impl AsRawFd) -> Env {
        let flags = format!("-j --jobserver-auth={},{}", take.as_raw_fd(), give.as_raw_fd());
        env("CARGO_MAKEFLAGS", flags)
    }

    #[test]
    fn all_spellings_are_read_and_the_last_counts() {
        let pipe = |flags: &str| place(flags.as_bytes());
        assert_eq!(pipe("-j --jobserver-fds=3,4 --jobserver-auth=3,4"), Some(Place::Pipe(3, 4)));
        assert_eq!(pipe(" -j --jobserver-fds=7,8"), Some(Place::Pipe(7, 8)));
        assert_eq!(
            pipe("-j8 --jobserver-auth=1,2 --jobserver-auth=fifo:/t/GMfifo1"),
            Some(Place::Fifo("/t/GMfifo1".into()))
        );
        for none in ["", "-j4", "--jobserver-auth=-2,-2", "--jobserver-auth=3", "n --jobserver"] {
            assert_eq!(pipe(none), None, "{none}");
        }
        assert_eq!(pipe("--jobserver-auth=fifo:relative"), None);
    }

    #[test]
    fn a_token_is_given_once_and_taken_once() -> std::io::Result<()> {
        let (mut take, give) = pipe()?;
        let env = descriptors(&take, &give);
        let mut token = JobToken::held(Some(&env));
        token.give_back();
        token.give_back();
        let mut byte = [0; 8];
        assert_eq!(take.read(&mut byte)?, 1, "one token for the others");
        assert!(!token.take_at_once(), "none is free");
        (&give).write_all(b"|")?;
        assert!(token.take_at_once());
        assert!(token.take_at_once(), "still held");
        token.give_back();
        drop(token);
        (&give).write_all(b"e")?;
        assert_eq!((take.read(&mut byte)?, byte[0]), (1, b'e'), "dropping took it again");
        Ok(())
    }

    #[test]
    fn what_is_no_jobserver_gets_no_byte() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(dir.path().join("regular"))?;
        let ((one_take, one_give), (two_take, two_give)) = (pipe()?, pipe()?);
        let closed = env("CARGO_MAKEFLAGS", "--jobserver-auth=998,999");
        let path = format!("--jobserver-auth=fifo:{}", dir.path().join("regular").display());
        for env in [
            descriptors(&file, &file),
            descriptors(&one_take, &two_give),
            descriptors(&one_give, &one_take),
            descriptors(&two_take, &file),
            closed,
            env("MAKEFLAGS", path),
            Env::new(),
        ] {
            let mut token = JobToken::held(Some(&env));
            token.give_back();
            assert!(token.given.is_none(), "{env:?}");
        }
        assert_eq!(file.metadata()?.len(), 0);
        drop((one_give, two_give));
        for mut take in [one_take, two_take] {
            assert_eq!(take.read_to_end(&mut Vec::new())?, 0);
        }
        Ok(())
    }

    #[test]
    fn a_named_pipe_that_everybody_has_left_holds_nobody_up() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status()?;
        assert!(made.success());
        let mut server = File::options().read(true).write(true).open(&path)?;
        let env = env("MAKEFLAGS", format!(" -j --jobserver-auth=fifo:{}", path.display()));
        let mut token = JobToken::held(Some(&env));
        token.give_back();
        assert_eq!(server.read(&mut [0; 8])?, 1);
        assert!(!token.take_at_once(), "the server is there and has none");
        drop(server);
        token.take();
        Ok(())
    }
}
