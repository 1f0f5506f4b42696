//! What was measured of an engine's workers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Unit;

/// How much of what was known before one more measurement leaves.
const KEEP: f64 = 0.8;
/// A worker's share of the actions fades with each action that others get.
const FADE: f64 = 0.99;
/// An action takes between the first and the second part of its expected time on a worker.
const SPREAD: (f64, f64) = (0.8, 1.4);
/// Workers whose speeds differ by less than this part of a doubling are one class.
const CLASS: f64 = 0.25;
/// How much of the engine's own delay, compared with the run, means that actions queue there.
const QUEUED: f64 = 0.2;
const QUEUED_BY: Duration = Duration::from_millis(200);
/// Actions that are sent before anything is known.
const FIRST_WINDOW: f64 = 16.0;
const LEAST_WINDOW: f64 = 2.0;
/// Actions that get less of a processor than this share it.
const CROWDED: f64 = 0.75;
/// What runs shorter says nothing of that.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

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
    /// What it would have taken there with nothing beside it; nothing when that is not known.
    pub alone: Duration,
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
    /// All of these, those of about the same speed together: few, however many workers there are.
    classes: Vec<Worker>,
    /// What an action takes beside its run and its upload, in seconds.
    overhead: f64,
    bytes_per_second: f64,
    window: f64,
    /// The part of a processor that an action gets, at most 1.
    share: f64,
    /// How many actions have ended.
    measured: usize,
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
            classes: vec![Worker { speed: 1.0, share: 1.0 }],
            overhead: overhead.as_secs_f64(),
            bytes_per_second: 20e6,
            window: FIRST_WINDOW,
            share: 1.0,
            measured: 0,
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

    /// How many actions were measured.
    #[must_use]
    pub fn measured(&self) -> usize {
        self.measured
    }

    /// Whether actions share processors there, so that one more makes the others slower.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.share < CROWDED
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
            self.classify();
        }
        self.measured += 1;
        if !ran.alone.is_zero() && ran.run > LONG_ENOUGH {
            let share = (ran.alone.as_secs_f64() / ran.run.as_secs_f64()).min(1.0);
            // The first one tells more than what was assumed.
            let keep = if self.measured == 1 { 0.0 } else { KEEP };
            self.share = self.share * keep + share * (1.0 - keep);
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
        self.classify();
    }

    fn classify(&mut self) {
        // Speeds are between a hundredth and a hundred, or a little beyond.
        #[allow(clippy::cast_possible_truncation)]
        let class = |worker: &Worker| (worker.speed.max(0.0001).log2() / CLASS).round() as i64;
        let mut classes: BTreeMap<i64, Worker> = BTreeMap::new();
        for worker in self.workers.values().chain(&self.lost).filter(|w| w.share > 0.0) {
            let own = classes.entry(class(worker)).or_insert(Worker { speed: 0.0, share: 0.0 });
            let share = own.share + worker.share;
            own.speed = (own.speed * own.share + worker.speed * worker.share) / share;
            own.share = share;
        }
        if !classes.is_empty() {
            self.classes = classes.into_values().collect();
        }
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

    /// What is left of a unit's time when so much of it has passed: the mean over the workers that may
    /// not have ended it yet, by how likely that is. When all would have, as long again as it has taken.
    #[must_use]
    pub fn left(&self, unit: &Unit, elapsed: Duration) -> Duration {
        self.gain(unit, elapsed, 0.0)
    }

    /// What is gained on average by starting it here as well, where it takes its cost.
    #[must_use]
    pub fn gain_here(&self, unit: &Unit, elapsed: Duration) -> Duration {
        self.gain(unit, elapsed, unit.cost.as_secs_f64())
    }

    /// What is gained on average by sending it once more.
    #[must_use]
    pub fn gain_again(&self, unit: &Unit, elapsed: Duration) -> Duration {
        let (mut gain, mut share) = (0.0, 0.0);
        for class in &self.classes {
            let other = self.time(unit, class.speed);
            gain += class.share * self.gain(unit, elapsed, other).as_secs_f64();
            share += class.share;
        }
        Duration::try_from_secs_f64(gain / share).unwrap_or(Duration::MAX)
    }

    /// From sending a unit to its end on the slowest worker.
    #[must_use]
    pub fn longest(&self, unit: &Unit) -> Duration {
        let times = self.classes.iter().map(|class| self.time(unit, class.speed));
        Duration::try_from_secs_f64(times.fold(0.0, f64::max)).unwrap_or(Duration::MAX)
    }

    /// From sending a unit to its end on the class of workers that most actions get to.
    #[must_use]
    pub fn typical(&self, unit: &Unit) -> Duration {
        let most = self.classes.iter().max_by(|a, b| a.share.total_cmp(&b.share));
        let speed = most.map_or(1.0, |class| class.speed);
        Duration::try_from_secs_f64(self.time(unit, speed)).unwrap_or(Duration::MAX)
    }

    /// Whether all workers that were measured would have ended a unit that has taken so long.
    #[must_use]
    pub fn is_overdue(&self, unit: &Unit, elapsed: Duration) -> bool {
        elapsed > self.longest(unit).mul_f64(SPREAD.1)
    }

    /// By how much what is left exceeds `other` seconds, on average; nothing where it does not.
    fn gain(&self, unit: &Unit, elapsed: Duration, other: f64) -> Duration {
        let (mut gain, mut share) = (0.0, 0.0);
        let elapsed = elapsed.as_secs_f64();
        for class in &self.classes {
            let whole = self.time(unit, class.speed);
            let (least, most) = (whole * SPREAD.0, whole * SPREAD.1);
            // That it has not ended by now.
            let likely = class.share * ((most - elapsed) / (most - least)).clamp(0.0, 1.0);
            gain += likely * ((whole - elapsed).max(whole * 0.1) - other).max(0.0);
            share += likely;
        }
        let seconds = if share > 1e-6 { gain / share } else { (elapsed - other).max(0.0) };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    fn time(&self, unit: &Unit, speed: f64) -> f64 {
        // Lengths of uploads are far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let upload = unit.upload as f64 / self.bytes_per_second.max(1.0);
        self.overhead + upload + unit.cost.as_secs_f64() / speed.max(0.001)
    }
}
