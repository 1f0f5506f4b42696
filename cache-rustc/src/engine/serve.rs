//! Serving an action: looking it up, waiting for the same action elsewhere, asking the supply.

use std::time::Duration;

use cache_core::Digest;

use super::action::Action;
use super::flight::Flight;
use super::jobserver::JobToken;
use super::lookup::{self, Found, Hit};
use super::queue;
use super::report::{Laps, Miss, Report, Served};
use super::restore::{RestoreError, Restored};
use super::supply::{Coming, Supplied, wait_patiently};
use super::{Engine, Mode};

/// A wait that is longer is not worth a job token.
const SHORT: Duration = Duration::from_millis(20);

/// Restores an outcome of an action.
pub(super) type Restore<'a> = &'a dyn Fn(&Hit) -> Result<Restored, RestoreError>;

/// An action that is being served.
pub(super) struct Serving<'a> {
    pub engine: &'a Engine,
    pub action: &'a dyn Action,
    pub restore: Restore<'a>,
    pub laps: &'a mut Laps,
    pub report: &'a mut Report,
}

/// What is to be executed, and what may still come meanwhile.
#[derive(Default)]
pub(super) struct ToExecute {
    /// The right to do it, where there is one.
    pub flight: Option<Flight>,
    /// What the supply is at.
    pub coming: Option<Box<dyn Coming>>,
}

/// What became of asking the supply.
enum Supplying {
    Restored,
    Coming(Box<dyn Coming>),
    Nothing,
}

impl ToExecute {
    /// Ends the flight: those who wait look again, or do it by themselves if nothing was stored.
    pub(super) fn done(self, report: &Report) {
        let stored =
            matches!(report.served, Served::Miss { not_stored: None, .. } | Served::Hit { .. });
        if let Some(mut flight) = self.flight.filter(|_| !stored) {
            flight.failed();
        }
    }
}

impl Serving<'_> {
    /// Looks the action up and restores it.
    pub(super) fn try_hit(&mut self) -> Result<(), Miss> {
        let found = lookup::look_up(self.action, self.engine.blobs());
        self.report.spans.check_us += self.laps.lap();
        let hit = match found {
            Found::Hit(hit) => hit,
            Found::Miss(why) => return Err(why),
        };
        let restored = (self.restore)(&hit);
        self.report.spans.restore_us += self.laps.lap();
        let restored = restored.map_err(|error| {
            self.report.faults.push(format!("restore: {error}"));
            Miss::Damaged(error.to_string())
        })?;
        self.report.linked_bytes = restored.linked_bytes;
        self.report.copied_bytes = restored.copied_bytes;
        self.report.outcome = Some(hit.outcome.digest());
        self.report.served = Served::Hit { saved_us: hit.outcome.cost_us };
        Ok(())
    }

    /// Waits for the same action in another process, named by `flight`, and then for the supply.
    ///
    /// # Errors
    /// It is to be executed.
    pub(super) fn wait(&mut self, flight: &Digest) -> Result<(), ToExecute> {
        let options = self.engine.options();
        let env = self.action.env();
        let mut token = JobToken::held(options.job_token.then_some(env));
        let waited = queue::wait(&options.flights, flight, &mut token, &mut || {
            self.report.spans.wait_us += self.laps.lap();
            self.try_hit().is_ok()
        });
        self.report.spans.wait_us += self.laps.lap();
        let flight = match waited {
            Ok(()) => return Ok(()),
            Err(flight) => flight,
        };
        match self.supplied(&mut token) {
            Supplying::Restored => Ok(()),
            Supplying::Coming(coming) => Err(ToExecute { flight, coming: Some(coming) }),
            Supplying::Nothing => Err(ToExecute { flight, coming: None }),
        }
    }

    /// Asks the supply and waits while that is worth it.
    fn supplied(&mut self, token: &mut JobToken<'_>) -> Supplying {
        let supply = self.engine.supply.as_ref();
        let supply = supply.filter(|_| self.engine.options().mode == Mode::ReadWrite);
        let Some(mut coming) = supply.and_then(|supply| supply.bring(&self.action.key())) else {
            return Supplying::Nothing;
        };
        self.report.supplied = Supplied::Nothing;
        if coming.patience() > SHORT {
            token.give_back();
        }
        let choose = |record: &[u8]| lookup::choose(self.action, record, self.engine.blobs());
        let came = wait_patiently(&mut *coming, &choose);
        self.report.spans.wait_us += self.laps.lap();
        let restored = came == Some(true) && self.try_hit().is_ok();
        token.take();
        self.report.spans.wait_us += self.laps.lap();
        match came {
            _ if restored => {
                self.report.supplied = Supplied::Brought;
                Supplying::Restored
            }
            None => Supplying::Coming(coming),
            Some(_) => Supplying::Nothing,
        }
    }
}
