//! Single flight: identical actions at the same time run once, across processes.
//!
//! The holder has a kernel lock on a file named by the action; whoever finds it taken waits for the
//! lock in a thread (no polling) and then looks the action up again. The kernel lets go of a
//! holder's lock however it ends. A holder that is stopped (`SIGSTOP`, Ctrl-Z) must not hold up
//! others: a waiter looks at its state now and then and goes on by itself. A waiter has no job
//! token: see `jobserver`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cache_core::Digest;

use super::jobserver::JobToken;

/// How often a waiter looks whether the holder is still running.
const LOOK: Duration = Duration::from_secs(1);
const FAILED: &[u8] = b"failed";

/// What became of asking for a flight.
#[derive(Debug)]
pub(super) enum Boarding {
    /// Nobody was at it: this process does it.
    Lead(Flight),
    /// Somebody was, and is done: look again, holding the flight in case nothing was stored.
    After(Flight),
    /// Somebody is or was, but there is no use in waiting or in keeping others waiting: the holder
    /// is stopped, or stored nothing. Do it without a flight.
    Alone,
}

/// The right to do an action, until dropped.
#[derive(Debug)]
pub(super) struct Flight {
    file: File,
    path: PathBuf,
}

impl Flight {
    /// Notes that nothing was stored: those who wait will not wait for each other, one after the
    /// other, to see that again.
    pub(super) fn failed(&mut self) {
        let _ = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(FAILED));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Removed while still locked: a waiter that has the file open gets its lock and looks
        // again; a newcomer makes a new file. At worst one action runs twice.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Asks for the flight of an action. Any trouble with the lock file means going alone. When it has
/// to be waited for, the job token is given back first.
#[must_use]
pub(super) fn board(dir: &Path, action: &Digest, token: &mut JobToken<'_>) -> Boarding {
    let path = dir.join(action.to_hex());
    let open =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = match open() {
        Ok(file) => file,
        Err(_) if std::fs::create_dir_all(dir).is_ok() => match open() {
            Ok(file) => file,
            Err(_) => return Boarding::Alone,
        },
        Err(_) => return Boarding::Alone,
    };
    match file.try_lock() {
        Ok(()) => Boarding::Lead(claim(file, path)),
        Err(std::fs::TryLockError::WouldBlock) => {
            token.give_back();
            wait(file, path)
        }
        Err(std::fs::TryLockError::Error(_)) => Boarding::Alone,
    }
}

fn claim(mut file: File, path: PathBuf) -> Flight {
    let pid = std::process::id().to_string();
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(pid.as_bytes()));
    Flight { file, path }
}

fn wait(file: File, path: PathBuf) -> Boarding {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let locked = file.lock().is_ok();
        let _ = send.send(locked.then_some(file));
    });
    loop {
        match receive.recv_timeout(LOOK) {
            Ok(Some(mut file)) => {
                if note(&mut file) == FAILED {
                    return Boarding::Alone;
                }
                return Boarding::After(claim(file, path));
            }
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Boarding::Alone,
            Err(RecvTimeoutError::Timeout) if holder_is_stopped(&path) => return Boarding::Alone,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn note(file: &mut File) -> Vec<u8> {
    let mut note = Vec::new();
    let _ = file.rewind().and_then(|()| file.take(32).read_to_end(&mut note));
    note
}

/// proc(5): the state is the first field after the command name in `/proc/PID/stat`.
fn holder_is_stopped(path: &Path) -> bool {
    let Ok(pid) = std::fs::read_to_string(path) else { return false };
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) else {
        return false;
    };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(dir: &Path, action: &Digest) -> Boarding {
        super::board(dir, action, &mut JobToken::held(None))
    }

    #[test]
    fn second_waits_for_the_first_and_is_told_to_look_again() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let action = Digest::of(b"x");
        let Boarding::Lead(first) = board(dir.path(), &action) else {
            panic!("nobody else is there")
        };
        let path = dir.path().to_path_buf();
        let second =
            std::thread::spawn(move || matches!(board(&path, &action), Boarding::After(_)));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!second.is_finished(), "waits while the first holds it");
        drop(first);
        assert!(second.join().is_ok_and(|after| after));
        Ok(())
    }

    #[test]
    fn after_a_failure_nobody_queues() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let action = Digest::of(b"x");
        let Boarding::Lead(mut first) = board(dir.path(), &action) else {
            panic!("nobody else is there")
        };
        let path = dir.path().to_path_buf();
        let second = std::thread::spawn(move || matches!(board(&path, &action), Boarding::Alone));
        std::thread::sleep(Duration::from_millis(50));
        first.failed();
        drop(first);
        assert!(second.join().is_ok_and(|alone| alone));
        Ok(())
    }

    #[test]
    fn an_unusable_directory_means_going_alone() {
        assert!(matches!(board(Path::new("/dev/null/x"), &Digest::of(b"x")), Boarding::Alone));
    }
}
