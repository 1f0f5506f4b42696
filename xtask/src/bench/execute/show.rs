//! The figures as a Markdown table and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::log::Unit;
use super::{Build, Results};
use crate::figures::{factor, mebibytes, median, seconds};

/// A reason may list hundreds of files.
const MOST_OF_A_REASON: usize = 300;

/// Counts by a word.
type Counts = BTreeMap<String, usize>;

/// Prints the table of one subject, what stayed here and why, and how the outputs compare.
pub(in super::super) fn print(title: &str, results: &Results) {
    println!("\n### {title}, with an engine on this machine\n");
    println!(
        "`cargo build`, debug profile, `CARGO_INCREMENTAL=0`, empty store; factors are of the builds here. \
         CPU time is without the engine's.\n"
    );
    println!(
        "| build | wall | | CPU | compiles there | raced | here | files | inputs up | toolchain up | down | lacked |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let here = results.builds.iter().filter(|build| build.what == "here");
    let here = median(here.map(|build| build.cost.wall.as_secs_f64()));
    for build in &results.builds {
        let wall = build.cost.wall.as_secs_f64();
        let ran = ran(&build.units);
        let of = |word: &str| ran.get(word).copied().unwrap_or(0);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            build.what,
            seconds(wall),
            factor(wall, here),
            seconds(build.cost.cpu.as_secs_f64()),
            of("there"),
            of("raced"),
            of("here"),
            files(&build.units),
            mebibytes(bytes(build, &["uploaded", "bytes"])),
            mebibytes(bytes(build, &["toolchain", "bytes"])),
            mebibytes(bytes(build, &["downloaded"])),
            undeclared(&build.units).len(),
        );
    }
    println!();
    results.builds.iter().for_each(print_notes);
    if let Some(differences) = &results.differences {
        println!(
            "- outputs there and here: {} files the same, {} that differ, besides {} of cargo's notes",
            differences.same,
            differences.made.len(),
            differences.notes.len()
        );
        for path in &differences.made {
            println!("  - {}", path.display());
        }
    }
}

fn print_notes(build: &Build) {
    let what = build.what;
    for (why, count) in stayed(&build.units) {
        println!("- {what}: {count} here: {why}");
    }
    for lacked in undeclared(&build.units) {
        println!("- {what}: lacked at first: {lacked}");
    }
    let Some(agent) = build.engine.as_ref().map(|engine| &engine["agent"]) else { return };
    println!("- {what}: {}", agent["time_us"]);
    println!(
        "- {what}: {} done, {} of them cached, workers {}",
        agent["done"], agent["cached"], agent["workers"]
    );
}

/// A number of what the agent says; 0 where there is none. Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^53")]
fn bytes(build: &Build, path: &[&str]) -> f64 {
    let agent = build.engine.as_ref().map(|engine| &engine["agent"]);
    let number = agent.map(|agent| path.iter().fold(agent, |value, name| &value[name]));
    number.and_then(Value::as_u64).unwrap_or(0) as f64
}

/// Where the units were compiled: `there`, `raced` (begun at both, whoever was first), or `here`.
fn ran(units: &[Unit]) -> Counts {
    let mut counts = Counts::new();
    for unit in units {
        let place = match unit.sent.as_str() {
            "used" => "there",
            "overtook" | "too-late" => "raced",
            _ => "here",
        };
        *counts.entry(place.to_owned()).or_default() += 1;
    }
    counts
}

/// Why units that were to be compiled there were compiled here: the reason without its numbers.
fn stayed(units: &[Unit]) -> Counts {
    let mut counts = Counts::new();
    for why in units.iter().filter_map(|unit| unit.sent.strip_prefix("failed: ")) {
        // Times differ each time.
        let text = why.chars().filter(|c| !c.is_ascii_digit()).take(MOST_OF_A_REASON);
        *counts.entry(text.collect()).or_default() += 1;
    }
    counts
}

/// How many files the units' trees had, the toolchain's not counted.
fn files(units: &[Unit]) -> usize {
    units.iter().map(|unit| unit.files).sum()
}

/// Inputs that were not sent at first. Files of the system are compared, not sent, so they are none.
fn undeclared(units: &[Unit]) -> Vec<String> {
    let lacked = units.iter().flat_map(|unit| {
        let inputs = unit.lacked.iter().filter(|lacked| !lacked.starts_with("system: "));
        // What it lacked to the end, too.
        let to_the_end = unit.sent.strip_prefix("failed: lacks: ");
        let all = inputs.map(String::as_str).chain(to_the_end);
        all.map(|lacked| format!("{} ({}): {lacked}", unit.name, unit.kind))
    });
    lacked.collect()
}

/// Everything that was measured of one subject.
pub(in super::super) fn json(title: &str, results: &Results) -> Value {
    let build = |build: &Build| {
        json!({
            "what": build.what,
            "wall_s": build.cost.wall.as_secs_f64(),
            "cpu_s": build.cost.cpu.as_secs_f64(),
            "compiles": ran(&build.units),
            "files": files(&build.units),
            "stayed": stayed(&build.units),
            "undeclared_inputs": undeclared(&build.units),
            "engine": build.engine.as_ref().map(|engine| &engine["agent"]),
        })
    };
    let differences = results.differences.as_ref().map(|differences| {
        let paths = |paths: &[std::path::PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        json!({
            "same": differences.same,
            "made": paths(&differences.made),
            "notes": paths(&differences.notes),
        })
    });
    json!({
        "subject": title,
        "execute": results.builds.iter().map(build).collect::<Vec<_>>(),
        "differences": differences,
    })
}
