//! A recorded build: units, what they cost, what they wait for.

use std::time::Duration;

use cache_dist::schedule::{Node, tails};

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A library: its metadata is enough for libraries that use it.
    Library,
    /// A program, a proc macro or a build script: it links, and needs whole libraries.
    Linked,
    /// The run of a build script, on this machine only.
    Run,
}

/// A unit as it was recorded, on one core.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) cost: Duration,
    /// From its start to its metadata.
    pub(crate) metadata: Duration,
    pub(crate) kind: Kind,
    pub(crate) needs: Vec<usize>,
}

/// A build, and the tail of each unit.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) units: Vec<Recorded>,
    pub(crate) tails: Vec<Duration>,
}

impl Graph {
    /// `eza` 0.23.5.
    pub(crate) fn eza(cores: u32) -> Self {
        Self::read(include_str!("data/eza.txt"), cores)
    }

    /// This repository.
    pub(crate) fn larder(cores: u32) -> Self {
        Self::read(include_str!("data/larder.txt"), cores)
    }

    /// Reads the recorded lines. What build scripts run for long is a C compiler, on all cores.
    fn read(text: &str, cores: u32) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self::new(lines.map(|line| unit(line, cores)).collect())
    }

    fn new(units: Vec<Recorded>) -> Self {
        let node = |unit: &Recorded| Node { cost: unit.cost, needs: unit.needs.clone() };
        let nodes: Vec<_> = units.iter().map(node).collect();
        Self { tails: tails(&nodes), units }
    }

    /// A workspace so many times as large: each unit as often, but the runs of build scripts.
    pub(crate) fn times(&self, copies: usize) -> Self {
        let own = self.units.len();
        let place = |copy: usize, need: usize| match self.units[need].kind {
            Kind::Run => need,
            _ => copy * own + need,
        };
        let mut units = Vec::new();
        for copy in 0..copies {
            for unit in &self.units {
                let mut unit = unit.clone();
                if copy > 0 && unit.kind == Kind::Run {
                    // It has run: nothing is left of it.
                    (unit.cost, unit.metadata) = Default::default();
                    unit.kind = Kind::Library;
                }
                unit.needs.iter_mut().for_each(|need| *need = place(copy, *need));
                units.push(unit);
            }
        }
        Self::new(units)
    }

    /// The sum of all costs.
    #[cfg(test)]
    pub(crate) fn work(&self) -> Duration {
        self.units.iter().map(|unit| unit.cost).sum()
    }

    /// Whether `user` can begin once the metadata of what it needs is there.
    pub(crate) fn is_pipelined(&self, user: usize, need: usize) -> bool {
        self.units[user].kind == Kind::Library && self.units[need].kind == Kind::Library
    }
}

fn unit(line: &str, cores: u32) -> Recorded {
    let fields: Vec<&str> = line.split(' ').collect();
    let [cost, metadata, kind, _name, needs] = fields[..] else { panic!("{line:?}") };
    let time = |field: &str| Duration::from_millis(field.parse().expect("milliseconds"));
    let kind = match kind {
        "lib" => Kind::Library,
        "run" => Kind::Run,
        _ => Kind::Linked,
    };
    let divisor = if kind == Kind::Run { cores } else { 1 };
    let needs = needs.split(',').filter(|need| *need != "-");
    Recorded {
        cost: time(cost) / divisor,
        metadata: time(metadata) / divisor,
        kind,
        needs: needs.map(|need| need.parse().expect("a line")).collect(),
    }
}
