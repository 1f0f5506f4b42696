//! What a trial found, as a person reads it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Cost;
use crate::events::{Did, Event, class};
use crate::{text, words};

/// Everything a trial found.
#[derive(Debug)]
pub(super) struct Findings {
    /// Plain cargo, larder with an empty store, larder in the second checkout.
    pub(super) costs: [Cost; 3],
    /// What became of the second checkout's invocations.
    pub(super) events: Vec<Event>,
    /// Disk use of one target directory of plain cargo.
    pub(super) plain_target: u64,
    /// Of the store, hard links to it not counted again.
    pub(super) store: u64,
    /// Of the store and both target directories.
    pub(super) with_larder: u64,
    /// What the second checkout added.
    pub(super) second: u64,
    /// Whether the next build had nothing to do.
    pub(super) fresh: bool,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", text::table(&self.times()))?;
        self.units(f)?;
        self.disk(f)?;
        let fresh = if self.fresh { "yes, it had nothing to do" } else { "NO, it compiled again" };
        writeln!(f, "Next build in the second checkout fresh: {fresh}")
    }
}

impl Findings {
    fn times(&self) -> Vec<Vec<String>> {
        let [plain, cold, warm] = &self.costs;
        let row = |name: &str, cost: &Cost| row(name, cost, plain);
        let head = ["", "wall", "CPU", "speed"].map(str::to_owned).to_vec();
        vec![
            head,
            row("plain cargo, cold", plain),
            row("larder, empty store", cold),
            row("larder, second checkout", warm),
        ]
    }

    fn units(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<_> = self.events.iter().filter(|event| event.is_unit()).collect();
        let hits = units.iter().filter(|event| event.did == Did::Hit).count();
        writeln!(f, "Second checkout: {hits} of {} units from the store", units.len())?;
        for (kind, (hits, all)) in &by_kind(&units) {
            if *hits > 0 {
                writeln!(f, "  {kind}: {hits} of {all}")?;
            }
        }
        let others = others(&units);
        if !others.is_empty() {
            writeln!(f, "Compiled there:")?;
        }
        for (reason, crates) in others.iter().take(8) {
            let named: Vec<_> = crates.iter().take(3).copied().collect();
            let more = if crates.len() > named.len() { ", …" } else { "" };
            writeln!(f, "  {:>3}  {reason} ({}{more})", crates.len(), named.join(", "))?;
        }
        for fault in self.events.iter().flat_map(|event| &event.faults).take(3) {
            writeln!(f, "  fault: {fault}")?;
        }
        writeln!(f)
    }

    fn disk(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("Two checkouts, plain cargo", self.plain_target * 2),
            ("Two checkouts and the store", self.with_larder),
            ("  the store alone", self.store),
            ("  added by the second checkout", self.second),
        ]
        .map(|(name, bytes)| vec![name.to_owned(), text::bytes(bytes)]);
        writeln!(f, "Disk, hard links counted once:\n{}", text::table(&rows))
    }
}

/// What a build took, and how much faster that is than `base`.
pub(super) fn row(name: &str, cost: &Cost, base: &Cost) -> Vec<String> {
    let (wall, cpu) = (text::duration(cost.wall), text::duration(cost.cpu));
    vec![name.to_owned(), wall, cpu, ratio(base.wall, cost.wall)]
}

/// Hits and units of each kind.
fn by_kind<'e>(units: &[&'e Event]) -> BTreeMap<&'e str, (u64, u64)> {
    let mut kinds = BTreeMap::new();
    for event in units {
        let (hits, all) = kinds.entry(event.kind.as_str()).or_insert((0, 0));
        *hits += u64::from(event.did == Did::Hit);
        *all += 1;
    }
    kinds
}

/// What was compiled: the crates by reason, the most frequent first.
fn others<'e>(units: &[&'e Event]) -> Vec<(String, Vec<&'e str>)> {
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for event in units.iter().filter(|event| event.did != Did::Hit) {
        reasons.entry(reason(event)).or_default().push(&event.crate_name);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, crates)| std::cmp::Reverse(crates.len()));
    reasons
}

fn reason(event: &Event) -> String {
    match (event.did, event.not_stored.as_str()) {
        (Did::Through, _) => words::through(class(&event.why)),
        // Build scripts try out what the compiler can do; failures are not stored.
        (_, "failed") => "did not compile, as in the first checkout".into(),
        _ => event.detail.clone(),
    }
}

/// `5.2x`, how much faster than `plain`.
fn ratio(plain: Duration, other: Duration) -> String {
    if other.is_zero() {
        return String::new();
    }
    format!("{:.2}x", plain.as_secs_f64() / other.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, did: Did, why: &str) -> Event {
        Event {
            crate_name: name.into(),
            kind: if did == Did::Through { "bin" } else { "lib" }.into(),
            did,
            why: why.into(),
            ..Event::default()
        }
    }

    #[test]
    fn findings_name_times_hits_reasons_and_disk() {
        let cost =
            |ms| Cost { wall: Duration::from_millis(ms), cpu: Duration::from_millis(ms * 2) };
        let findings = Findings {
            costs: [cost(10_000), cost(10_100), cost(2_000)],
            events: vec![
                event("", Did::Through, "query"),
                event("serde", Did::Hit, ""),
                event("log", Did::Hit, ""),
                event("app", Did::Through, "links: bin"),
                Event { detail: "x changed".into(), ..event("odd", Did::Miss, "changed") },
            ],
            plain_target: 100 << 20,
            store: 40 << 20,
            with_larder: 130 << 20,
            second: 20 << 20,
            fresh: true,
        };
        let want = "
                            wall      CPU  speed
plain cargo, cold        10.00 s  20.00 s  1.00x
larder, empty store      10.10 s  20.20 s  0.99x
larder, second checkout   2.00 s   4.00 s  5.00x

Second checkout: 2 of 4 units from the store
  lib: 2 of 3
Compiled there:
    1  not cached: what is linked in this way is not cached (bin) (app)
    1  x changed (odd)

Disk, hard links counted once:
Two checkouts, plain cargo       200 MiB
Two checkouts and the store      130 MiB
  the store alone               40.0 MiB
  added by the second checkout  20.0 MiB

Next build in the second checkout fresh: yes, it had nothing to do
";
        assert_eq!(findings.to_string(), want);
    }
}
