//! A compile next to an outcome that is on its way: whoever shows a result first wins.
//!
//! The compiler has shown one with the first byte that it prints, mostly the notification of its
//! metadata: dependents start then, so there is no way back. Until then the supply may still win: the
//! compiler and all that it started are stopped, and nothing of it was seen.

use std::ffi::OsString;
use std::io;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::execute::{self, Run, pass_streams};
use super::stop;
use super::streams::Sink;
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
    cancel: Box<dyn Fn() + Send + Sync>,
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
}

impl Sink for Race<'_> {
    fn stdout(&self, bytes: &[u8]) {
        if self.claim(Winner::Compiler) {
            self.sink.stdout(bytes);
        }
    }

    fn stderr(&self, bytes: &[u8]) {
        if self.claim(Winner::Compiler) {
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
    let race = Race { sink, winner: Mutex::new(Winner::Nobody), cancel: coming.canceller() };
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
        race.claim(Winner::Compiler);
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
