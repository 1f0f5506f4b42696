//! Whether a unit is sent.
//!
//! `cache_dist::schedule` decides, as far as one unit's wrapper can tell: it holds the token of a core
//! that another unit gets if this one is sent, so no core is idle, and this one would wait here for that
//! other one, which is taken to be about as long. On top of that, an engine of which little is known
//! is given little.

use std::time::{Duration, Instant};

use cache_dist::schedule::{Fleet, Move, Situation, Unit, Waiting, decide};

/// What a unit is taken to cost of which nothing is known.
pub(super) const UNKNOWN: Duration = Duration::from_millis(500);
/// Units that are sent at once before one has come back; each that does makes room for as many more.
const FIRST: usize = 2;
/// An engine that was not worth it may be by now: after so long a unit is sent to see.
const ANEW: Duration = Duration::from_secs(60);
/// It is one that holds up nobody for long.
const SHORT: Duration = Duration::from_secs(2);

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

    /// Whether a unit that takes so long here is worth sending, when so many others are there.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn judge(&self, cost: Option<Duration>, in_flight: usize) -> Result<(), String> {
        let anew = |sent: Instant| sent.elapsed() >= ANEW && cost.is_some_and(|cost| cost <= SHORT);
        if in_flight == 0 && self.sent.is_none_or(anew) {
            return Ok(());
        }
        if in_flight >= self.at_once() {
            return Err("not-worth: the engine has enough to do".into());
        }
        let cost = cost.unwrap_or(UNKNOWN);
        let unit = Unit { cost, tail: cost, upload: 0 };
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
        assert_eq!(worth.judge(None, 0), Ok(()));
        worth.sent();
        assert_eq!(worth.judge(None, 1), Ok(()));
        assert!(worth.judge(None, 2).is_err());
        assert_eq!(engine(SECOND).judge(None, 3), Ok(()));
    }

    #[test]
    fn an_engine_whose_actions_hold_up_each_other_is_given_no_more() {
        for (run, sends) in [(SECOND, true), (SECOND * 2, false)] {
            let worth = engine(run);
            assert_eq!(worth.judge(Some(SECOND), 1).is_ok(), sends, "{run:?}");
            assert_eq!(worth.judge(Some(SECOND), 0).is_ok(), sends, "{run:?}");
        }
    }

    #[test]
    fn what_is_short_is_not_worth_the_way() {
        assert!(engine(SECOND).judge(Some(Duration::from_millis(20)), 1).is_err());
    }
}
