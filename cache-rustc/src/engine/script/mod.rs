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
mod streams;
mod tree;

use std::process::ExitStatus;

pub(super) use restore::restore;
pub use run::{ScriptRequest, ScriptRun};

use super::action::Action;
use super::jobserver::JobToken;
use super::lookup::{self, Found};
use super::report::{Laps, Miss, Report, Served};
use super::streams::Sink;
use super::{Engine, Mode};
use super::{outcome, queue};

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
        let why = match self.try_script(run, sink, laps, report) {
            Ok(()) => return Ok(ExitStatus::default()),
            Err(why) => why,
        };
        if let Some(reason) = self.plainly(run) {
            report.served = Served::Miss { why, not_stored: Some(reason) };
            let status = execute::plain(run, sink);
            report.spans.run_us = laps.lap();
            return status;
        }
        let action = lookup::flight_of(run, None, self.blobs());
        let mut token = JobToken::held(self.options.job_token.then_some(run.env()));
        let waited = queue::wait(&self.options.flights, &action, &mut token, &mut || {
            self.try_script(run, sink, laps, report).is_ok()
        });
        report.spans.wait_us += laps.lap();
        let flight = match waited {
            Ok(()) => return Ok(ExitStatus::default()),
            Err(flight) => flight,
        };
        let status = execute::execute(run, why, self, sink, report)?;
        let stored = matches!(report.served, Served::Miss { not_stored: None, .. });
        if let Some(mut flight) = flight.filter(|_| !stored) {
            flight.failed();
        }
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
        refused::reason(&self.options.state_dir, &run.key())
    }

    fn try_script(
        &self,
        run: &ScriptRun,
        sink: &dyn Sink,
        laps: &mut Laps,
        report: &mut Report,
    ) -> Result<(), Miss> {
        let found = lookup::look_up(run, self.blobs());
        report.spans.check_us += laps.lap();
        let hit = match found {
            Found::Hit(hit) => hit,
            Found::Miss(why) => return Err(why),
        };
        let restored = restore(run, &hit.outcome, self.blobs(), sink);
        report.spans.restore_us += laps.lap();
        let restored = restored.map_err(|error| {
            report.faults.push(format!("restore: {error}"));
            Miss::Damaged(error.to_string())
        })?;
        report.linked_bytes = restored.linked_bytes;
        report.copied_bytes = restored.copied_bytes;
        report.outcome = Some(outcome::digest(&hit.outcome));
        report.served = Served::Hit { saved_us: hit.outcome.cost_us };
        Ok(())
    }
}
