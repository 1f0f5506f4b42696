//! `cargo xtask bench remote` and `bench faults`: builds that share an S3 server (SeaweedFS), over a link
//! that is fast, ordinary, or bad, and what goes over it.

mod http;
mod link;
mod places;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::figures::{factor, mebibytes, median, range, seconds};
use crate::measure::Cost;
use crate::servers::Servers;
use crate::subject::Subject;
use crate::tools::Tool;
use link::{Conditions, Link, Traffic};
use places::Places;

/// An ordinary link: 100 Mbit/s and 30 ms.
const ORDINARY: Conditions = Conditions {
    round_trip: Duration::from_millis(30),
    rate: Some(12_500_000),
    failing: 0,
    hangs: false,
};

/// One way to build, and what it took.
pub(super) struct Row {
    what: String,
    costs: Vec<Cost>,
    /// Of the last run.
    traffic: Option<Traffic>,
}

impl Row {
    fn wall(&self) -> f64 {
        median(self.costs.iter().map(|cost| cost.wall.as_secs_f64()))
    }

    fn cpu(&self) -> f64 {
        median(self.costs.iter().map(|cost| cost.cpu.as_secs_f64()))
    }
}

/// A server behind a link.
struct Shared {
    link: Link,
    _servers: Servers,
}

impl Shared {
    fn start() -> Result<Self> {
        let servers = Servers::only_s3()?;
        let address = servers.address("LARDER_TEST_S3").context("there is no S3 server")?;
        let link = Link::to(address.trim_start_matches("http://"))?;
        Ok(Self { link, _servers: servers })
    }
}

/// Builds `subject` cold with each of `tools`, which fills the bucket, and then `runs` times as a machine
/// that has nothing but the bucket, over a fast link and an ordinary one.
///
/// # Errors
/// When a server cannot be had, or a build fails.
pub(super) fn run(
    subject: &Subject,
    tools: &[Tool],
    runs: usize,
    scratch: &Path,
) -> Result<Vec<Row>> {
    let shared = Shared::start()?;
    let mut rows = Vec::new();
    for tool in tools {
        let name = tool.name;
        let tool = places::remote(tool, shared.link.port());
        let mut places = Places::new(subject, scratch, name);
        eprintln!("{} with {name}", subject.title);
        let cold = places.first(&tool, &shared.link)?;
        let what = if tool.is_cache() { "cold, then uploads" } else { "cold" };
        rows.push(row(name, what, vec![cold], tool.is_cache().then(|| shared.link.traffic())));
        if !tool.is_cache() {
            continue;
        }
        if tool.larder_binary().is_some() {
            let local = (0..runs).map(|_| places.local_hit(&tool)).collect::<Result<_>>()?;
            rows.push(row(name, "full hit, own store", local, None));
        }
        for (what, conditions) in [
            ("full hit, bucket", Conditions::default()),
            ("full hit, bucket, 100 Mbit/s, 30 ms", ORDINARY),
        ] {
            let mut costs = Vec::new();
            for _ in 0..runs {
                shared.link.set(conditions);
                costs.push(places.other_machine(&tool)?);
            }
            rows.push(row(name, what, costs, Some(shared.link.traffic())));
        }
    }
    Ok(rows)
}

/// Builds `subject` with larder from an empty store, `runs` times next to each kind of bad remote, and as
/// often with cargo alone, in turn.
///
/// # Errors
/// When a server cannot be had, or a build fails.
pub(super) fn faults(
    subject: &Subject,
    [plain, larder]: [&Tool; 2],
    runs: usize,
    scratch: &Path,
) -> Result<Vec<Row>> {
    let shared = Shared::start()?;
    let mut places = Places::new(subject, scratch, larder.name);
    // The bucket has all of it.
    places.first(&places::remote(larder, shared.link.port()), &shared.link)?;
    let (port, fine) = (shared.link.port(), Conditions::default());
    let kinds = [
        ("1 Mbit/s", port, Conditions { rate: Some(125_000), ..fine }),
        ("2 s", port, Conditions { round_trip: Duration::from_secs(2), ..fine }),
        ("30 % errors", port, Conditions { failing: 3, ..fine }),
        ("hangs", port, Conditions { hangs: true, ..fine }),
        ("unreachable", places::closed_port()?, fine),
    ];
    let mut rows = vec![row("cargo", "no cache", vec![], None)];
    rows.extend(kinds.iter().map(|(what, ..)| row("larder", what, vec![], None)));
    for round in 0..runs {
        eprintln!("{}, round {} of {runs}", subject.title, round + 1);
        rows[0].costs.push(places.other_machine(plain)?);
        for ((_, port, conditions), row) in kinds.iter().zip(&mut rows[1..]) {
            shared.link.set(*conditions);
            row.costs.push(places.other_machine(&places::remote(larder, *port))?);
            row.traffic = Some(shared.link.traffic());
        }
    }
    Ok(rows)
}

fn row(tool: &str, what: &str, costs: Vec<Cost>, traffic: Option<Traffic>) -> Row {
    Row { what: format!("{tool}: {what}"), costs, traffic }
}

/// Prints a table for one subject; factors are of the first row.
pub(super) fn print(title: &str, rows: &[Row]) {
    println!("\n### {title}, shared through S3\n");
    println!("`cargo build`, debug profile, medians; traffic is that of one build.\n");
    println!("| | runs | wall | | CPU | requests | up | down |\n|---|--:|--:|--:|--:|--:|--:|--:|");
    let Some(first) = rows.first().map(Row::wall) else { return };
    for row in rows {
        let traffic = row.traffic.map_or_else(
            || " | | ".to_owned(),
            |traffic| {
                let [up, down] = [traffic.up, traffic.down].map(|bytes| mebibytes(bytes as f64));
                format!("{} | {up} | {down}", traffic.requests)
            },
        );
        println!(
            "| {} | {} | {} | {} | {} | {traffic} |",
            row.what,
            row.costs.len(),
            seconds(row.wall()),
            factor(row.wall(), first),
            seconds(row.cpu()),
        );
    }
    println!();
    for row in rows.iter().filter(|row| row.costs.len() > 1) {
        let walls: Vec<f64> = row.costs.iter().map(|cost| cost.wall.as_secs_f64()).collect();
        let (least, greatest) = range(&walls);
        println!("- {}: between {} and {}", row.what, seconds(least), seconds(greatest));
    }
}

/// Everything that was measured of one subject.
pub(super) fn json(title: &str, rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let cost = |cost: &Cost| json!({ "wall_s": cost.wall.as_secs_f64(), "cpu_s": cost.cpu.as_secs_f64() });
        json!({
            "what": row.what,
            "runs": row.costs.iter().map(cost).collect::<Vec<_>>(),
            "requests": row.traffic.map(|traffic| traffic.requests),
            "up_bytes": row.traffic.map(|traffic| traffic.up),
            "down_bytes": row.traffic.map(|traffic| traffic.down),
        })
    };
    json!({ "subject": title, "remote": rows.iter().map(row).collect::<Vec<_>>() })
}
