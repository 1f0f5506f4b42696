//! An engine's workers and its queue, as a model.

use std::collections::VecDeque;
use std::time::Duration;

/// An action that the engine has: the unit, and which of its tries.
pub(crate) type Try = (usize, usize);

/// Workers of different speeds, each with one seat.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    /// The time here over the time there.
    speeds: Vec<f64>,
    busy: Vec<Option<Try>>,
    queue: VecDeque<Try>,
    random: Random,
}

/// A sequence that looks random and is the same each time (`splitmix64`).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// Speeds of so many workers: of each eight, seven between 0.75 and 1.25, and one eight times slower.
pub(crate) fn mixed(workers: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    let speed = |i: usize| {
        let speed = 0.75 + random.part() / 2.0;
        if i % 8 == 7 { speed / 8.0 } else { speed }
    };
    (0..workers).map(speed).collect()
}

/// The same without the slow ones.
pub(crate) fn without_slow(speeds: &[f64]) -> Vec<f64> {
    speeds.iter().enumerate().filter(|(i, _)| i % 8 != 7).map(|(_, speed)| *speed).collect()
}

impl Engine {
    pub(crate) fn new(speeds: Vec<f64>, seed: u64) -> Self {
        let busy = vec![None; speeds.len()];
        Self { speeds, busy, queue: VecDeque::new(), random: Random(seed) }
    }

    pub(crate) fn push(&mut self, action: Try) {
        self.queue.push_back(action);
    }

    /// Gives the next action in the queue to some idle worker: which, and how long it takes there.
    pub(crate) fn assign(
        &mut self,
        cost: impl Fn(usize) -> Duration,
    ) -> Option<(Try, usize, Duration)> {
        let idle: Vec<usize> = (0..self.busy.len()).filter(|i| self.busy[*i].is_none()).collect();
        if idle.is_empty() {
            return None;
        }
        let action = self.queue.pop_front()?;
        let worker = idle[self.random.below(idle.len())];
        self.busy[worker] = Some(action);
        // No two runs take the same time.
        let noise = 0.95 + self.random.part() / 5.0;
        Some((action, worker, cost(action.0).mul_f64(noise / self.speeds[worker])))
    }

    /// Takes all tries of a unit away, ended or not; how many there were.
    pub(crate) fn remove(&mut self, unit: usize) -> usize {
        let before = self.queue.len();
        self.queue.retain(|action| action.0 != unit);
        let mut removed = before - self.queue.len();
        for seat in &mut self.busy {
            if seat.is_some_and(|action| action.0 == unit) {
                *seat = None;
                removed += 1;
            }
        }
        removed
    }
}
