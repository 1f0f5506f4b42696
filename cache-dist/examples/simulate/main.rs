//! What the scheduling policy does to real builds on engines of many workers of different speeds:
//! `cargo xtask simulate`. Deterministic: it prints the same each time.
//!
//! The builds are recorded ones (`data/`). The policy is `cache_dist::schedule`, the same code that
//! decides in a real build. Modelled are: the local cores; libraries that need only the metadata of
//! others, which comes early from a unit that runs here and with all else from the engine; an engine
//! that gives actions in the order of their coming to any idle worker, at random; 150 ms beside an
//! action's run; runs that take up to a tenth more or less than they should. Not modelled: uploads,
//! cargo's limit on jobs, memory, and cores that get slower when all are busy.

mod build;
mod engine;
mod graph;
#[cfg(test)]
mod tests;

use std::time::Duration;

use build::{Outcome, Rules, build};
use cache_dist::schedule::Fleet;
use engine::{Engine, mixed, without_slow};
use graph::Graph;

const FLEETS: [usize; 3] = [16, 64, 256];
/// Builds of each kind, with other workers and other luck.
const SEEDS: u64 = 9;

fn main() {
    println!("Medians of {SEEDS} builds, after one to learn from; seconds.");
    println!(
        "| build | cores here | workers | slow ones absent | 1 in 8 slow | | not racing | | overtaken, sent again |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for cores in [2, 8] {
        let larder = Graph::larder(cores);
        let large = larder.times(8);
        for (name, graph) in [("eza", Graph::eza(cores)), ("larder", larder), ("larder × 8", large)]
        {
            table(name, &graph, cores);
        }
    }
}

/// The lines about one build with so many local cores.
fn table(name: &str, graph: &Graph, cores: u32) {
    let racing = Rules { cores: usize::try_from(cores).unwrap_or(1), racing: true };
    let patient = Rules { racing: false, ..racing };
    let alone = seconds(run(graph, racing, |_| Vec::new()).time);
    println!("| {name} | {cores} | none | {alone:.1} | | | | | |");
    for workers in FLEETS {
        let absent = run(graph, racing, |seed| without_slow(&mixed(workers, seed)));
        let raced = run(graph, racing, |seed| mixed(workers, seed));
        let patient = run(graph, patient, |seed| mixed(workers, seed));
        let more = |outcome: &Outcome| (seconds(outcome.time) / seconds(absent.time) - 1.0) * 100.0;
        println!(
            "| {name} | {cores} | {workers} | {:.1} | {:.1} | {:+.0} % | {:.1} | {:+.0} % | {}, {} |",
            seconds(absent.time),
            seconds(raced.time),
            more(&raced),
            seconds(patient.time),
            more(&patient),
            raced.overtaken,
            raced.again,
        );
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The median build with the workers of each seed.
fn run(graph: &Graph, rules: Rules, speeds: impl Fn(u64) -> Vec<f64>) -> Outcome {
    let one = |seed: u64| {
        let mut fleet = Fleet::new(Duration::from_millis(150));
        build(graph, rules, Engine::new(speeds(seed), seed), &mut fleet);
        build(graph, rules, Engine::new(speeds(seed), seed + 1000), &mut fleet)
    };
    let mut outcomes: Vec<Outcome> = (1..=SEEDS).map(one).collect();
    outcomes.sort_by_key(|outcome| outcome.time);
    outcomes[outcomes.len() / 2]
}
