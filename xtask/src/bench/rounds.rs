//! Rounds of builds: in each, every tool in turn, from nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::disk;
use crate::files::remove_tree;
use crate::larder::{self, Stats};
use crate::measure::{Cost, measure};
use crate::subject::Subject;
use crate::tools::Tool;

/// All that was measured of one tool.
pub(super) struct Results<'a> {
    pub(super) tool: &'a Tool,
    pub(super) samples: Vec<Sample>,
}

/// One tool in one round.
pub(super) struct Sample {
    /// First checkout, empty store.
    pub(super) cold: Cost,
    /// Second checkout at another path, full store; plain cargo has none.
    pub(super) hit: Option<Cost>,
    /// The same command again.
    pub(super) no_op: Cost,
    /// Crates that the second run compiled after all: none, if all is well.
    pub(super) no_op_compiled: usize,
    /// Bytes that the second checkout's build added to the disk, store included.
    pub(super) second_checkout: u64,
    /// larder's counters over the full hit.
    pub(super) stats: Option<Stats>,
}

/// A tool's directories. The two checkouts lie at paths of different depth and length.
struct Places {
    root: PathBuf,
    store: PathBuf,
    first: PathBuf,
    second: PathBuf,
}

/// Builds `subject` with each of `tools`, `runs` times. The tools take turns within a round, so that
/// a machine that slows down or heats up does so for all of them; who begins changes by the round.
///
/// # Errors
/// When a build fails.
pub(super) fn run<'a>(
    subject: &Subject,
    tools: &'a [Tool],
    runs: usize,
    scratch: &Path,
) -> Result<Vec<Results<'a>>> {
    let mut results: Vec<_> = tools.iter().map(|tool| Results { tool, samples: vec![] }).collect();
    for round in 0..runs {
        for turn in 0..tools.len() {
            let results = &mut results[(round + turn) % tools.len()];
            let (name, title) = (results.tool.name, &subject.title);
            eprintln!("{title}, round {} of {runs}: {name}", round + 1);
            let sample = one(subject, results.tool, scratch)
                .with_context(|| format!("{title} with {name}"))?;
            results.samples.push(sample);
        }
    }
    Ok(results)
}

fn one(subject: &Subject, tool: &Tool, scratch: &Path) -> Result<Sample> {
    let root = scratch.join(tool.name);
    remove_tree(&root)?;
    let places = Places {
        store: root.join("state/store"),
        first: root.join("a").join(&subject.name),
        second: root.join("another/checkout").join(&subject.name),
        root,
    };
    subject.check_out(&places.first)?;
    subject.check_out(&places.second)?;

    let empty = disk::used(&[&places.root])?;
    let (cold, _) = build(tool, &places.first, &places.store)?;
    let full = disk::used(&[&places.root])?;
    if !tool.is_cache() {
        let (no_op, no_op_compiled) = again(tool, &places.first, &places.store)?;
        // Another checkout would take as much again.
        let second_checkout = full.saturating_sub(empty);
        return Ok(Sample { cold, hit: None, no_op, no_op_compiled, second_checkout, stats: None });
    }
    if let Some(binary) = tool.larder_binary() {
        larder::zero_stats(binary, &places.store)?;
    }
    let (hit, _) = build(tool, &places.second, &places.store)?;
    let stats =
        tool.larder_binary().map(|binary| larder::stats(binary, &places.store)).transpose()?;
    let second_checkout = disk::used(&[&places.root])?.saturating_sub(full);
    let (no_op, no_op_compiled) = again(tool, &places.second, &places.store)?;
    remove_tree(&places.root)?;
    Ok(Sample { cold, hit: Some(hit), no_op, no_op_compiled, second_checkout, stats })
}

/// Builds, and says how many crates cargo announced as being compiled.
fn build(tool: &Tool, checkout: &Path, store: &Path) -> Result<(Cost, usize)> {
    let mut command = tool.build(checkout, store);
    let (cost, output) = measure(&mut command, || tool.start(store), || tool.stop(store))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let compiled = said.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count();
    eprintln!("  {:>7.2} s wall {:>7.2} s CPU", cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
    Ok((cost, compiled))
}

fn again(tool: &Tool, checkout: &Path, store: &Path) -> Result<(Cost, usize)> {
    build(tool, checkout, store)
}
