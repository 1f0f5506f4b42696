//! A build as a whole: what was served in it is written down, and when one begins that is known, it is
//! put in place before cargo looks.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cache_rustc::engine::{CargoRun, Engine, Journal, Mode, Noted, Options, Report, Served, Start};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};

use super::Notes;
use crate::agent;
use crate::config::Config;
use crate::places;

/// The command that waits for a build's end; no person uses it.
const WATCH: &str = "watch-build";

/// The cargo that started this process.
fn cargo() -> Option<CargoRun> {
    CargoRun::of(u32::try_from(getppid()?.as_raw_nonzero().get()).ok()?)
}

/// Writes down a unit that was served.
pub(super) fn note(notes: &Notes<'_>, engine: &Engine, start: &Start, report: &Report) {
    let writes = engine.options().mode != Mode::ReadOnly;
    let (Some(key), Some(outcome)) = (report.key, report.outcome) else { return };
    if !notes.config.fill.value || !writes {
        return;
    }
    let Some(cargo) = cargo() else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros());
    let at = u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(notes.elapsed());
    let journal = Journal::of(&engine.options().state_dir, &cargo);
    let restored = matches!(report.served, Served::Hit { .. });
    if journal.add(&cargo, start, at, &Noted { key, outcome, restored }) {
        watch(&cargo);
    }
}

/// Starts the process that waits for cargo's end. It has nothing of this one's: no streams that cargo's
/// caller might wait for, and no signals from its terminal.
fn watch(cargo: &CargoRun) {
    let Ok(own) = std::env::current_exe() else { return };
    let mut command = Command::new(own);
    command.arg(WATCH).arg(cargo.pid.to_string()).arg(cargo.started.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without it the build is not known; nothing else is lost.
    let _ = command.current_dir("/").process_group(0).spawn();
}

/// Whether cargo asks its first question, before it looks into the target directory: which files the
/// compiler makes of what (cargo's `TargetInfo::new`).
pub(super) fn is_first_question(argv: &[OsString]) -> bool {
    argv.iter().any(|arg| arg == "-") && argv.iter().any(|arg| arg == "--print=file-names")
}

/// Puts the build in place that begins, if it is known.
pub(super) fn fill(notes: &Notes<'_>, engine: &Engine) {
    let Some(cargo) = cargo().filter(|_| notes.config.fill.value) else { return };
    let filled = engine.fill(&cargo).unwrap_or_default();
    let journal = Journal::of(&engine.options().state_dir, &cargo);
    if notes.config.prime.value && !filled.reports.is_empty() && journal.claim() {
        watch(&cargo);
    }
    for mut report in filled.reports {
        notes.write_filled(&mut report);
    }
}

/// The build that the arguments (without this program's own name) say to wait for, if they do.
pub(crate) fn watched(argv: &[OsString]) -> Option<(u32, u64)> {
    let [command, pid, started] = argv else { return None };
    let number = |arg: &OsString| arg.to_str()?.parse().ok();
    (command == WATCH).then_some(())?;
    Some((u32::try_from(number(pid)?).ok()?, number(started)?))
}

/// Waits for the end of a build, makes it known, and primes it if that is wanted.
pub(crate) fn wait_and_write(pid: u32, started: u64) -> ExitCode {
    let done = || {
        let cargo = CargoRun::of(pid).filter(|cargo| cargo.started == started)?;
        let config = Config::load();
        let (places, store) = places::open(&config);
        let (places, store) = (places?, store.ok()?);
        let options = Options { flights: store.flights(), ..Options::new(places.state.clone()) };
        let journal = Journal::of(&options.state_dir, &cargo);
        let engine = agent::supply(Engine::new(Arc::new(store), options), &config, &places);
        wait(pid)?;
        // The journal goes with the snapshot.
        let to_prime = config.prime.value.then(|| engine.to_prime(&cargo, &journal));
        let known = engine.snapshot(&cargo, &journal).ok();
        if let Some(units) = to_prime.filter(|units| !units.is_empty()) {
            let _ = engine.prime(&cargo, &units);
        }
        known
    };
    done().map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
}

fn wait(pid: u32) -> Option<()> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Some(()); // it has ended already
    };
    loop {
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], None) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.ok().map(drop),
        }
    }
}
