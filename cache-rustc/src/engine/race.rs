//! A compile next to an outcome that is on its way: whoever shows a result first wins.
//!
//! The compiler has shown one with the first line that it prints about more than its sources, mostly the
//! notification of its metadata: dependents start then, so there is no way back. Until then the supply may still win: the
//! compiler and all that it started are stopped, and nothing of it was seen.

use std::ffi::OsString;
use std::io;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::execute::{self, Run, pass_streams};
use super::stop;
use super::streams::{Sink, is_artifact};
use super::supply::{Choose, Coming, News};
use super::unit::Unit;

/// A wait for news is ended by its canceller; this is for one that is not.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Winner {
    Nobody,
    Compiler,
    Supply,
}

struct Race<'r> {
    sink: &'r dyn Sink,
    winner: Mutex<Winner>,
    /// What was printed that is no result.
    held: Mutex<Vec<u8>>,
    cancel: Box<dyn Fn() + Send + Sync>,
}

/// The notification of the dependency information comes when the sources are read, and nobody waits for it.
fn is_no_result(line: &[u8]) -> bool {
    is_artifact(line) && memchr::memmem::find(line, br#""emit":"dep-info""#).is_some()
}

impl Race<'_> {
    /// Whether `winner` has won, now or before.
    fn claim(&self, winner: Winner) -> bool {
        let mut won = self.winner.lock().unwrap_or_else(PoisonError::into_inner);
        if *won == Winner::Nobody {
            *won = winner;
            if winner == Winner::Compiler {
                (self.cancel)();
            }
        }
        *won == winner
    }

    /// The compiler has won, if it may: what was held back is passed on.
    fn compiler_wins(&self) -> bool {
        let wins = self.claim(Winner::Compiler);
        if wins {
            let held = std::mem::take(&mut *self.held());
            if !held.is_empty() {
                self.sink.stderr(&held);
            }
        }
        wins
    }

    fn held(&self) -> MutexGuard<'_, Vec<u8>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Race<'_> {
    fn stdout(&self, bytes: &[u8]) {
        if self.compiler_wins() {
            self.sink.stdout(bytes);
        }
    }

    fn stderr(&self, bytes: &[u8]) {
        if self.claim(Winner::Nobody) && bytes.split_inclusive(|b| *b == b'\n').all(is_no_result) {
            self.held().extend_from_slice(bytes);
        } else if self.compiler_wins() {
            self.sink.stderr(bytes);
        }
    }
}

/// Runs the unit's compiler until it has ended, or what `choose` chose is here. `None`: it was stopped,
/// and nothing was passed on.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn run(
    unit: &Unit,
    extra: &[(OsString, OsString)],
    sink: &dyn Sink,
    coming: &mut dyn Coming,
    choose: Choose<'_>,
) -> io::Result<Option<Run>> {
    let race = Race {
        sink,
        winner: Mutex::new(Winner::Nobody),
        held: Mutex::default(),
        cancel: coming.canceller(),
    };
    let (started, mut child) = execute::start(unit, extra)?;
    let pid = pid(&child)?;
    let streams = std::thread::scope(|scope| {
        scope.spawn(|| {
            while race.claim(Winner::Nobody) {
                match coming.wait(LONG) {
                    News::NotYet => {}
                    News::Offer(record) => coming.choose(choose(&record).as_ref()),
                    News::Nothing => return,
                    News::Here => {
                        if race.claim(Winner::Supply) {
                            stop::tree(pid);
                        }
                        return;
                    }
                }
            }
        });
        let streams = pass_streams(&unit.remap, &mut child, &race);
        // Not reaped before it is known who won: until then its number is its own.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), ended), Err(rustix::io::Errno::INTR)) {}
        race.compiler_wins();
        streams
    });
    let status = child.wait()?;
    if race.claim(Winner::Supply) {
        stop::clean(unit);
        return Ok(None);
    }
    Ok(Some(Run::ended(status, streams, started)))
}

fn pid(child: &Child) -> io::Result<Pid> {
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    number.ok_or_else(|| io::Error::other("a process without a number"))
}
