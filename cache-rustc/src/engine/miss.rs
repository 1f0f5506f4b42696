//! A miss: run the compiler under the tracer, observe, store.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;

use cache_core::{Entry, Fact, Observation, Recipe, Role};
use cache_storage::{StoreError, append_entry};
use futures::executor::block_on;

use super::collect::{self, Collected};
use super::conservative;
use super::dispatch::Checked;
use super::edits::Edit;
use super::execute;
use super::facts::World;
use super::guard::Guard;
use super::lookup;
use super::observe::{self, Observed};
use super::race;
use super::report::{Laps, Miss, Report, Served};
use super::scope::Scope;
use super::scratch::Scratch;
use super::script::launcher;
use super::streams::Sink;
use super::supply::Coming;
use super::unit::Unit;
use super::{Engine, Mode};
use crate::dep_info::DepInfo;

/// Executes a unit and stores what it left, if that may be.
///
/// # Errors
/// When the compiler cannot be started.
pub(super) fn execute(
    unit: &Unit,
    why: Miss,
    engine: &Engine,
    sink: &dyn Sink,
    report: &mut Report,
) -> std::io::Result<ExitStatus> {
    let run = &mut |extra: &[_]| execute::run(unit, extra, sink).map(Some);
    Ok(execute_with(unit, why, engine, report, run)?.unwrap_or_default())
}

/// Executes a unit while it may come from elsewhere. `None`: that was first, the compiler was stopped, and
/// nothing was passed on.
///
/// # Errors
/// When the compiler cannot be started.
pub(super) fn race(
    unit: &Unit,
    why: &Miss,
    engine: &Engine,
    sink: &dyn Sink,
    coming: &mut dyn Coming,
    report: &mut Report,
) -> std::io::Result<Option<ExitStatus>> {
    let choose = |record: &[u8]| lookup::choose(unit, record, engine.blobs());
    let run = &mut |extra: &[_]| race::run(unit, extra, sink, coming, &choose);
    execute_with(unit, why.clone(), engine, report, run)
}

/// Runs the compiler with variables of the tracer's; `None` when it was stopped.
type Compile<'c> =
    &'c mut dyn FnMut(&[(OsString, OsString)]) -> std::io::Result<Option<execute::Run>>;

fn execute_with(
    unit: &Unit,
    why: Miss,
    engine: &Engine,
    report: &mut Report,
    compile: Compile<'_>,
) -> std::io::Result<Option<ExitStatus>> {
    let mut laps = Laps::start();
    let edit = Edit::of(unit, &engine.options.state_dir).filter(|_| why != Miss::Refresh);
    let scratch = if engine.options.mode == Mode::ReadOnly {
        Err("read-only".to_owned())
    } else if edit.as_ref().is_some_and(Edit::is_one_of_many) {
        Err("edit-loop".to_owned())
    } else {
        Scratch::new(engine, unit.programs.first().map(PathBuf::as_path), &unit.env)
    };
    let extra = scratch.as_ref().map_or_else(|_| Vec::new(), Scratch::env);
    let Some(run) = compile(&extra)? else { return Ok(None) };
    report.spans.run_us = laps.lap();
    let not_stored = if !run.status.success() {
        Some("failed".to_owned())
    } else {
        scratch.and_then(|scratch| keep(unit, &run, scratch, engine, report)).err()
    };
    if run.status.success() {
        launch(unit, report);
    }
    if let (Some(edit), None) = (edit, &not_stored) {
        edit.note_stored();
    }
    report.spans.store_us = laps.lap();
    report.served = Served::Miss { why, not_stored };
    Ok(Some(run.status))
}

/// Stores what another machine made of a unit and is in place now.
pub(super) fn delivered(
    unit: &Unit,
    why: &Miss,
    run: &execute::Run,
    checked: &Checked,
    engine: &Engine,
    report: &mut Report,
) -> ExitStatus {
    let mut laps = Laps::start();
    report.spans.run_us = run.wall_us;
    let kept =
        collect::collect(unit, run, checked.info.as_ref(), &checked.facts).and_then(|collected| {
            store(engine, &unit.recipe, collected, checked.facts.clone(), report)
        });
    launch(unit, report);
    report.spans.store_us = laps.lap();
    report.served = Served::Miss { why: why.clone(), not_stored: kept.err() };
    run.status
}

/// Puts the launcher in the place of a build script that was just compiled. Where that fails, the
/// script itself stays there and its runs are not served.
fn launch(unit: &Unit, report: &mut Report) {
    let Some(program) = &unit.launcher else { return };
    for script in unit.outputs.iter().filter(|output| output.role == Role::Executable) {
        if let Err(error) = launcher::install(&script.path, program) {
            report.faults.push(format!("launcher: {error}"));
        }
    }
}

fn keep(
    unit: &Unit,
    run: &execute::Run,
    mut scratch: Scratch,
    engine: &Engine,
    report: &mut Report,
) -> Result<(), String> {
    if contains(&run.stderr, b"failed to connect to jobserver") {
        // A warning about this build's own jobserver, not about the crate.
        return Err("jobserver-warning".into());
    }
    let info = collect::dep_info(unit)?;
    let blobs = engine.blobs();
    let world = World::new(unit, &blobs);
    let facts = observe(&mut scratch, unit, info.as_ref(), &world, engine)?;
    let collected = collect::collect(unit, run, info.as_ref(), &facts)?;
    store(engine, &unit.recipe, collected, facts, report)
}

fn observe(
    scratch: &mut Scratch,
    unit: &Unit,
    info: Option<&DepInfo>,
    world: &World<'_>,
    engine: &Engine,
) -> Observed {
    let started = scratch.started()?;
    let guard = Guard::new(&started, &unit.externs);
    match scratch.trace()? {
        Some(trace) => observe::observe(
            unit,
            &unit.env,
            &trace,
            info,
            world,
            &guard,
            &Scope::new(unit, &engine.options.state_dir),
        ),
        None => conservative::observe(unit, info, world, &guard),
    }
}

/// Puts an execution's blobs and entry into the store.
///
/// # Errors
/// `store-read-only`, `store-full` or `store-error` with what the store says.
pub(super) fn store(
    engine: &Engine,
    recipe: &Recipe,
    collected: Collected,
    mut facts: Vec<Fact>,
    report: &mut Report,
) -> Result<(), String> {
    let blobs = engine.blobs();
    facts.extend(collected.facts);
    for adoption in &collected.adoptions {
        blobs
            .adopt(&adoption.digest, adoption.size, &adoption.path, adoption.placement)
            .map_err(|error| store_reason(&error))?;
        blobs.remember(&adoption.path, &adoption.digest);
        report.stored_bytes += adoption.size;
    }
    let created = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    report.outcome = Some(collected.outcome.digest());
    let entry = Entry { observation: Observation::new(facts), outcome: collected.outcome, created };
    block_on(append_entry(&*engine.store, recipe, entry)).map_err(|error| store_reason(&error))?;
    if let (Some(supply), Some(outcome)) = (&engine.supply, report.outcome) {
        supply.stored(&recipe.key(), &outcome);
    }
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn store_reason(error: &StoreError) -> String {
    match error {
        StoreError::ReadOnly(_) => format!("store-read-only: {error}"),
        StoreError::Full(_) => format!("store-full: {error}"),
        _ => format!("store-error: {error}"),
    }
}
