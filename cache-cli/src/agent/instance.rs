//! The lock that an agent holds while it lives, and ending whoever holds it.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// An agent that was asked to end does so within this time, or is killed: all that it does can be cut off.
const ENDING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Takes the lock of an agent's directory and writes this process's number into it. `None` when another one
/// has it.
pub(super) fn take(dir: &Path) -> Option<File> {
    let mut lock = File::options().create(true).append(true).open(dir.join("lock")).ok()?;
    lock.try_lock().ok()?;
    lock.set_len(0).ok()?;
    lock.write_all(std::process::id().to_string().as_bytes()).ok()?;
    Some(lock)
}

/// Whose directory this is; `None` when no agent lives there.
fn holder(dir: &Path) -> Option<Pid> {
    let path = dir.join("lock");
    let lock = File::open(&path).ok()?;
    // Whoever holds the lock wrote the number: it cannot be that of a process that came later.
    if !matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let number = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    Pid::from_raw(number)
}

/// Ends the agents of all programs that share a state directory, those of earlier versions and those that
/// hang included, and waits until they are gone.
pub(crate) fn end_all(state: &Path) {
    let agents = fs::read_dir(state.join("agent-v1")).into_iter().flatten().flatten();
    agents.for_each(|entry| end(&entry.path()));
}

/// Ends the agent of one directory, likewise.
pub(super) fn end(dir: &Path) {
    for signal in [Signal::TERM, Signal::KILL] {
        let Some(pid) = holder(dir) else { return };
        let _ = kill_process(pid, signal);
        let began = Instant::now();
        while holder(dir) == Some(pid) && began.elapsed() < ENDING {
            sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_lock_is_known_as_long_as_it_does() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()), None);
        let lock = take(dir.path()).unwrap();
        assert!(take(dir.path()).is_none(), "there is one");
        assert_eq!(
            holder(dir.path()).map(|pid| pid.as_raw_nonzero().get().cast_unsigned()),
            Some(std::process::id())
        );
        drop(lock);
        assert_eq!(holder(dir.path()), None, "the number that it left counts no more");
        assert!(take(dir.path()).is_some());
    }
}
