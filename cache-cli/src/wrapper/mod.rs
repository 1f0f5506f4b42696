//! Wrapper mode: one compiler invocation, served from the cache or run.
//!
//! Whatever fails here, the compiler runs as if this program were not there: nothing is printed
//! but what the compiler prints, and the exit is the compiler's.

mod build;
mod collect;
mod end;
mod line;
mod plain;
mod script;
mod sink;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::Instant;

use cache_core::Recipe;
use cache_rustc::engine::{Engine, Laps, Miss, Options, Prepared, Report, Request, Served, Start};

use crate::agent;
use crate::config::Config;
use crate::events::{self, Event};
use crate::fields;
use crate::places::{self, Places};
pub(crate) use build::{wait_and_write, watched};
pub(crate) use script::{ScriptStart, run as run_script};
use sink::Passed;

/// Serves the invocation `argv` (compiler and arguments). Returns only the exit code of a compiler
/// that could not be replaced by or ended like.
pub(crate) fn run(argv: Vec<OsString>, started: Instant) -> ExitCode {
    // A message would end up among the compiler's, which cargo keeps and shows again.
    std::panic::set_hook(Box::new(|_| {}));
    let argv = without_self(argv);
    let passed = Passed::default();
    match catch_unwind(AssertUnwindSafe(|| serve(&argv, started, &passed))) {
        Ok(Some(status)) => end::like(status),
        Ok(None) => plain::exec(&argv),
        Err(_) => {
            let _ = catch_unwind(|| note_panic(&argv, started));
            plain::rest(&argv, &passed)
        }
    }
}

/// `larder larder rustc …` (set up twice, as wrapper and as workspace wrapper) is served once: the
/// inner one would wait for the outer one's flight.
fn without_self(mut argv: Vec<OsString>) -> Vec<OsString> {
    let inner = |argv: &[OsString]| {
        let [first, _compiler, ..] = argv else { return false };
        let own = std::env::current_exe().ok();
        let name = own.as_deref().and_then(Path::file_name);
        Path::new(first).file_name() == name
            && (Path::new(first).components().count() == 1
                || std::fs::canonicalize(first).ok() == own)
    };
    while inner(&argv) {
        argv.remove(0);
    }
    argv
}

/// Serves from the cache. `None`: the compiler is to be run as it is.
fn serve(argv: &[OsString], started: Instant, passed: &Passed) -> Option<ExitStatus> {
    let config = Config::load();
    let mode = config.mode.value.engine()?;
    let (places, store) = places::open(&config);
    let notes = Notes { config: &config, places: places.as_ref(), started, argv };
    let store = match store {
        Ok(store) => Arc::new(store),
        Err(error) => {
            notes.through(format!("no-store: {error}"));
            return None;
        }
    };
    let state_dir = places.as_ref()?.state.clone();
    let options = Options {
        paths: config.paths.value,
        mode,
        trace: config.trace.value,
        linker: config.linker.value,
        flights: store.flights(),
        launcher: script::launcher(&config),
        no_launcher: config.scripts_except.value.clone(),
        job_token: true,
        ..Options::new(state_dir)
    };
    let request = match Request::from_process(argv.to_vec()) {
        Ok(request) => request,
        Err(error) => {
            notes.through(format!("no-working-directory: {error}"));
            return None;
        }
    };
    let engine = agent::supply(Engine::new(store.clone(), options), &config, places.as_ref()?);
    let engine = agent::dispatcher(engine, &config, places.as_ref()?);
    let mut report = Report::default();
    report.spans.start_us = notes.elapsed();
    let mut laps = Laps::start();
    let (unit, status) = match engine.prepare(&request) {
        Prepared::Unit(unit) => {
            let status = engine.serve(&unit, passed, &mut laps, &mut report);
            (Some(unit), status)
        }
        // Also where a linker was added.
        Prepared::Through(through) if through.rewrites() || through.argv != argv => {
            report.spans.key_us = laps.lap();
            let status = engine.pass(&through, &request, passed, &mut report);
            report.spans.run_us = laps.lap();
            (None, status)
        }
        Prepared::Through(through) => {
            report.spans.key_us = laps.lap();
            report.crate_name = through.crate_name;
            report.unit = through.unit;
            report.kind = through.kind;
            report.served = Served::Through { reason: through.reason };
            notes.write(&mut report, None);
            if build::is_first_question(argv) {
                build::fill(&notes, &engine);
            }
            return None;
        }
    };
    if unit.is_some() {
        build::note(&notes, &engine, &Start::Compile(request), &report);
    }
    if let Err(error) = &status {
        report.faults.push(format!("not-started: {error}"));
    }
    notes.write(&mut report, unit.as_deref().map(|unit| &unit.recipe));
    if collect::may_be_due(&report) {
        collect::if_due(&store);
    }
    status.ok()
}

/// Writes down what became of an invocation.
struct Notes<'a> {
    config: &'a Config,
    places: Option<&'a Places>,
    started: Instant,
    argv: &'a [OsString],
}

impl Notes<'_> {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// An invocation that the engine never saw.
    fn through(&self, reason: String) {
        let mut report = Report { served: Served::Through { reason }, ..Report::default() };
        report.crate_name = crate_name(self.argv);
        self.write(&mut report, None);
    }

    /// A unit that was put in place for cargo to find.
    fn write_filled(&self, report: &mut Report) {
        let event = Event::of(report);
        self.append(&event);
    }

    fn write(&self, report: &mut Report, recipe: Option<&Recipe>) {
        report.spans.total_us = self.elapsed();
        let mut event = Event::of(report);
        if let (Some(recipe), Served::Miss { why: Miss::New, not_stored: Some(_) }) =
            (recipe, &report.served)
        {
            event.recipe = fields::named(recipe);
        }
        self.append(&event);
    }

    fn append(&self, event: &Event) {
        if let Some(places) = self.places {
            let _ = events::append(&places.events, event);
        }
        if let Some(log) = &self.config.log.value {
            line::append(log, event);
        }
    }
}

/// The crate name that a command line states, without understanding the rest of it; empty for
/// questions to the compiler, which cargo asks with the crate name `___`.
fn crate_name(argv: &[OsString]) -> String {
    let at = argv.iter().position(|arg| arg == "--crate-name");
    let name = at.and_then(|at| argv.get(at + 1)).map(|name| name.to_string_lossy());
    name.filter(|name| name != "___").unwrap_or_default().into_owned()
}

/// Counts a panic of this program.
fn note_panic(argv: &[OsString], started: Instant) {
    let config = Config::load();
    let (places, _) = places::open(&config);
    let notes = Notes { config: &config, places: places.as_ref(), started, argv };
    notes.through("internal-error".into());
}
