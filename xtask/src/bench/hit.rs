//! `cargo xtask bench hit`: what one hit costs, from the start of the wrapper process to its end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::unit;
use crate::build_env::clean_command;
use crate::figures::{median, milliseconds, range};
use crate::files::Scratch;
use crate::larder;
use crate::repo;
use crate::shim;

/// Hits that are not measured.
const WARM_UP: usize = 3;
/// Longer than the coarsest time stamps of a file system in use.
const SETTLING: Duration = Duration::from_secs(3);

/// An invocation as cargo made it, ready to be repeated.
struct Captured {
    arguments: Vec<String>,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

/// Builds the unit once through larder, then repeats its hit `runs` times and prints the times.
///
/// # Errors
/// When a build fails, or what should be a hit is none.
pub(super) fn bench(larder: &Path, runs: usize, keep: bool) -> Result<()> {
    let scratch = Scratch::new("hit", keep)?;
    let project = scratch.path().join("project");
    let store = scratch.path().join("store");
    unit::write(&project)?;
    fs::write(store.with_extension("toml"), "")?;
    let captured = build_and_capture(larder, &project, &store, scratch.path())?;
    let outputs = outputs(&project.join("target/debug/deps"))?;
    ensure!(!outputs.is_empty(), "the unit has no outputs");
    let size: u64 = outputs.iter().map(|path| Ok(path.metadata()?.len())).sum::<Result<u64>>()?;

    // Files written a moment ago have time stamps that cannot be trusted yet: let them age, and let
    // the first hits note their digests, as in any project that is built more than once.
    sleep(SETTLING);
    let log = scratch.path().join("log");
    let mut times = Vec::with_capacity(runs);
    for turn in 0..WARM_UP + runs {
        for output in &outputs {
            fs::remove_file(output).with_context(|| format!("no output {}", output.display()))?;
        }
        let took = repeat(larder, &captured, &log)?;
        if turn < WARM_UP {
            fs::remove_file(&log).context("the wrapper wrote no log")?;
        } else {
            times.push(milliseconds(took));
        }
    }
    for output in &outputs {
        ensure!(output.is_file(), "a hit did not restore {}", output.display());
    }
    let log = fs::read_to_string(&log).context("the wrapper wrote no log")?;
    ensure_hits(&log)?;
    let floor = (0..runs).map(|_| start_time(larder)).collect::<Result<Vec<_>>>()?;
    print(runs, size, &times, &floor, &log);
    Ok(())
}

/// Fails if a line of the log says that its invocation was no hit.
fn ensure_hits(log: &str) -> Result<()> {
    let results = log.split_whitespace().filter_map(|word| word.strip_prefix("result="));
    let others: Vec<&str> = results.filter(|result| *result != "hit").collect();
    ensure!(others.is_empty(), "{} runs were no hits; the log:\n{log}", others.len());
    Ok(())
}

fn build_and_capture(
    larder: &Path,
    project: &Path,
    store: &Path,
    scratch: &Path,
) -> Result<Captured> {
    let record = scratch.join("invocation.json");
    let mut build = clean_command("cargo".as_ref(), project);
    build.args(["build", "--quiet", "--offline"]);
    larder::wrap(&mut build, larder, store);
    build.env("RUSTC_WRAPPER", shim::install_capturing(&scratch.join("shim"))?);
    build.env(shim::LOG, &record).env(shim::NEXT, larder).env(shim::CRATE, unit::CRATE);
    repo::succeed(&mut build)?;
    let record: Value =
        serde_json::from_slice(&fs::read(&record).context("nothing was captured")?)?;
    Ok(Captured {
        arguments: serde_json::from_value(record["arguments"].clone())?,
        directory: serde_json::from_value(record["directory"].clone())?,
        environment: serde_json::from_value(record["environment"].clone())?,
    })
}

/// The files that cargo asked rustc for: `.rlib`, `.rmeta`, `.d`.
fn outputs(deps: &Path) -> Result<Vec<PathBuf>> {
    let mut outputs = Vec::new();
    for entry in fs::read_dir(deps)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_prefix("lib").unwrap_or(&name);
        if name.strip_prefix(unit::CRATE).is_some_and(|rest| rest.starts_with(['-', '.'])) {
            outputs.push(path);
        }
    }
    Ok(outputs)
}

fn repeat(larder: &Path, captured: &Captured, log: &Path) -> Result<Duration> {
    let mut command = Command::new(larder);
    command.args(&captured.arguments).current_dir(&captured.directory);
    command.env_clear().envs(&captured.environment).env("LARDER_LOG", log);
    let began = Instant::now();
    let output = command.output()?;
    let took = began.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

/// A run of the program that does next to nothing: what starting and ending a process costs here.
fn start_time(larder: &Path) -> Result<f64> {
    let began = Instant::now();
    Command::new(larder).arg("--version").output()?;
    Ok(milliseconds(began.elapsed()))
}

fn print(runs: usize, size: u64, times: &[f64], floor: &[f64], log: &str) {
    println!("\n### One hit\n");
    println!(
        "{} externs, {} source files, {:.2} MB of outputs; {runs} runs of the whole process.\n",
        unit::EXTERNS,
        unit::SOURCES,
        f64::from(u32::try_from(size).unwrap_or(u32::MAX)) / 1e6,
    );
    println!("| | min ms | median ms | max ms |\n|---|--:|--:|--:|");
    print_row("whole process", times);
    print_row("`larder --version`", floor);
    // Parts that a hit has no use for, such as running the compiler, are all zero.
    for (part, times) in split(log).into_iter().filter(|(_, times)| range(times).1 > 0.0) {
        print_row(&part, &times);
    }
}

fn print_row(name: &str, times: &[f64]) {
    let (least, greatest) = range(times);
    println!("| {name} | {least:.3} | {:.3} | {greatest:.3} |", median(times.iter().copied()));
}

/// The log's `NAME_us=NUMBER` pairs, as milliseconds by name, in the order of their first line.
fn split(log: &str) -> Vec<(String, Vec<f64>)> {
    let mut parts: Vec<(String, Vec<f64>)> = Vec::new();
    for (key, value) in log.split_whitespace().filter_map(|word| word.split_once('=')) {
        let (Some(name), Ok(micros)) = (key.strip_suffix("_us"), value.parse::<f64>()) else {
            continue;
        };
        match parts.iter_mut().find(|(known, _)| known == name) {
            Some((_, times)) => times.push(micros / 1000.0),
            None => parts.push((name.to_owned(), vec![micros / 1000.0])),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_split_by_part() {
        let log = "unit hit start_us=100 key_us=250 total_us=2000\nunit hit start_us=300 key_us=350 total_us=4000\n";
        let parts = split(log);
        assert_eq!(parts[0], ("start".to_owned(), vec![0.1, 0.3]));
        assert_eq!(parts[2], ("total".to_owned(), vec![2.0, 4.0]));
    }

    #[test]
    fn a_run_that_was_no_hit_is_noticed() {
        assert!(ensure_hits("crate=a result=hit total_us=1\n").is_ok());
        assert!(ensure_hits("crate=a result=hit\ncrate=a result=miss\n").is_err());
    }

    #[test]
    fn a_unit_has_as_many_sources_and_externs_as_it_says() -> Result<()> {
        let directory = tempfile::tempdir()?;
        unit::write(directory.path())?;
        assert_eq!(fs::read_dir(directory.path().join("src"))?.count(), unit::SOURCES);
        let manifest = fs::read_to_string(directory.path().join("Cargo.toml"))?;
        assert_eq!(manifest.matches("path = ").count(), unit::EXTERNS);
        Ok(())
    }
}
