//! `cargo xtask bench edits`: what an edit costs through larder, next to plain cargo.
//!
//! Both have a checkout that is fully built. Then a function body is changed again and again, never
//! to what it was before, and each time both build, in turn. Next the source goes back to its first
//! state, which larder has in its store, and is edited from there. At the end new checkouts are
//! filled from the store, and their first edits are measured.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::source::Edited;
use crate::disk;
use crate::figures::{factor, mebibytes, median, range, seconds};
use crate::measure::{Cost, measure};
use crate::subject::Subject;
use crate::tools::Tool;

/// How often the source goes back to its first state, and how many checkouts are filled.
const ROUNDS: usize = 3;

/// The figures of one subject.
pub(super) struct Results {
    file: PathBuf,
    series: Vec<Series>,
    /// Bytes that the edits added to each target directory, and to the store.
    targets: [u64; 2],
    store: u64,
}

/// The same step, again and again.
struct Series {
    what: &'static str,
    plain: Vec<Cost>,
    larder: Vec<Cost>,
}

impl Series {
    fn new(what: &'static str) -> Self {
        Self { what, plain: Vec::new(), larder: Vec::new() }
    }
}

/// Where one tool works.
struct Place<'a> {
    tool: &'a Tool,
    checkout: PathBuf,
    store: PathBuf,
}

impl Place<'_> {
    fn build(&self, what: &str) -> Result<Cost> {
        self.tool.start(&self.store)?;
        let mut command = self.tool.build(&self.checkout, &self.store);
        let (cost, _) = measure(&mut command, || Ok(()), || self.tool.stop(&self.store))?;
        let (wall, cpu) = (wall(&cost), cpu(&cost));
        eprintln!("  {:<7} {wall:>6.2} s wall {cpu:>6.2} s CPU: {what}", self.tool.name);
        Ok(cost)
    }

    fn target(&self) -> Result<u64> {
        disk::used(&[&self.checkout.join("target")])
    }
}

/// Plain cargo and larder, with the source that both edit.
struct Pair<'a> {
    plain: Place<'a>,
    larder: Place<'a>,
    edited: Edited,
    /// States so far; also decides who begins, as the second finds more in the system's caches.
    number: usize,
}

impl Pair<'_> {
    /// Changes the source in both to a new state and builds.
    fn edit(&mut self, series: &mut Series) -> Result<()> {
        self.number += 1;
        self.change(Some(self.number), series)
    }

    /// Changes the source in both, `None` being its first state, and builds.
    fn change(&self, state: Option<usize>, series: &mut Series) -> Result<()> {
        for place in [&self.plain, &self.larder] {
            self.edited.apply(&place.checkout, state)?;
        }
        if self.number % 2 == 1 {
            series.plain.push(self.plain.build(series.what)?);
            series.larder.push(self.larder.build(series.what)?);
        } else {
            series.larder.push(self.larder.build(series.what)?);
            series.plain.push(self.plain.build(series.what)?);
        }
        Ok(())
    }
}

/// Measures `edits` edits of `file`, a path in the subject, or of its largest source.
///
/// # Errors
/// When a build fails, or the source has no function to change.
pub(super) fn run(
    subject: &Subject,
    tools: [&Tool; 2],
    file: Option<&Path>,
    edits: usize,
    scratch: &Path,
) -> Result<Results> {
    let store = scratch.join("state/store");
    let [plain, larder] = tools.map(|tool| Place {
        tool,
        checkout: scratch.join(tool.name).join(&subject.name),
        store: store.clone(),
    });
    for place in [&plain, &larder] {
        subject.check_out(&place.checkout)?;
        place.build("first build")?;
    }
    let edited = Edited::find(&plain.checkout, file)?;
    let mut pair = Pair { plain, larder, edited, number: 0 };
    let disk = |pair: &Pair<'_>| -> Result<[u64; 3]> {
        Ok([pair.plain.target()?, pair.larder.target()?, disk::used(&[&store])?])
    };
    let before = disk(&pair)?;
    let mut steps = Series::new("an edit");
    for _ in 0..edits {
        pair.edit(&mut steps)?;
    }
    let after = disk(&pair)?;
    let grew = |at: usize| after[at].saturating_sub(before[at]);

    let (mut back, mut next) =
        (Series::new("back to the first state"), Series::new("an edit after that"));
    for _ in 0..ROUNDS {
        pair.change(None, &mut back)?;
        pair.edit(&mut next)?;
    }
    let [first, second] = in_new_checkouts(subject, &mut pair, scratch)?;
    Ok(Results {
        file: pair.edited.file,
        series: vec![steps, back, next, first, second],
        targets: [grew(0), grew(1)],
        store: grew(2),
    })
}

/// The first two edits in checkouts that were filled from the store.
fn in_new_checkouts(subject: &Subject, pair: &mut Pair<'_>, scratch: &Path) -> Result<[Series; 2]> {
    let mut series = [
        Series::new("first edit in a new checkout, filled from the store"),
        Series::new("second edit there"),
    ];
    for round in 0..ROUNDS {
        let checkout = scratch.join(format!("filled{round}")).join(&subject.name);
        subject.check_out(&checkout)?;
        let place = Place { tool: pair.larder.tool, checkout, store: pair.larder.store.clone() };
        place.build("new checkout")?;
        for series in &mut series {
            pair.number += 1;
            pair.edited.apply(&place.checkout, Some(pair.number))?;
            series.larder.push(place.build(series.what)?);
        }
        fs::remove_dir_all(&place.checkout)?;
    }
    Ok(series)
}

/// Prints a table for one subject.
pub(super) fn print(title: &str, results: &Results) {
    println!("\n### {title}: edits of `{}`\n", results.file.display());
    println!(
        "`cargo build`, debug profile, medians; factors are of plain cargo's same step, or else of its edit.\n"
    );
    println!("| | times | cargo wall | CPU | larder wall | | larder CPU | |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let edit = results.series.first().map_or((0.0, 0.0), |series| medians(&series.plain));
    for series in &results.series {
        let (plain, larder) = (medians(&series.plain), medians(&series.larder));
        let none = series.plain.is_empty();
        let shown = |value: f64| if none { String::new() } else { seconds(value) };
        let of = if none { edit } else { plain };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            series.what,
            series.larder.len(),
            shown(plain.0),
            shown(plain.1),
            seconds(larder.0),
            factor(larder.0, of.0),
            seconds(larder.1),
            factor(larder.1, of.1),
        );
    }
    println!();
    if let Some(series) = results.series.first() {
        let pairs = series.plain.iter().zip(&series.larder);
        let ratios: Vec<f64> = pairs.map(|(plain, larder)| cpu(larder) / cpu(plain)).collect();
        let (least, greatest) = range(&ratios);
        let middle = median(ratios);
        println!(
            "- CPU of an edit, pair by pair: median ×{middle:.3}, between ×{least:.3} and ×{greatest:.3}"
        );
    }
    let [plain, larder] = results.targets.map(|grown| mebibytes(bytes(grown)));
    let store = mebibytes(bytes(results.store));
    println!(
        "- disk that the edits took: {plain} of cargo's target directory, {larder} of larder's, {store} of its store"
    );
}

/// Everything that was measured of one subject.
pub(super) fn json(title: &str, results: &Results) -> Value {
    let costs = |costs: &[Cost]| -> Value {
        costs.iter().map(|cost| json!({ "wall_s": wall(cost), "cpu_s": cpu(cost) })).collect()
    };
    let series = |series: &Series| {
        json!({
            "what": series.what,
            "plain": costs(&series.plain),
            "larder": costs(&series.larder),
        })
    };
    json!({
        "subject": title,
        "file": results.file,
        "series": results.series.iter().map(series).collect::<Vec<_>>(),
        "target_bytes": results.targets,
        "store_bytes": results.store,
    })
}

fn medians(costs: &[Cost]) -> (f64, f64) {
    (median(costs.iter().map(wall)), median(costs.iter().map(cpu)))
}

fn wall(cost: &Cost) -> f64 {
    cost.wall.as_secs_f64()
}

fn cpu(cost: &Cost) -> f64 {
    cost.cpu.as_secs_f64()
}

/// Exact up to 2^53 bytes.
#[expect(clippy::cast_precision_loss, reason = "disk sizes are far below 2^53")]
fn bytes(count: u64) -> f64 {
    count as f64
}
