//! A build script's run as an action: what it read is observed, what it printed and left in
//! `OUT_DIR` is restored.
//!
//! cargo starts the compiled script by itself, so what lies at its output path is a [`launcher`] that
//! comes here. A run that cannot be cached happens as if the launcher were not there.

mod environ;
mod execute;
pub mod launcher;
mod leftovers;
mod programs;
mod refused;
mod restore;
mod run;
mod search;
mod streams;
mod tree;

use std::process::ExitStatus;

pub(super) use restore::restore;
pub use run::{ScriptRequest, ScriptRun};

use super::lookup::{self, Hit};
use super::report::{Laps, Miss, Report, Served};
use super::serve::Serving;
use super::streams::Sink;
use super::{Engine, Mode};

/// What reports call a build script's run.
pub const KIND: &str = "build-script-run";

impl Engine {
    /// Understands the start of a build script.
    ///
    /// # Errors
    /// The reason why its run cannot be cached; it is then to be run as it is.
    pub fn prepare_script(&self, request: &ScriptRequest) -> Result<Box<ScriptRun>, String> {
        run::prepare(request, &self.options, &self.blobs()).map(Box::new)
    }

    /// Serves a build script's run: looks it up, waits for the same run elsewhere, restores or
    /// executes.
    ///
    /// # Errors
    /// When the script cannot be started.
    pub fn serve_script(
        &self,
        run: &ScriptRun,
        sink: &dyn Sink,
        laps: &mut Laps,
        report: &mut Report,
    ) -> std::io::Result<ExitStatus> {
        run.describe(report);
        report.spans.key_us = laps.lap();
        if self.options.mode == Mode::Refresh {
            return execute::execute(run, Miss::Refresh, self, sink, report);
        }
        let restore = |hit: &Hit| restore(run, &hit.outcome, self.blobs(), sink);
        let mut serving = Serving { engine: self, action: run, restore: &restore, laps, report };
        let why = match serving.try_hit() {
            Ok(()) => return Ok(ExitStatus::default()),
            Err(why) => why,
        };
        if let Some(reason) = self.plainly(run) {
            report.served = Served::Miss { why, not_stored: Some(reason) };
            let status = execute::plain(run, sink);
            report.spans.run_us = laps.lap();
            return status;
        }
        let to_execute = match serving.wait(&lookup::flight_of(run, None, self.blobs())) {
            Ok(()) => return Ok(ExitStatus::default()),
            Err(to_execute) => to_execute,
        };
        // No race: what a run has done besides writing to `OUT_DIR` cannot be undone.
        let status = execute::execute(run, why, self, sink, report)?;
        to_execute.done(report);
        Ok(status)
    }

    /// Why a run that is not in the store is not worth observing.
    fn plainly(&self, run: &ScriptRun) -> Option<String> {
        if self.options.mode == Mode::ReadOnly {
            return Some("read-only".into());
        }
        if !tree::is_empty(&run.out_dir) {
            // It may go on with what an earlier run left.
            return Some("out-dir-not-empty".into());
        }
        refused::reason(&self.options.state_dir, &run.key)
    }
}
