//! What was measured of an engine's workers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Unit;

/// How much of what was known before one more measurement leaves.
const KEEP: f64 = 0.8;
/// A worker's share of the actions fades with each action that others get.
const FADE: f64 = 0.99;
/// Beyond that part of its expected time an action does not run on this worker.
const LATE: f64 = 1.3;
const LATE_BY: Duration = Duration::from_millis(200);
/// How much of the engine's own delay, compared with the run, means that actions queue there.
const QUEUED: f64 = 0.2;
const QUEUED_BY: Duration = Duration::from_millis(200);
/// Actions that are sent before anything is known.
const FIRST_WINDOW: f64 = 16.0;
const LEAST_WINDOW: f64 = 2.0;

/// A worker: how fast, and how likely an action gets to it.
#[derive(Clone, Copy, Debug)]
struct Worker {
    /// The time here over the time there.
    speed: f64,
    share: f64,
}

/// What an action's end tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran<'a> {
    /// Who ran it, in the engine's words; may be empty.
    pub worker: &'a str,
    /// What it was expected to take on this machine.
    pub cost: Duration,
    /// What the command itself took there.
    pub run: Duration,
    /// From sending it to its end, as seen from here.
    pub total: Duration,
    /// For how long the engine had no worker for it.
    pub queued: Duration,
    /// Bytes that were sent for it, and how long that took.
    pub uploaded: (u64, Duration),
    /// How many actions the engine had of us when this one was sent, itself included.
    pub in_flight: usize,
}

/// What was measured of an engine: its workers' speeds, its overhead, and how much it takes at once.
#[derive(Clone, Debug)]
pub struct Fleet {
    workers: BTreeMap<String, Worker>,
    /// Actions that were given up before their end, as if one more worker had got them.
    lost: Option<Worker>,
    /// What an action takes beside its run and its upload, in seconds.
    overhead: f64,
    bytes_per_second: f64,
    window: f64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new(Duration::from_millis(100))
    }
}

impl Fleet {
    /// An engine of which nothing is known but what an action costs there at least, beside its run.
    #[must_use]
    pub fn new(overhead: Duration) -> Self {
        Self {
            workers: BTreeMap::new(),
            lost: None,
            overhead: overhead.as_secs_f64(),
            bytes_per_second: 20e6,
            window: FIRST_WINDOW,
        }
    }

    /// How many actions the engine is given at once: it grows while they begin at once, and shrinks
    /// when they queue.
    #[must_use]
    pub fn window(&self) -> usize {
        // At least two, and far from any limit of the type.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let window = self.window as usize;
        window
    }

    /// Each worker that was measured, with its speed: the time here over the time there.
    pub fn workers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.workers.iter().map(|(name, worker)| (name.as_str(), worker.speed))
    }

    /// Learns from an action that has ended there.
    pub fn ran(&mut self, ran: &Ran<'_>) {
        let cost = ran.cost.as_secs_f64();
        if cost > 0.0 && !ran.run.is_zero() {
            self.fade();
            let speed = (cost / ran.run.as_secs_f64()).clamp(0.01, 100.0);
            let worker = self.workers.entry(ran.worker.to_owned());
            let worker = worker.or_insert(Worker { speed, share: 0.0 });
            worker.speed = worker.speed * KEEP + speed * (1.0 - KEEP);
            worker.share += 1.0;
        }
        let (bytes, time) = ran.uploaded;
        let own = ran.total.saturating_sub(ran.run + ran.queued + time).as_secs_f64();
        self.overhead = self.overhead * KEEP + own * (1.0 - KEEP);
        if bytes > 100_000 && !time.is_zero() {
            // Lengths of uploads are far below 2^52.
            #[allow(clippy::cast_precision_loss)]
            let rate = bytes as f64 / time.as_secs_f64();
            self.bytes_per_second = self.bytes_per_second * KEEP + rate * (1.0 - KEEP);
        }
        self.adapt(ran);
    }

    /// Learns from an action that was given up so long after it was sent.
    pub fn gave_up(&mut self, cost: Duration, elapsed: Duration) {
        let over = elapsed.as_secs_f64() - self.overhead;
        if over <= cost.as_secs_f64() || cost.is_zero() {
            return;
        }
        self.fade();
        // It would have taken longer than it had; nobody knows how much.
        let speed = cost.as_secs_f64() / (2.0 * over);
        let lost = self.lost.get_or_insert(Worker { speed, share: 0.0 });
        lost.speed = lost.speed * KEEP + speed * (1.0 - KEEP);
        lost.share += 1.0;
    }

    fn fade(&mut self) {
        for worker in self.workers.values_mut().chain(&mut self.lost) {
            worker.share *= FADE;
        }
    }

    /// Grows by one for each action that began at once while the window was in use: so it doubles in
    /// the time of one action.
    fn adapt(&mut self, ran: &Ran<'_>) {
        let queues = ran.queued > QUEUED_BY.max(ran.run.mul_f64(QUEUED));
        if queues {
            self.window = (self.window * 0.95).max(LEAST_WINDOW);
        } else if ran.in_flight * 2 >= self.window() {
            self.window = (self.window + 1.0).min(10_000.0);
        }
    }

    /// From sending a unit to its end, on whichever worker.
    #[must_use]
    pub fn expected(&self, unit: &Unit) -> Duration {
        self.left(unit, Duration::ZERO)
    }

    /// What is left of a unit's time when so much of it has passed: the mean over the workers that would
    /// not have ended it yet. When all would have, as long again as it has taken beyond that.
    #[must_use]
    pub fn left(&self, unit: &Unit, elapsed: Duration) -> Duration {
        let (mut left, mut share, mut longest) = (0.0, 0.0, 0.0_f64);
        let elapsed = elapsed.as_secs_f64();
        let unmeasured = Worker { speed: 1.0, share: 1.0 };
        let none = self.workers.is_empty().then_some(&unmeasured);
        for worker in self.workers.values().chain(&self.lost).chain(none) {
            let whole = self.time(unit, worker.speed);
            longest = longest.max(whole);
            if elapsed <= whole * LATE + LATE_BY.as_secs_f64() {
                left += worker.share * (whole - elapsed).max(whole * 0.1);
                share += worker.share;
            }
        }
        let seconds = if share > 0.0 { left / share } else { elapsed };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    fn time(&self, unit: &Unit, speed: f64) -> f64 {
        // Lengths of uploads are far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let upload = unit.upload as f64 / self.bytes_per_second.max(1.0);
        self.overhead + upload + unit.cost.as_secs_f64() / speed.max(0.001)
    }
}
