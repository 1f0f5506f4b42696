//! Having a unit compiled elsewhere, and here when this machine has nothing else to do.
//!
//! While a unit is elsewhere its job token is given back, so that cargo starts the next one: cargo's
//! `-j` stays the number of compilers that run here. A token that is free again after a while is one
//! that cargo has no use for: then one of the units that are elsewhere, which whoever has them chooses, is
//! compiled here too, and the first to end wins.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::super::edits::Edit;
use super::super::jobserver::JobToken;
use super::super::report::{Miss, Report, micros};
use super::super::streams::Sink;
use super::super::supply::{Coming, News};
use super::super::unit::Unit;
use super::super::{Engine, Mode, miss};
use super::attempt::{Attempt, Sent};
use super::deliver::deliver;
use super::learned;
use super::{Dispatcher, IdleCore, Local};

/// What cargo needs to start another unit with a token that was given back.
const GRACE: Duration = Duration::from_millis(50);
/// How often it is looked whether a token is free.
const LOOK: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// How waiting ended.
enum Waited<'e> {
    /// What came back may be used.
    Here(JobToken<'e>),
    /// This machine has nothing else to do. The token is held.
    Idle(JobToken<'e>),
    /// Nothing will come. The token is held.
    Nothing,
}

/// Has a unit compiled elsewhere. `None`: it is to be compiled here, and nothing was passed on.
///
/// # Errors
/// When the compiler cannot be started here.
pub(in super::super) fn execute(
    unit: &Unit,
    why: &Miss,
    engine: &Engine,
    sink: &dyn Sink,
    report: &mut Report,
) -> io::Result<Option<ExitStatus>> {
    let writes = engine.options().mode == Mode::ReadWrite;
    let Some(dispatcher) = engine.dispatcher.as_deref().filter(|_| writes) else {
        return Ok(None);
    };
    // What the last compile left beside the unit makes this one short.
    if Edit::of(unit, &engine.options().state_dir).is_some() {
        return Ok(None);
    }
    let started = Instant::now();
    let mut attempt = match Attempt::begin(unit, engine, dispatcher) {
        Ok(attempt) => attempt,
        Err(reason) => {
            report.sent = Sent::Failed(reason);
            return Ok(None);
        }
    };
    let waited = wait(&mut attempt, unit, engine, dispatcher);
    let sent_us = micros(started.elapsed());
    report.lacked = std::mem::take(&mut attempt.lacked);
    report.sent_files = attempt.files();
    let (sent, _token) = match waited {
        Waited::Here(token) => (Sent::Used, token),
        Waited::Nothing => {
            report.sent = Sent::Failed(attempt.failed.take().unwrap_or_default());
            report.spans.sent_us = sent_us;
            return Ok(None);
        }
        Waited::Idle(token) => {
            if let Some(status) = miss::race(unit, why, engine, sink, &mut attempt, report)? {
                report.sent = attempt.failed.take().map_or(Sent::TooLate, Sent::Failed);
                report.spans.sent_us = sent_us;
                return Ok(Some(status));
            }
            (Sent::Overtook, token)
        }
    };
    let Some(checked) = attempt.checked.take() else { return Ok(None) };
    match deliver(unit, &checked.executed, attempt.mode(), started, sink) {
        Ok(run) => {
            report.sent = sent;
            report.there_us = checked.executed.run_us.unwrap_or(0);
            let state_dir = &engine.options().state_dir;
            learned::note_guess(unit, state_dir, checked.executed.alone_us);
            Ok(Some(miss::delivered(unit, why, &run, &checked, engine, report)))
        }
        Err(error) => {
            report.sent = Sent::Failed(format!("deliver: {error}"));
            report.spans.sent_us = sent_us;
            Ok(None)
        }
    }
}

fn wait<'e>(
    attempt: &mut Attempt<'_>,
    unit: &'e Unit,
    engine: &Engine,
    dispatcher: &dyn Dispatcher,
) -> Waited<'e> {
    let mut core = Core::busy(JobToken::held(engine.options().job_token.then_some(&unit.env)));
    let races = dispatcher.local() == Local::Race;
    let mut limit = if races { GRACE } else { LONG };
    loop {
        match attempt.wait(limit) {
            News::Here => return Waited::Here(core.token),
            News::Nothing => {
                core.token.take();
                return Waited::Nothing;
            }
            News::NotYet | News::Offer(_) => {}
        }
        if races {
            limit = LOOK;
            if core.is_idle_for(|| attempt.idle_core()) {
                return Waited::Idle(core.token);
            }
        }
    }
}

/// The core of this machine that a unit would run on.
struct Core<'e> {
    /// What stands for it.
    token: JobToken<'e>,
    /// Nobody is asked again before.
    not_before: Instant,
}

impl<'e> Core<'e> {
    /// One that others may use.
    fn busy(mut token: JobToken<'e>) -> Self {
        token.give_back();
        Self { token, not_before: Instant::now() }
    }

    /// Whether nobody uses it, and the unit is the one to begin then. Only then the token is held.
    fn is_idle_for(&mut self, ask: impl FnOnce() -> IdleCore) -> bool {
        if Instant::now() < self.not_before || !self.token.take_at_once() {
            return false;
        }
        let IdleCore::Wait(time) = ask() else { return true };
        // Whoever has more use for it gets it.
        self.token.give_back();
        self.not_before = Instant::now() + time;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::ffi::OsString;
    use std::io::{Read, Write, pipe};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_token_is_held_for_a_question_and_for_a_run_alone() -> io::Result<()> {
        let (mut take, give) = pipe()?;
        let flags = format!("--jobserver-auth={},{}", take.as_raw_fd(), give.as_raw_fd());
        let env = HashMap::from([(OsString::from("CARGO_MAKEFLAGS"), OsString::from(flags))]);
        let mut core = Core::busy(JobToken::held(Some(&env)));
        let mut byte = [0];
        take.read_exact(&mut byte)?;
        assert!(!core.is_idle_for(|| unreachable!("no token is free")));
        (&give).write_all(&byte)?;
        assert!(!core.is_idle_for(|| IdleCore::Wait(LONG)));
        take.read_exact(&mut byte)?;
        (&give).write_all(&byte)?;
        assert!(!core.is_idle_for(|| unreachable!("nobody is asked again so soon")));
        core.not_before = Instant::now();
        assert!(core.is_idle_for(|| IdleCore::Begin));
        (&give).write_all(b"x")?;
        take.read_exact(&mut byte)?;
        assert_eq!(byte, *b"x", "it has the token");
        Ok(())
    }
}
