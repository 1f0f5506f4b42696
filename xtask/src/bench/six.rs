//! `cargo xtask bench six`: several checkouts of one project built at once from an empty store, next to
//! what that should cost: one cold build, and the rest of them full hits.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use crate::figures::{factor, median, range, seconds};
use crate::files::remove_tree;
use crate::larder;
use crate::measure::{Cost, measure, measure_all};
use crate::subject::Subject;
use crate::tools::Tool;

/// Checkouts at once.
const CHECKOUTS: usize = 6;
/// What their CPU time may be, over one cold build and [`CHECKOUTS`] full-hit builds.
const AIM: f64 = 1.15;

/// One round.
pub(super) struct Sample {
    /// One checkout, empty store.
    cold: Cost,
    /// Each checkout after the other, from a full store.
    hits: Vec<Cost>,
    /// All at once, empty store.
    together: Cost,
    /// Hits, misses and what passed through when all were built at once.
    served: [Option<u64>; 3],
    /// Misses of the one cold build.
    cold_misses: Option<u64>,
}

impl Sample {
    /// CPU seconds of one cold build and all full hits.
    fn parts(&self) -> f64 {
        cpu(&self.cold) + self.hits.iter().map(cpu).sum::<f64>()
    }

    fn ratio(&self) -> f64 {
        cpu(&self.together) / self.parts()
    }
}

/// Builds `subject` with larder, `runs` times.
///
/// # Errors
/// When a build fails.
pub(super) fn run(
    subject: &Subject,
    tool: &Tool,
    runs: usize,
    scratch: &Path,
) -> Result<Vec<Sample>> {
    let one = |run: usize| -> Result<Sample> {
        eprintln!("{}, round {} of {runs}", subject.title, run + 1);
        let root = scratch.join("six");
        let sample = round(subject, tool, &root)?;
        remove_tree(&root)?;
        Ok(sample)
    };
    (0..runs).map(one).collect()
}

fn round(subject: &Subject, tool: &Tool, root: &Path) -> Result<Sample> {
    let (alone, shared) = (root.join("alone/store"), root.join("together/store"));
    tool.start(&alone)?;
    tool.start(&shared)?;
    let checkout = |group: &str, name: String| -> Result<PathBuf> {
        let path = root.join(group).join(name).join(&subject.name);
        subject.check_out(&path)?;
        Ok(path)
    };
    let build = |path: &Path| -> Result<Cost> {
        let cost = measure(&mut tool.build(path, &alone), || Ok(()), || Ok(()))?.0;
        shown("alone", &cost);
        Ok(cost)
    };
    let cold = build(&checkout("alone", "cold".into())?)?;
    let cold_misses = misses(tool, &alone)?[1];
    let hits = (0..CHECKOUTS)
        .map(|at| build(&checkout("alone", format!("hit{at}"))?))
        .collect::<Result<Vec<_>>>()?;
    let mut commands = (0..CHECKOUTS)
        .map(|at| Ok(tool.build(&checkout("together", format!("checkout{at}"))?, &shared)))
        .collect::<Result<Vec<Command>>>()?;
    let together = measure_all(&mut commands)?;
    shown("at once", &together);
    let served = misses(tool, &shared)?;
    Ok(Sample { cold, hits, together, served, cold_misses })
}

fn shown(what: &str, cost: &Cost) {
    eprintln!("  {what:<8} {:>7.2} s wall {:>7.2} s CPU", cost.wall.as_secs_f64(), cpu(cost));
}

fn misses(tool: &Tool, store: &Path) -> Result<[Option<u64>; 3]> {
    let Some(binary) = tool.larder_binary() else { return Ok([None; 3]) };
    let stats = larder::stats(binary, store)?;
    Ok([stats.hits, stats.misses, stats.uncacheable])
}

/// Prints a table for one subject.
pub(super) fn print(title: &str, samples: &[Sample]) {
    let of = |value: fn(&Sample) -> f64| seconds(median(samples.iter().map(value)));
    println!("\n### {title}: {CHECKOUTS} checkouts at once\n");
    println!("`cargo build`, debug profile, empty store, medians of {}.\n", samples.len());
    println!("| | wall | CPU |\n|---|--:|--:|");
    let (cold, hits) = (of(|sample| wall(&sample.cold)), of(|sample| cpu(&sample.cold)));
    println!("| one checkout, cold | {cold} | {hits} |");
    let hits = (
        of(|sample| sample.hits.iter().map(wall).sum()),
        of(|sample| sample.hits.iter().map(cpu).sum()),
    );
    println!("| {CHECKOUTS} full hits, one after the other | {} | {} |", hits.0, hits.1);
    println!("| cold and full hits | | {} |", of(Sample::parts));
    let together = (of(|sample| wall(&sample.together)), of(|sample| cpu(&sample.together)));
    println!("| **{CHECKOUTS} checkouts at once** | {} | {} |", together.0, together.1);
    let ratios: Vec<f64> = samples.iter().map(Sample::ratio).collect();
    let (least, greatest) = range(&ratios);
    println!(
        "\n- CPU at once over cold and full hits: median {}, between ×{least:.3} and ×{greatest:.3}; the aim is at most ×{AIM}",
        factor(median(ratios), 1.0)
    );
    let shown =
        |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    for sample in samples {
        let [hits, misses, through] = sample.served.map(shown);
        println!(
            "- at once: {misses} misses, {hits} hits, {through} passed through; one cold build has {} misses",
            shown(sample.cold_misses)
        );
    }
}

/// Everything that was measured of one subject.
pub(super) fn json(title: &str, samples: &[Sample]) -> Value {
    let cost = |cost: &Cost| json!({ "wall_s": wall(cost), "cpu_s": cpu(cost) });
    let sample = |sample: &Sample| {
        json!({
            "cold": cost(&sample.cold),
            "hits": sample.hits.iter().map(cost).collect::<Vec<_>>(),
            "together": cost(&sample.together),
            "ratio": sample.ratio(),
            "served": sample.served,
        })
    };
    json!({ "subject": title, "six": samples.iter().map(sample).collect::<Vec<_>>() })
}

fn wall(cost: &Cost) -> f64 {
    cost.wall.as_secs_f64()
}

fn cpu(cost: &Cost) -> f64 {
    cost.cpu.as_secs_f64()
}
