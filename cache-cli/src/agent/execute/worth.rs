//! Whether a unit is sent.
//!
//! `cache_dist::schedule` decides, as far as one unit's wrapper can tell: it holds the token of a core
//! that another unit gets if this one is sent, so no core is idle, and this one would wait here for that
//! other one, which is taken to be about as long. On top of that, an engine of which little is known
//! is given little.

use std::time::{Duration, Instant};

use cache_dist::schedule::{Fleet, Move, Situation, Unit, Waiting, decide};

/// What a unit is taken to cost of which nothing is known.
const UNKNOWN: Duration = Duration::from_millis(500);
/// Units that are sent at once before one has come back; each that does makes room for as many more.
const FIRST: usize = 2;
/// An engine that was not worth it may be by now: after so long a unit is sent to see.
const ANEW: Duration = Duration::from_secs(60);
/// It is one that holds up nobody for long.
const SHORT: Duration = Duration::from_secs(2);

/// A unit that takes so long here and so long to the end of the build, as far as that is known.
pub(super) fn unit(cost: Option<Duration>, tail: Option<Duration>) -> Unit {
    let cost = cost.unwrap_or(UNKNOWN);
    Unit { cost, tail: tail.unwrap_or(cost).max(cost), upload: 0 }
}

/// What is known of an engine, and when it was last tried.
#[derive(Debug, Default)]
pub(super) struct Worth {
    pub(super) fleet: Fleet,
    sent: Option<Instant>,
}

impl Worth {
    /// How many units the engine is given at once.
    pub(super) fn at_once(&self) -> usize {
        self.fleet.window().min(FIRST + FIRST * self.fleet.measured())
    }

    /// Notes that a unit is sent.
    pub(super) fn sent(&mut self) {
        self.sent = Some(Instant::now());
    }

    /// Whether a unit is worth sending, when so many others are there. `known`: what it takes is no guess.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn judge(&self, unit: Unit, known: bool, in_flight: usize) -> Result<(), String> {
        let cost = unit.cost;
        let anew = |sent: Instant| sent.elapsed() >= ANEW && known && cost <= SHORT;
        if in_flight == 0 && self.sent.is_none_or(anew) {
            return Ok(());
        }
        if in_flight >= self.at_once() {
            return Err("not-worth: the engine has enough to do".into());
        }
        // Where actions hold up each other, one more is worth it only if it ends there sooner than
        // here from now on.
        let left = if self.fleet.is_crowded() { Duration::ZERO } else { cost };
        let situation = Situation {
            idle: 0,
            local: &[left],
            waiting: &[Waiting { unit, here: true, there: true }],
            sent: &[],
            in_flight,
            fleet: Some(&self.fleet),
        };
        if decide(&situation) == Some(Move::There(0)) {
            return Ok(());
        }
        let (there, here) = (self.fleet.expected(&unit).as_millis(), cost.as_millis());
        Err(format!("not-worth: {there} ms there, {here} here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_dist::schedule::Ran;

    const SECOND: Duration = Duration::from_secs(1);

    fn judge(worth: &Worth, cost: Option<Duration>, in_flight: usize) -> Result<(), String> {
        worth.judge(unit(cost, None), cost.is_some(), in_flight)
    }

    /// An engine whose actions of a second took so long to run.
    fn engine(run: Duration) -> Worth {
        let mut worth = Worth::default();
        worth.sent();
        let total = run + Duration::from_millis(100);
        let ran = Ran { cost: SECOND, alone: SECOND, run, total, in_flight: 1, ..Ran::default() };
        worth.fleet.ran(&ran);
        worth
    }

    #[test]
    fn little_is_sent_before_anything_has_come_back() {
        let mut worth = Worth::default();
        assert_eq!(judge(&worth, None, 0), Ok(()));
        worth.sent();
        assert_eq!(judge(&worth, None, 1), Ok(()));
        assert!(judge(&worth, None, 2).is_err());
        assert_eq!(judge(&engine(SECOND), None, 3), Ok(()));
    }

    #[test]
    fn an_engine_whose_actions_hold_up_each_other_is_given_no_more() {
        for (run, sends) in [(SECOND, true), (SECOND * 2, false)] {
            let worth = engine(run);
            assert_eq!(judge(&worth, Some(SECOND), 1).is_ok(), sends, "{run:?}");
            assert_eq!(judge(&worth, Some(SECOND), 0).is_ok(), sends, "{run:?}");
        }
    }

    #[test]
    fn what_is_short_is_not_worth_the_way() {
        assert!(judge(&engine(SECOND), Some(Duration::from_millis(20)), 1).is_err());
    }
}
