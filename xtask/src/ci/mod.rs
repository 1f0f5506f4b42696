//! `cargo xtask ci`: every check, in order, each named and timed.

mod fuzz;
mod package;
mod sizes;
mod steps;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lexopt::{Arg, ValueExt};

use crate::figures::seconds;
use steps::{STEPS, Step};

/// How a step ended, short of failing.
enum Done {
    Passed,
    /// Not possible here, and why.
    Skipped(String),
}

/// Runs all steps, or those named, and goes on after a failure so that one run shows them all.
///
/// # Errors
/// On bad usage.
pub(crate) fn main(mut arguments: lexopt::Parser) -> Result<ExitCode> {
    let mut wanted: Vec<&Step> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("list") => {
                STEPS.iter().for_each(|step| println!("{:8} {}", step.name, step.what));
                return Ok(ExitCode::SUCCESS);
            }
            Arg::Value(name) => wanted.push(find(&name.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    if wanted.is_empty() {
        wanted.extend(STEPS);
    }
    let results: Vec<_> = wanted.into_iter().map(run).collect();
    Ok(if summarise(&results) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn find(name: &str) -> Result<&'static Step> {
    match STEPS.iter().find(|step| step.name == name) {
        Some(step) => Ok(step),
        None => bail!("no step {name:?}; `cargo xtask ci --list` names them"),
    }
}

fn run(step: &Step) -> (&'static str, Result<Done>, Duration) {
    println!("\n=== {}: {}", step.name, step.what);
    let began = Instant::now();
    let result = (step.run)();
    let took = began.elapsed();
    match &result {
        Ok(Done::Passed) => {}
        Ok(Done::Skipped(why)) => println!("skipped: {why}"),
        Err(error) => println!("FAILED: {error:#}"),
    }
    (step.name, result, took)
}

/// Prints one line a step and a closing line; true if none failed.
fn summarise(results: &[(&'static str, Result<Done>, Duration)]) -> bool {
    println!();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, result, took) in results {
        let (word, count) = match result {
            Ok(Done::Passed) => ("passed", &mut passed),
            Ok(Done::Skipped(_)) => ("skipped", &mut skipped),
            Err(_) => ("FAILED", &mut failed),
        };
        *count += 1;
        println!("{name:8} {word:8} {:>10}", seconds(took.as_secs_f64()));
    }
    println!("steps: {passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}
