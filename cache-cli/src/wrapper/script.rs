//! A build script's start, handed over by the launcher that lies at the script's output path.
//!
//! Whatever fails here, the script runs as if there were no launcher.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::Instant;

use cache_rustc::engine::{
    Engine, Laps, Options, Report, SCRIPT_KIND, ScriptRequest, Served, Start,
};

use super::sink::Passed;
use super::{Notes, build, collect, end, plain};
use crate::agent;
use crate::config::Config;
use crate::places;

/// What a launcher says: `build-script REAL NAME ARGS…`.
pub(crate) struct ScriptStart {
    real: PathBuf,
    name: OsString,
    args: Vec<OsString>,
}

impl ScriptStart {
    /// The start that the arguments (without this program's own name) tell of, if they do.
    pub(crate) fn of(argv: &[OsString]) -> Option<Self> {
        let [command, real, name, args @ ..] = argv else { return None };
        (command == "build-script").then(|| Self {
            real: real.into(),
            name: name.clone(),
            args: args.to_vec(),
        })
    }
}

/// The program that launchers are to start: this one, where it may serve build scripts.
pub(super) fn launcher(config: &Config) -> Option<PathBuf> {
    config.scripts.value.then(|| std::env::current_exe().ok()).flatten()
}

/// Serves the start of a build script. Returns only the exit code of one that could not be started.
pub(crate) fn run(start: ScriptStart, started: Instant) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let passed = Passed::default();
    match catch_unwind(AssertUnwindSafe(|| serve(&start, started, &passed))) {
        Ok(Some(status)) => end::like(status),
        Ok(None) => become_script(&start),
        Err(_) if passed.lines() == (0, 0) => become_script(&start),
        Err(_) => {
            let argv: Vec<_> = std::iter::once(start.real.into()).chain(start.args).collect();
            plain::rest(&argv, &passed)
        }
    }
}

fn become_script(start: &ScriptStart) -> ExitCode {
    let error = Command::new(&start.real).arg0(&start.name).args(&start.args).exec();
    plain::not_started(&[start.real.clone().into()], &error)
}

/// Serves from the cache. `None`: the script is to be run as it is.
fn serve(start: &ScriptStart, started: Instant, passed: &Passed) -> Option<ExitStatus> {
    if !is_wrapper() {
        return None;
    }
    let config = Config::load();
    let mode = config.mode.value.engine()?;
    if !std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| config.serves_script_of(&name)) {
        return None;
    }
    let (places, store) = places::open(&config);
    let argv = [start.real.clone().into()];
    let notes = Notes { config: &config, places: places.as_ref(), started, argv: &argv };
    let store = Arc::new(store.ok()?);
    let options = Options {
        paths: config.paths.value,
        mode,
        trace: config.trace.value,
        job_token: true,
        flights: store.flights(),
        ..Options::new(places.as_ref()?.state.clone())
    };
    let request = ScriptRequest {
        script: start.real.clone(),
        name: start.name.clone(),
        args: start.args.clone(),
        cwd: std::env::current_dir().ok()?,
        env: std::env::vars_os().collect(),
    };
    let engine = agent::supply(Engine::new(store.clone(), options), &config, places.as_ref()?);
    let mut report = Report::default();
    report.spans.start_us = notes.elapsed();
    let mut laps = Laps::start();
    let run = match engine.prepare_script(&request) {
        Ok(run) => run,
        Err(reason) => {
            report.crate_name = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
            report.kind = SCRIPT_KIND.into();
            report.served = Served::Through { reason };
            notes.write(&mut report, None);
            return None;
        }
    };
    let status = engine.serve_script(&run, passed, &mut laps, &mut report);
    if let Err(error) = &status {
        report.faults.push(format!("not-started: {error}"));
    }
    notes.write(&mut report, Some(&run.recipe));
    build::note(&notes, &engine, &Start::Script(request), &report);
    if collect::may_be_due(&report) {
        collect::if_due(&store);
    }
    status.ok()
}

/// Whether cargo's wrapper still is this program: a build without it, or with another, is to be left
/// alone although its target directory has launchers.
fn is_wrapper() -> bool {
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::file_name);
    let names_own = |value: OsString| Path::new(&value).file_name() == own;
    ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
        .iter()
        .any(|name| std::env::var_os(OsStr::new(name)).is_some_and(names_own))
}
