//! What to send where, as a pure function: no clock, no process, no connection. Who asks says what is
//! waiting and what is running; the same code decides for a real build and in the simulation
//! (`examples/simulate`).
//!
//! # The rules
//!
//! 1. The unit that most work waits for goes first: units are ordered by their *tail*, the longest path
//!    from their start to the end of the build ([`tails`]).
//! 2. An idle core of this machine takes what can run nowhere else, else the next unit, unless an engine
//!    is expected to be clearly faster; or it *overtakes* an action that the engine will not end soon, when that one's tail is
//!    longer than the next unit's.
//! 3. Without an idle core a unit goes to the engine when that is expected to end before a core here
//!    would; otherwise it waits. What is sent is limited to what the engine starts without queueing.
//! 4. What an engine has not ended in its time probably runs on a slow worker. The expectation of what
//!    is left is conditional on what has passed, over the workers that were measured ([`Fleet`]). When
//!    that says that another worker would end it clearly sooner from the start, and no core here does, it
//!    is sent once more. While the engine has seats to spare, that is done at once where it gains on average
//!    (as it does where some workers are much slower than others), and first for what a slow worker would
//!    make the longest path of the build.

mod fleet;
mod graph;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::time::Duration;

pub use fleet::{Fleet, Ran};
pub use graph::{Node, tails};

/// How much shorter the engine's time must be for an idle core to be left idle.
const CLEARLY: f64 = 0.75;
/// What doing a unit twice must gain: this part of the local time…
const GAIN: f64 = 0.25;
/// …and this much.
const LEAST_GAIN: Duration = Duration::from_millis(100);

/// What is known of a unit of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// What it takes on a core of this machine, from earlier builds.
    pub cost: Duration,
    /// The longest path from its start to the end of the build, itself included.
    pub tail: Duration,
    /// Bytes that have to be sent to the engine first.
    pub upload: u64,
}

/// A unit that nobody works at yet.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// The unit.
    pub unit: Unit,
    /// It may run on this machine.
    pub here: bool,
    /// It may run on the engine.
    pub there: bool,
}

/// A unit that was sent to the engine.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The unit.
    pub unit: Unit,
    /// How long ago it was sent, the last time.
    pub elapsed: Duration,
    /// It may be started on this machine beside.
    pub here: bool,
    /// It may be sent once more.
    pub again: bool,
}

/// All that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Cores of this machine that nothing runs on.
    pub idle: usize,
    /// What the units that run here are expected to need still, one for each, in any order.
    pub local: &'a [Duration],
    /// What can be begun.
    pub waiting: &'a [Waiting],
    /// What runs on the engine and not here.
    pub sent: &'a [Sent],
    /// How many actions the engine has of us, those that were sent twice counted twice, and those that
    /// run here as well.
    pub in_flight: usize,
    /// What is known of the engine; `None`: it is not to be used now.
    pub fleet: Option<&'a Fleet>,
}

/// What to do next. Numbers are places in the slices of the [`Situation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Move {
    /// Start this waiting unit on an idle core.
    Here(usize),
    /// Send this waiting unit to the engine.
    There(usize),
    /// Start this unit, which was sent, on an idle core as well; whoever ends first wins.
    Overtake(usize),
    /// Send this unit, which was sent, once more, so that another worker gets it.
    Again(usize),
}

/// The next thing to do, if there is one. To be asked again after it was done, whenever something
/// begins to wait or ends, and from time to time while something is with the engine.
#[must_use]
pub fn decide(situation: &Situation<'_>) -> Option<Move> {
    let mut order: Vec<usize> = (0..situation.waiting.len()).collect();
    order.sort_by_key(|i| Reverse(situation.waiting[*i].unit.tail));
    if situation.idle > 0
        && let Some(next) = use_core(situation, &order)
    {
        return Some(next);
    }
    send(situation, &order).or_else(|| send_again(situation))
}

/// Whether the engine starts another action at once.
fn room<'a>(situation: &Situation<'a>) -> Option<&'a Fleet> {
    situation.fleet.filter(|fleet| situation.in_flight < fleet.window())
}

/// What an idle core does.
fn use_core(situation: &Situation<'_>, order: &[usize]) -> Option<Move> {
    // What can run nowhere else first: whatever else takes the core may take it for long.
    let only = |i: &usize| situation.waiting[*i].here && !situation.waiting[*i].there;
    if let Some(only) = order.iter().copied().find(only) {
        return Some(Move::Here(only));
    }
    let next = order.iter().copied().find(|i| situation.waiting[*i].here);
    let late = most_urgent_late(situation, next.is_some());
    if let Some(late) = late
        && next
            .is_none_or(|next| situation.sent[late].unit.tail > situation.waiting[next].unit.tail)
    {
        return Some(Move::Overtake(late));
    }
    let next = next?;
    let waiting = &situation.waiting[next];
    let faster = |fleet: &&Fleet| {
        fleet.expected(&waiting.unit).as_secs_f64() < CLEARLY * waiting.unit.cost.as_secs_f64()
    };
    match room(situation).filter(faster) {
        Some(_) if waiting.there => Some(Move::There(next)),
        _ => Some(Move::Here(next)),
    }
}

/// The unit with the longest tail of those that would end sooner if they were started here now: clearly
/// sooner, where something else waits for the core; at all, where it would lie idle, or if nobody knows when
/// they will end.
fn most_urgent_late(situation: &Situation<'_>, wanted: bool) -> Option<usize> {
    let is_late = |sent: &Sent| {
        let Some(fleet) = situation.fleet else { return sent.here };
        let gain = fleet.gain_here(&sent.unit, sent.elapsed);
        sent.here
            && match wanted {
                true => gain > worth(&sent.unit),
                false => gain > Duration::ZERO || fleet.is_overdue(&sent.unit, sent.elapsed),
            }
    };
    let late = situation.sent.iter().enumerate().filter(|(_, sent)| is_late(sent));
    late.max_by_key(|(i, sent)| (sent.unit.tail, Reverse(*i))).map(|(i, _)| i)
}

/// The first waiting unit that the engine is expected to end before this machine would.
fn send(situation: &Situation<'_>, order: &[usize]) -> Option<Move> {
    let fleet = room(situation)?;
    let mut cores = situation.local.to_vec();
    for i in order {
        let waiting = &situation.waiting[*i];
        // The core that this unit would get when its turn comes here.
        let core = cores.iter_mut().min().filter(|_| waiting.here);
        let here =
            core.as_ref().map_or(Duration::MAX, |core| core.saturating_add(waiting.unit.cost));
        if waiting.there && fleet.expected(&waiting.unit) < here {
            return Some(Move::There(*i));
        }
        if let Some(core) = core {
            *core = here;
        }
    }
    None
}

/// The most urgent action that another worker is expected to end clearly sooner.
fn send_again(situation: &Situation<'_>) -> Option<Move> {
    let fleet = room(situation)?;
    let (taken, seats) = (situation.in_flight, fleet.window());
    let waiting = situation.waiting.iter().map(|waiting| waiting.unit.tail);
    let sent = situation.sent.iter().map(|sent| sent.unit.tail.saturating_sub(sent.elapsed));
    let horizon = waiting.chain(sent).max().unwrap_or_default();
    let gains = |sent: &Sent| {
        let unit = &sent.unit;
        // It should have ended, or the build would wait for it if it got to a slow worker.
        let due = sent.elapsed > fleet.typical(unit);
        let matters = unit.tail + fleet.longest(unit) > horizon;
        let spare = if matters { taken * 10 < seats * 9 } else { taken * 4 < seats * 3 };
        sent.again && (due || spare) && fleet.gain_again(unit, sent.elapsed) > worth(unit)
    };
    let late = situation.sent.iter().enumerate().filter(|(_, sent)| gains(sent));
    late.max_by_key(|(i, sent)| (sent.unit.tail, Reverse(*i))).map(|(i, _)| Move::Again(i))
}

/// What doing a unit twice has to gain.
fn worth(unit: &Unit) -> Duration {
    unit.cost.mul_f64(GAIN).saturating_add(LEAST_GAIN)
}
