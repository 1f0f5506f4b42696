//! One build, from its first event to its last.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use cache_dist::schedule::{Fleet, Move, Ran, Sent, Situation, Unit, Waiting, decide};

use crate::engine::Engine;
use crate::graph::{Graph, Kind};

/// What an action takes beside its run: messages, inputs, outputs.
const OVERHEAD: Duration = Duration::from_millis(150);
/// How often decisions are made though nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// How often a unit is sent at most.
const MOST_TRIES: usize = 3;

/// How a build is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Cores of the local machine.
    pub(crate) cores: usize,
    /// Whether actions may be overtaken and sent twice.
    pub(crate) racing: bool,
}

/// What came of a build.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) time: Duration,
    /// Units that ended here.
    pub(crate) here: usize,
    /// Units that ended on the engine.
    pub(crate) there: usize,
    pub(crate) overtaken: usize,
    pub(crate) again: usize,
    /// The most units that ran here at once.
    pub(crate) most_here: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A unit that runs here has its metadata.
    Metadata(usize),
    EndHere(usize),
    /// A unit, which of its tries, and the worker.
    EndThere(usize, usize, usize),
    Tick,
}

/// A unit as the build goes on.
#[derive(Clone, Debug, Default)]
struct State {
    ready: bool,
    metadata: bool,
    done: bool,
    here: Option<Duration>,
    /// When it was sent, when each of its tries was sent and began, and how much the engine had then.
    sent: Option<Duration>,
    tries: Vec<(Duration, Duration)>,
    in_flight: usize,
}

struct Build<'a> {
    graph: &'a Graph,
    rules: Rules,
    engine: Engine,
    fleet: &'a mut Fleet,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    states: Vec<State>,
    in_flight: usize,
    outcome: Outcome,
}

/// Builds; the fleet learns.
pub(crate) fn build(graph: &Graph, rules: Rules, engine: Engine, fleet: &mut Fleet) -> Outcome {
    let states = vec![State::default(); graph.units.len()];
    let (now, outcome) = (Duration::ZERO, Outcome::default());
    let events = BinaryHeap::from([Reverse((now, Event::Tick))]);
    let mut build =
        Build { graph, rules, engine, fleet, now, events, states, in_flight: 0, outcome };
    build.run();
    build.outcome
}

impl Build<'_> {
    fn run(&mut self) {
        while self.states.iter().any(|state| !state.done) {
            let Some(Reverse((at, event))) = self.events.pop() else { panic!("nothing happens") };
            self.now = at;
            self.happen(event);
            self.wake();
            while let Some(next) = self.next_move() {
                self.make(next);
            }
        }
        self.outcome.time = self.now;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick => self.events.push(Reverse((self.now + TICK, Event::Tick))),
            Event::Metadata(unit) => {
                if self.states[unit].here.is_some() {
                    self.states[unit].metadata = true;
                }
            }
            Event::EndHere(unit) if !self.states[unit].done => {
                self.outcome.here += 1;
                for (sent, _) in &self.states[unit].tries {
                    self.fleet.gave_up(self.graph.units[unit].cost, self.now - *sent);
                }
                self.end(unit);
            }
            Event::EndThere(unit, attempt, worker) if !self.states[unit].done => {
                self.outcome.there += 1;
                self.learn(unit, attempt, worker);
                self.end(unit);
            }
            Event::EndHere(_) | Event::EndThere(..) => {}
        }
    }

    fn learn(&mut self, unit: usize, attempt: usize, worker: usize) {
        let state = &self.states[unit];
        let (sent, begun) = state.tries[attempt];
        let run = (self.now - begun).saturating_sub(OVERHEAD);
        self.fleet.ran(&Ran {
            worker: &format!("worker-{worker}"),
            cost: self.graph.units[unit].cost,
            run,
            total: self.now - sent,
            queued: begun - sent,
            in_flight: state.in_flight,
            ..Ran::default()
        });
        for (i, (sent, _)) in state.tries.iter().enumerate() {
            if i != attempt {
                self.fleet.gave_up(self.graph.units[unit].cost, self.now - *sent);
            }
        }
    }

    /// Whoever was first; all others are stopped.
    fn end(&mut self, unit: usize) {
        let state = &mut self.states[unit];
        (state.done, state.metadata, state.here) = (true, true, None);
        self.in_flight -= self.engine.remove(unit);
        self.start_queued();
    }

    /// Finds what can be begun.
    fn wake(&mut self) {
        for unit in 0..self.states.len() {
            let needs = &self.graph.units[unit].needs;
            let there = |need: &usize| {
                let state = &self.states[*need];
                state.done || (state.metadata && self.graph.is_pipelined(unit, *need))
            };
            if !self.states[unit].ready && needs.iter().all(there) {
                self.states[unit].ready = true;
            }
        }
    }

    fn unit(&self, unit: usize) -> Unit {
        Unit { cost: self.graph.units[unit].cost, tail: self.graph.tails[unit], upload: 0 }
    }

    /// Asks the policy; numbers in the move are units.
    fn next_move(&self) -> Option<Move> {
        let running: Vec<_> = self.states.iter().filter_map(|state| state.here).collect();
        let local: Vec<_> = running.iter().map(|end| end.saturating_sub(self.now)).collect();
        let (mut waiting, mut waits, mut sent, mut sents) = (vec![], vec![], vec![], vec![]);
        for (unit, state) in self.states.iter().enumerate().filter(|(_, state)| !state.done) {
            match state.sent {
                None if state.ready && state.here.is_none() => {
                    let there = self.graph.units[unit].kind != Kind::Run;
                    waiting.push(Waiting { unit: self.unit(unit), here: true, there });
                    waits.push(unit);
                }
                Some(_) if state.here.is_none() && self.rules.racing => {
                    let (here, again) = (true, state.tries.len() < MOST_TRIES);
                    let last = state.tries.last().map_or(self.now, |times| times.0);
                    let elapsed = self.now - last;
                    sent.push(Sent { unit: self.unit(unit), elapsed, here, again });
                    sents.push(unit);
                }
                _ => {}
            }
        }
        let next = decide(&Situation {
            idle: self.rules.cores - running.len(),
            local: &local,
            waiting: &waiting,
            sent: &sent,
            in_flight: self.in_flight,
            fleet: Some(self.fleet),
        })?;
        Some(match next {
            Move::Here(i) => Move::Here(waits[i]),
            Move::There(i) => Move::There(waits[i]),
            Move::Overtake(i) => Move::Overtake(sents[i]),
            Move::Again(i) => Move::Again(sents[i]),
            other => other,
        })
    }

    fn make(&mut self, next: Move) {
        match next {
            Move::Here(unit) => self.start_here(unit),
            Move::Overtake(unit) => {
                self.outcome.overtaken += 1;
                self.start_here(unit);
            }
            Move::There(unit) => self.send(unit),
            Move::Again(unit) => {
                self.outcome.again += 1;
                self.send(unit);
            }
            other => panic!("{other:?} is not known here"),
        }
    }

    fn start_here(&mut self, unit: usize) {
        let recorded = &self.graph.units[unit];
        let end = self.now + recorded.cost;
        self.events.push(Reverse((self.now + recorded.metadata, Event::Metadata(unit))));
        self.events.push(Reverse((end, Event::EndHere(unit))));
        self.states[unit].here = Some(end);
        let running = self.states.iter().filter(|state| state.here.is_some()).count();
        self.outcome.most_here = self.outcome.most_here.max(running);
    }

    fn send(&mut self, unit: usize) {
        self.in_flight += 1;
        let state = &mut self.states[unit];
        state.in_flight = self.in_flight;
        state.tries.push((self.now, self.now));
        state.sent.get_or_insert(self.now);
        self.engine.push((unit, state.tries.len() - 1));
        self.start_queued();
    }

    fn start_queued(&mut self) {
        while let Some(((unit, attempt), worker, run)) =
            self.engine.assign(|unit| self.graph.units[unit].cost)
        {
            self.states[unit].tries[attempt].1 = self.now;
            let end = self.now + OVERHEAD + run;
            self.events.push(Reverse((end, Event::EndThere(unit, attempt, worker))));
        }
    }
}
