//! `larder try`: a project built cold with plain cargo, cold through larder, and warm through
//! larder in a second checkout, side by side.
//!
//! Everything happens in one temporary directory that is removed at the end, also on Ctrl-C:
//!
//! ```text
//! first/NAME      a copy of the project; built with plain cargo, then cold through larder
//! second/NAME     another copy, at another path; built warm
//! store           the store, used by nothing else
//! ```

mod copy;
mod disk;
mod environment;
mod linker;
mod phase;
mod project;
mod report;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use cache_rustc::linker::Linker;
use cache_storage::{DiskOptions, DiskStore};

use crate::commands::why;
use crate::events::{Did, Event, History};
use environment::Environment;
use phase::{Cost, Phases};
use project::Project;
use report::Findings;

/// Room that even a small project needs for two target directories and a store.
const LEAST_ROOM: u64 = 512 << 20;

/// Builds the project at `path` three times and prints what it took; or, with a linker, compares
/// builds that are linked as ever with builds that are linked with this linker.
///
/// # Errors
/// When the project cannot be copied or does not build with plain cargo, when there is no room or no
/// such linker, or when the user interrupts.
pub(crate) fn run(path: &Path, linker: Option<Linker>, cargo_args: &[OsString]) -> Result<()> {
    let path = path.canonicalize().with_context(|| format!("no directory {}", path.display()))?;
    let phases = Phases::new()?;
    let environment = Environment::of(&path)?;
    let project = Project::find(&path, &environment)?;
    let temp = tempfile::Builder::new()
        .prefix("larder-try-")
        .tempdir()
        .context("cannot make a temporary directory; let TMPDIR name another place")?;
    let trial = Trial { phases, environment, project, temp: temp.path(), cargo_args };
    let result = match linker {
        None => trial.run().map(|findings| findings.to_string()),
        Some(linker) => trial.compare(linker).map(|comparison| comparison.to_string()),
    };
    let place = temp.path().to_owned();
    let removed = temp.close();
    let findings = result?;
    say!("{findings}");
    removed.with_context(|| format!("{} could not be removed whole", place.display()))
}

struct Trial<'a> {
    phases: Phases,
    environment: Environment,
    project: Project,
    temp: &'a Path,
    cargo_args: &'a [OsString],
}

/// One checkout and its target directory.
struct Checkout {
    /// Where cargo runs: the project's directory, or the member's in it.
    directory: PathBuf,
    root: PathBuf,
}

impl Checkout {
    fn target(&self) -> PathBuf {
        self.root.join("target")
    }
}

impl Trial<'_> {
    fn run(&self) -> Result<Findings> {
        self.check_room(LEAST_ROOM)?;
        eprintln!("{} with {}", self.project.name(), self.environment.toolchain());
        eprintln!("everything happens in {} and is removed at the end", self.temp.display());
        let first = self.checkout("first", &self.project.root)?;
        self.fetch(&first)?;
        let second = self.checkout("second", &first.root)?;

        let plain = self.phases.time("cold, plain cargo", &mut self.cargo(&first, false))?;
        let plain_target = disk::used(&[first.target()]);
        std::fs::remove_dir_all(first.target()).context("cannot remove the first build")?;
        self.check_room(plain_target * 3)?;

        let cold = self.phases.time("cold, larder", &mut self.cargo(&first, true))?;
        let store = self.temp.join("store");
        let before = disk::used(&[store.clone(), first.target()]);
        let counted = History::read(&store).events.len();
        let warm =
            self.phases.time("warm, larder, second checkout", &mut self.cargo(&second, true))?;
        let after = disk::used(&[store.clone(), first.target(), second.target()]);
        let history = History::read(&store);
        let again = self.phases.output("once more", &mut self.cargo(&second, true))?;
        Ok(Findings {
            costs: [plain, cold, warm],
            events: explained(&history.events, counted, &store),
            plain_target,
            store: disk::used(&[store]),
            with_larder: after,
            second: after.saturating_sub(before),
            fresh: !rebuilt(&again),
        })
    }

    fn checkout(&self, name: &str, from: &Path) -> Result<Checkout> {
        let root = self.temp.join(name).join(self.project.name());
        self.phases.step(&format!("copy to {name}"), || {
            copy::tree(from, &root)?;
            self.project.copy_outer_config(&self.temp.join(name))
        })?;
        Ok(Checkout { directory: root.join(&self.project.member), root })
    }

    /// Downloads dependencies, so that the network is in none of the times.
    fn fetch(&self, checkout: &Checkout) -> Result<()> {
        let fetch = |offline: bool| {
            let mut command = self.environment.cargo(&checkout.directory);
            command.arg("fetch");
            match target_option(self.cargo_args) {
                Some(target) => command.arg("--target").arg(target),
                None => command.args(["--target", self.environment.host()]),
            };
            if offline {
                command.arg("--offline");
            }
            command
        };
        let online = self.phases.output("fetch dependencies", &mut fetch(false));
        if online.is_err() && !self.phases.interrupted() {
            // Without a network, what has been downloaded before may do.
            let offline = self.phases.output("fetch, offline", &mut fetch(true));
            if offline.is_err() {
                online.context("the dependencies cannot be downloaded")?;
            }
            return offline.map(drop);
        }
        online.map(drop)
    }

    fn cargo(&self, checkout: &Checkout, larder: bool) -> std::process::Command {
        let mut command = self.environment.cargo(&checkout.directory);
        if self.cargo_args.first().is_none_or(|arg| arg.as_encoded_bytes().starts_with(b"-")) {
            command.arg("build");
        }
        command.args(self.cargo_args);
        command.env("CARGO_TARGET_DIR", checkout.target());
        command.env("CARGO_NET_OFFLINE", "true");
        if larder {
            self.environment.wrap(&mut command, &self.temp.join("store"));
        }
        command
    }

    fn check_room(&self, needed: u64) -> Result<()> {
        let free = disk::free(self.temp)?;
        ensure!(
            free >= needed,
            "{} has {} free, about {} are needed; let TMPDIR name a place with more room",
            self.temp.display(),
            crate::text::bytes(free),
            crate::text::bytes(needed)
        );
        Ok(())
    }
}

/// The events from `first` on, each miss with its cause as its detail.
fn explained(events: &[Event], first: usize, store: &Path) -> Vec<Event> {
    let store = DiskStore::open(store, DiskOptions::default()).ok();
    let explain = |(at, event): (usize, &Event)| {
        let mut event = event.clone();
        if event.did == Did::Miss {
            event.detail = why::cause(events, at, store.as_ref());
        }
        event
    };
    events.iter().enumerate().skip(first).map(explain).collect()
}

/// The value of `--target` among cargo's arguments.
fn target_option(args: &[OsString]) -> Option<&OsString> {
    args.iter().position(|arg| arg == "--target").and_then(|at| args.get(at + 1))
}

/// Whether cargo says that it compiled anything.
fn rebuilt(stderr: &str) -> bool {
    stderr.lines().map(str::trim_start).any(|line| {
        ["Compiling ", "Checking ", "Documenting "].iter().any(|verb| line.starts_with(verb))
    })
}

/// Fails when a command failed, with what it said.
fn succeed(what: &str, status: std::process::ExitStatus, said: &str) -> Result<()> {
    if !status.success() {
        bail!("{what}: cargo failed ({status}):\n{}", said.trim_end());
    }
    Ok(())
}
