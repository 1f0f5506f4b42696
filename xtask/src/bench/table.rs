//! The figures of whole builds as a Markdown table and as JSON.

use serde_json::{Value, json};

use super::rounds::{Results, Sample};
use crate::figures::{factor, mebibytes, median, range, seconds};
use crate::measure::Cost;

/// Medians of one tool.
struct Medians {
    cold: (f64, f64),
    hit: Option<(f64, f64)>,
    no_op: f64,
    second_checkout: f64,
}

/// Prints a table for one subject: medians, and factors of plain cargo's medians of the same run.
pub(super) fn print(title: &str, results: &[Results<'_>]) {
    let runs = results.first().map_or(0, |results| results.samples.len());
    println!("\n### {title}\n");
    println!(
        "`cargo build`, debug profile, medians of {runs} taken in turn; factors are of plain cargo, cold.\n"
    );
    println!(
        "| | cold wall | | cold CPU | | full hit wall | | full hit CPU | | no-op wall | disk of a second checkout |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let Some(plain) = results.first().map(medians) else {
        return;
    };
    for results in results {
        let own = medians(results);
        let (wall, cpu) = plain.cold;
        let hit = own.hit.map_or_else(
            || " | | | ".to_owned(),
            |(hit_wall, hit_cpu)| {
                let (wall, cpu) = (factor(hit_wall, wall), factor(hit_cpu, cpu));
                format!("{} | {wall} | {} | {cpu}", seconds(hit_wall), seconds(hit_cpu))
            },
        );
        println!(
            "| {} {} | {} | {} | {} | {} | {hit} | {} | {} |",
            results.tool.name,
            results.tool.version,
            seconds(own.cold.0),
            factor(own.cold.0, wall),
            seconds(own.cold.1),
            factor(own.cold.1, cpu),
            seconds(own.no_op),
            mebibytes(own.second_checkout),
        );
    }
    println!();
    for results in results {
        print_notes(results);
    }
}

fn print_notes(results: &Results<'_>) {
    let name = results.tool.name;
    let cold: Vec<f64> = results.samples.iter().map(|sample| wall(&sample.cold)).collect();
    let (least, greatest) = range(&cold);
    println!("- {name}: cold wall between {} and {}", seconds(least), seconds(greatest));
    if let Some(stats) = results.samples.last().and_then(|sample| sample.stats.as_ref()) {
        let shown =
            |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
        println!(
            "- {name}: full hit with {} hits, {} misses, {} passed through",
            shown(stats.hits),
            shown(stats.misses),
            shown(stats.uncacheable)
        );
    }
    let compiled: usize = results.samples.iter().map(|sample| sample.no_op_compiled).sum();
    if compiled > 0 {
        println!("- {name}: the no-op was none: {compiled} crates compiled");
    }
}

/// Everything that was measured of one subject.
pub(super) fn json(title: &str, results: &[Results<'_>]) -> Value {
    let tools = results.iter().map(|results| {
        let own = medians(results);
        json!({
            "tool": results.tool.name,
            "version": results.tool.version,
            "medians": {
                "cold_wall_s": own.cold.0,
                "cold_cpu_s": own.cold.1,
                "hit_wall_s": own.hit.map(|hit| hit.0),
                "hit_cpu_s": own.hit.map(|hit| hit.1),
                "no_op_wall_s": own.no_op,
                "second_checkout_bytes": own.second_checkout,
            },
            "samples": results.samples.iter().map(sample_json).collect::<Vec<_>>(),
        })
    });
    json!({ "subject": title, "tools": tools.collect::<Vec<_>>() })
}

fn sample_json(sample: &Sample) -> Value {
    let cost = |cost: &Cost| json!({ "wall_s": wall(cost), "cpu_s": cpu(cost) });
    json!({
        "cold": cost(&sample.cold),
        "hit": sample.hit.as_ref().map(cost),
        "no_op": cost(&sample.no_op),
        "no_op_compiled": sample.no_op_compiled,
        "second_checkout_bytes": sample.second_checkout,
        "stats": sample.stats.as_ref().map(|stats| &stats.raw),
    })
}

fn medians(results: &Results<'_>) -> Medians {
    let of = |value: fn(&Sample) -> f64| median(results.samples.iter().map(value));
    let hits: Vec<&Cost> =
        results.samples.iter().filter_map(|sample| sample.hit.as_ref()).collect();
    Medians {
        cold: (of(|sample| wall(&sample.cold)), of(|sample| cpu(&sample.cold))),
        hit: (!hits.is_empty()).then(|| {
            (median(hits.iter().map(|hit| wall(hit))), median(hits.iter().map(|hit| cpu(hit))))
        }),
        no_op: of(|sample| wall(&sample.no_op)),
        second_checkout: of(|sample| bytes(sample.second_checkout)),
    }
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
