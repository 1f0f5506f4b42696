//! A miss: run the compiler under the tracer, observe, store.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use cache_core::{Entry, Fact, Observation};
use cache_storage::{StoreError, append_entry};
use futures::executor::block_on;

use super::collect::{self, Collected};
use super::conservative;
use super::execute;
use super::facts::World;
use super::guard::Guard;
use super::observe;
use super::report::{Laps, Miss, Report, Served};
use super::streams::Sink;
use super::unit::Unit;
use super::{Engine, Mode};
use crate::dep_info::DepInfo;
use crate::trace::{TraceError, TraceSession, Tracer};

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
    let mut laps = Laps::start();
    let scratch = if engine.options.mode == Mode::ReadOnly {
        Err("read-only".to_owned())
    } else {
        Scratch::new(engine, unit)
    };
    let extra = scratch.as_ref().map_or_else(|_| Vec::new(), Scratch::env);
    let run = execute::run(unit, &extra, sink)?;
    report.spans.run_us = laps.lap();
    let not_stored = if !run.status.success() {
        Some("failed".to_owned())
    } else {
        scratch.and_then(|scratch| keep(unit, &run, scratch, engine, report)).err()
    };
    report.spans.store_us = laps.lap();
    report.served = Served::Miss { why, not_stored };
    Ok(run.status)
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
    let mut facts = scratch.observe(unit, info.as_ref(), &world, &engine.options.state_dir)?;
    let Collected { outcome, facts: more, adoptions } =
        collect::collect(unit, run, info.as_ref(), &facts)?;
    facts.extend(more);
    for adoption in &adoptions {
        blobs
            .adopt(&adoption.digest, adoption.size, &adoption.path, adoption.placement)
            .map_err(|error| store_reason(&error))?;
        blobs.remember(&adoption.path, &adoption.digest);
        report.stored_bytes += adoption.size;
    }
    let created = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    let entry = Entry { observation: Observation::new(facts), outcome, created };
    block_on(append_entry(&*engine.store, &unit.recipe, entry))
        .map_err(|error| store_reason(&error))
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

/// What a run needs to be observed: a marker of when it started, and the tracer where there is one.
struct Scratch {
    marker: PathBuf,
    tracing: Option<TraceSession>,
    preload: Option<OsString>,
}

impl Scratch {
    fn new(engine: &Engine, unit: &Unit) -> Result<Self, String> {
        let dir = engine.options.state_dir.join("runs");
        let failed = |error: std::io::Error| format!("state-dir: {}: {error}", dir.display());
        let marker = match new_marker(&dir) {
            Ok(marker) => marker,
            Err(_) => {
                std::fs::create_dir_all(&dir).and_then(|()| new_marker(&dir)).map_err(failed)?
            }
        };
        let tracing = if engine.options.trace { session(engine, unit, &marker) } else { None };
        let preload = unit.env.get(OsStr::new("LD_PRELOAD")).cloned();
        Ok(Self { marker, tracing, preload })
    }

    fn env(&self) -> Vec<(OsString, OsString)> {
        let Some(session) = &self.tracing else { return Vec::new() };
        session
            .env(self.preload.as_deref())
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect()
    }

    fn observe(
        &mut self,
        unit: &Unit,
        info: Option<&DepInfo>,
        world: &World<'_>,
        ours: &Path,
    ) -> Result<Vec<Fact>, String> {
        let marker =
            std::fs::metadata(&self.marker).map_err(|error| format!("state-dir: {error}"))?;
        let guard = Guard::new(&marker, &unit.externs);
        match self.tracing.take().map(TraceSession::finish) {
            Some(Ok(trace)) => observe::observe(unit, &trace, info, world, &guard, ours),
            Some(Err(TraceError::NotInForce)) | None => {
                conservative::observe(unit, info, world, &guard)
            }
            Some(Err(error)) => Err(format!("trace: {error}")),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.marker);
    }
}

/// A trace session, where the compiler can be traced.
fn session(engine: &Engine, unit: &Unit, marker: &Path) -> Option<TraceSession> {
    let tracer = Tracer::available(&engine.options.state_dir).ok()?;
    tracer.can_trace(unit.programs.first()?).ok()?;
    tracer.session(&marker.with_extension("trace")).ok()
}

fn new_marker(dir: &Path) -> std::io::Result<PathBuf> {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    let path = dir.join(format!("{}-{nanos}", std::process::id()));
    File::create_new(&path)?;
    Ok(path)
}
