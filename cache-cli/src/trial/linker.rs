//! `larder try --linker`: a project linked with the linker that rustc takes, and with another.
//!
//! Larder only passes the linker on here: nothing is stored, so every build compiles and links. The
//! builds have one checkout and two target directories:
//!
//! ```text
//! first/NAME                 a copy of the project
//! first/NAME/target          linked as ever
//! first/NAME/target-LINKER   linked with the other linker
//! ```

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};

use cache_rustc::linker::{self, Chosen, Linker, Tools};

use super::phase::Cost;
use super::{Checkout, LEAST_ROOM, Trial, disk, report};
use crate::events::{Event, History};
use crate::{text, words};

/// How often each linker builds again, in turn.
const ROUNDS: usize = 5;

/// The kinds of units that a linker makes.
const LINKED: [&str; 6] = ["bin", "test", "build-script", "proc-macro", "cdylib", "dylib"];

/// What the comparison found.
#[derive(Debug)]
pub(super) struct Comparison {
    linker: Linker,
    /// The linker that rustc takes, where it leaves its name.
    usual: Option<String>,
    /// Builds from nothing: linked as ever, and with the linker.
    cold: [Cost; 2],
    /// Builds after the programs' main files were touched, likewise; medians.
    again: [Cost; 2],
    /// Units compiled when building again, and how many of them were linked.
    units: (usize, usize),
    /// Programs and shared libraries that the linker made, of how many.
    made: (usize, usize),
}

impl Trial<'_> {
    /// Builds with both linkers.
    ///
    /// # Errors
    /// When the linker is missing, or as [`Trial::run`].
    pub(super) fn compare(&self, linker: Linker) -> Result<Comparison> {
        let chosen = self.find(linker)?;
        self.check_room(LEAST_ROOM)?;
        eprintln!("{} with {}", self.project.name(), self.environment.toolchain());
        eprintln!("{} is {}", linker.name(), chosen.program.display());
        eprintln!("everything happens in {} and is removed at the end", self.temp.display());
        let checkout = self.checkout("first", &self.project.root)?;
        self.fetch(&checkout)?;

        let sides = [("default", "target".to_owned()), (linker.name(), target(linker))];
        let sides = sides.map(|(name, dir)| (name, checkout.root.join(dir)));
        let mut cold = [Cost::default(); 2];
        for (at, (name, target)) in sides.iter().enumerate() {
            let mut build = self.linked(&checkout, target, name);
            cold[at] = self.phases.time(&format!("cold, {name}"), &mut build)?;
            self.check_room(disk::used(std::slice::from_ref(target)))?;
        }
        let sources = self.main_files(&checkout)?;
        let mut again = [const { Vec::new() }; 2];
        let counted = self.events().len();
        for round in 1..=ROUNDS {
            for (at, (name, target)) in sides.iter().enumerate() {
                touch(&sources)?;
                let mut build = self.linked(&checkout, target, name);
                let step = format!("again, {name}, {round} of {ROUNDS}");
                again[at].push(self.phases.time(&step, &mut build)?);
            }
        }
        let built = self.events().split_off(counted);
        let linked = built.iter().filter(|event| LINKED.contains(&event.kind.as_str())).count();
        let [usual, other] = sides.map(|(_, target)| comments_in(&target));
        Ok(Comparison {
            linker,
            usual: usual.iter().find_map(|comments| linker::name_in(comments)).map(str::to_owned),
            cold,
            again: again.map(median),
            units: (built.len() / ROUNDS / 2, linked / ROUNDS / 2),
            made: (other.iter().filter(|made| linker.signed(made)).count(), other.len()),
        })
    }

    fn find(&self, linker: Linker) -> Result<Chosen> {
        let path = std::env::var_os("PATH");
        let tools = Tools {
            path: path.as_deref(),
            cwd: self.temp,
            home: self.environment.sysroot(),
            host: self.environment.host(),
            state_dir: self.temp,
        };
        linker::choose(linker, &tools)
            .map_err(|missing| anyhow!("{}: {missing}; {}", linker.name(), words::install(linker)))
    }

    /// A build whose links go to this linker and of which nothing is stored.
    fn linked(&self, checkout: &Checkout, target: &Path, linker: &str) -> Command {
        let mut command = self.cargo(checkout, true);
        command.env("CARGO_TARGET_DIR", target);
        command.env("LARDER", "readonly").env("LARDER_LINKER", linker);
        command
    }

    /// The units so far.
    fn events(&self) -> Vec<Event> {
        let all = History::read(&self.temp.join("store")).events;
        all.into_iter().filter(Event::is_unit).collect()
    }

    /// The main files of what the workspace links, or of its libraries when it links nothing.
    fn main_files(&self, checkout: &Checkout) -> Result<Vec<PathBuf>> {
        let metadata = super::project::metadata(&checkout.directory, &self.environment)?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let targets: Vec<_> =
            packages.flat_map(|p| p["targets"].as_array().into_iter().flatten()).collect();
        let of_kind = |kinds: &[&str]| -> Vec<PathBuf> {
            let is_wanted = |target: &&&serde_json::Value| {
                let mut own = target["kind"].as_array().into_iter().flatten();
                own.any(|kind| kind.as_str().is_some_and(|kind| kinds.contains(&kind)))
            };
            let paths = targets.iter().filter(is_wanted).filter_map(|t| t["src_path"].as_str());
            paths.map(PathBuf::from).collect()
        };
        let linked = of_kind(&["bin", "cdylib", "dylib", "test", "bench", "example"]);
        Ok(if linked.is_empty() { of_kind(&["lib", "rlib"]) } else { linked })
    }
}

fn target(linker: Linker) -> String {
    format!("target-{}", linker.name())
}

/// Makes the files look edited.
fn touch(files: &[PathBuf]) -> Result<()> {
    for file in files {
        let touched = File::options().append(true).open(file);
        touched
            .and_then(|touched| touched.set_modified(SystemTime::now()))
            .with_context(|| format!("cannot touch {}", file.display()))?;
    }
    Ok(())
}

/// The comments of each program and shared library below a directory.
fn comments_in(dir: &Path) -> Vec<Vec<String>> {
    let (mut seen, mut pending, mut found) = (HashSet::new(), vec![dir.to_owned()], Vec::new());
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                pending.push(entry.path());
            } else if meta.is_file()
                && meta.permissions().mode() & 0o111 != 0
                && seen.insert((meta.dev(), meta.ino()))
            {
                found.extend(linker::comments(&entry.path()));
            }
        }
    }
    found
}

fn median(mut costs: Vec<Cost>) -> Cost {
    let middle = costs.len() / 2;
    let mut of = |part: fn(&Cost) -> std::time::Duration| {
        costs.sort_by_key(part);
        costs.get(middle).map(part).unwrap_or_default()
    };
    Cost { wall: of(|cost| cost.wall), cpu: of(|cost| cost.cpu) }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.linker.name();
        let usual = match &self.usual {
            Some(usual) => format!("default, {usual}"),
            None => "default".into(),
        };
        let mut rows = vec![["", "wall", "CPU", "speed"].map(str::to_owned).to_vec()];
        for (what, costs) in [("cold", &self.cold), ("again", &self.again)] {
            for (linker, cost) in [usual.as_str(), name].into_iter().zip(costs) {
                rows.push(report::row(&format!("{what}, {linker}"), cost, &costs[0]));
            }
        }
        writeln!(f, "\n{}", text::table(&rows))?;
        let (units, linked) = self.units;
        writeln!(
            f,
            "Again: the main files were touched, {} compiled, {linked} linked; medians of {ROUNDS}",
            text::count(units as u64, "unit")
        )?;
        if linked == 0 {
            writeln!(f, "Nothing was linked again, so there was nothing to gain")?;
        }
        let (made, all) = self.made;
        writeln!(f, "{name} linked {made} of {all} programs and shared libraries")?;
        if made < all {
            writeln!(f, "  the others keep theirs: their flags name a linker, or a target does")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn cost(ms: u64) -> Cost {
        Cost { wall: Duration::from_millis(ms), cpu: Duration::from_millis(ms * 2) }
    }

    #[test]
    fn a_median_is_of_wall_and_of_cpu_time() {
        let mut costs = vec![cost(30), cost(10), cost(20)];
        costs[0].cpu = Duration::from_millis(1);
        let median = median(costs);
        assert_eq!((median.wall.as_millis(), median.cpu.as_millis()), (20, 20));
    }

    #[test]
    fn a_comparison_names_both_linkers_and_what_was_linked() {
        let comparison = Comparison {
            linker: Linker::Wild,
            usual: Some("LLD 22.1.2".into()),
            cold: [cost(10_000), cost(8_000)],
            again: [cost(1_000), cost(500)],
            units: (2, 2),
            made: (3, 4),
        };
        let said = comparison.to_string();
        assert!(said.contains("cold, wild") && said.contains("1.25x"), "{said}");
        assert!(said.contains("again, default, LLD 22.1.2"), "{said}");
        assert!(said.contains("2 units compiled, 2 linked"), "{said}");
        assert!(said.contains("wild linked 3 of 4 programs"), "{said}");
        assert!(!said.contains("nothing to gain"), "{said}");
    }
}
