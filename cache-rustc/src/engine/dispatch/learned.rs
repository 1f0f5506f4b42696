//! What earlier jobs of a crate taught: what has to be sent along, what it takes, or that it has to
//! be compiled here.
//!
//! One small file for each crate and kind of unit, `dispatch-v1/<digest>` in the state directory: a
//! line each, a word and what it is about. One more has what links read of the system, which is the
//! same for most of them. Nothing in it decides whether a result is right.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cache_core::Hasher;

use super::super::report::Report;
use super::super::unit::Unit;
use super::{Job, Sent};

/// Files that were needed are few; a file that has more of them is begun anew.
const MOST: usize = 512;
/// As many as a package may have.
const MOST_UNREAD: usize = 4096;

/// What is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Learned {
    /// Variables that it reads.
    pub(super) env: BTreeSet<String>,
    /// Files that it reads, beyond those one would think of.
    pub(super) files: BTreeSet<PathBuf>,
    /// Files of the system that it reads.
    pub(super) system: BTreeSet<PathBuf>,
    /// Templates of files that were offered and that nothing looked at. They need not be sent.
    pub(super) unread: BTreeSet<String>,
    /// It needs files that nothing is seen to look at, so all are sent.
    pub(super) whole: bool,
    /// Why it has to be compiled here.
    pub(super) local: Option<String>,
    /// Microseconds that it takes.
    pub(super) cost_us: Option<u64>,
}

impl Learned {
    /// What is known of a unit's kind.
    pub(super) fn of(unit: &Unit, state_dir: &Path) -> Self {
        let mut learned = Self::read(&place(unit, state_dir));
        if unit.args.links() {
            learned.system.extend(Self::read(&place_of_links(unit, state_dir)).system);
        }
        learned
    }

    fn read(path: &Path) -> Self {
        let Ok(text) = fs::read_to_string(path) else { return Self::default() };
        let mut learned = Self::default();
        for (word, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "env" => drop(learned.env.insert(rest.to_owned())),
                "file" => drop(learned.files.insert(rest.into())),
                "system" => drop(learned.system.insert(rest.into())),
                "unread" => drop(learned.unread.insert(rest.to_owned())),
                "whole" => learned.whole = true,
                "local" => learned.local = Some(rest.to_owned()),
                "cost" => learned.cost_us = rest.parse().ok(),
                _ => {}
            }
        }
        learned
    }

    /// Writes it down. What is lost is learned again.
    pub(super) fn keep(&self, unit: &Unit, state_dir: &Path) {
        self.write(&place(unit, state_dir));
        if unit.args.links() {
            let path = place_of_links(unit, state_dir);
            let mut all = Self::read(&path);
            let known = all.system.len();
            all.system.extend(self.system.iter().cloned());
            if all.system.len() > known {
                all.write(&path);
            }
        }
    }

    fn write(&self, path: &Path) {
        let mut text = String::new();
        let mut line = |word: &str, rest: &str| {
            if !rest.contains('\n') {
                text += &format!("{word} {rest}\n");
            }
        };
        self.env.iter().take(MOST).for_each(|name| line("env", name));
        let shown = |path: &PathBuf| path.to_str().map(str::to_owned);
        self.files.iter().take(MOST).filter_map(shown).for_each(|path| line("file", &path));
        self.system.iter().take(MOST).filter_map(shown).for_each(|path| line("system", &path));
        self.unread.iter().take(MOST_UNREAD).for_each(|path| line("unread", path));
        self.whole.then_some("yes").iter().for_each(|yes| line("whole", yes));
        self.local.iter().for_each(|why| line("local", why));
        self.cost_us.iter().for_each(|cost| line("cost", &cost.to_string()));
        let _ = path.parent().map_or(Ok(()), fs::create_dir_all);
        let temp = path.with_extension(std::process::id().to_string());
        if fs::write(&temp, text).and_then(|()| fs::rename(&temp, path)).is_err() {
            let _ = fs::remove_file(&temp);
        }
    }

    /// Whether a file need not be sent.
    pub(super) fn spares(&self, unit: &Unit, path: &Path) -> bool {
        !self.whole && self.unread.contains(&unit.place.template(path).to_string())
    }

    /// Takes in what a job that came out well did not look at, after one that failed without these, if
    /// one did. Whether anything of it is new.
    pub(super) fn spare(
        &mut self,
        unit: &Unit,
        unread: &BTreeSet<PathBuf>,
        missed: &BTreeSet<PathBuf>,
    ) -> bool {
        let known = self.unread.len();
        if !missed.is_empty() && missed.is_subset(unread) {
            self.whole = true;
            return true;
        }
        // What once was lacking is sent from then on, or two units of one kind would take turns.
        let unread = unread.iter().filter(|path| !self.files.contains(*path));
        self.unread.extend(unread.map(|path| unit.place.template(path).to_string()));
        self.unread.len() > known
    }

    /// Takes in what a job lacked. Whether anything of it is new.
    pub(super) fn add(&mut self, lacked: &Lacked, unit: &Unit, job: &Job) -> bool {
        let known = self.clone();
        if lacked.pruned {
            self.unread.clear();
        }
        for path in &lacked.files {
            self.unread.remove(&unit.place.template(path).to_string());
        }
        self.env.extend(lacked.env.iter().filter(|name| !job.env.contains_key(*name)).cloned());
        self.files.extend(lacked.files.iter().filter(|path| !job.files.contains(*path)).cloned());
        self.system.extend(lacked.system.iter().cloned());
        *self != known
    }
}

/// What a job lacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lacked {
    /// Variables that are set here.
    pub(super) env: BTreeSet<String>,
    /// Files that are there here.
    pub(super) files: BTreeSet<PathBuf>,
    /// Files of the system of which it was not asked whether they are the same.
    pub(super) system: BTreeSet<PathBuf>,
    /// Nobody knows which of the files that were not sent as nothing had looked at them before.
    pub(super) pruned: bool,
}

impl Lacked {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A line for each thing; one for all files of the system.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let env = self.env.iter().map(|name| format!("env: {name}"));
        let files = self.files.iter().map(|path| format!("file: {}", path.display()));
        let system = self.system.len();
        let system = (system > 0).then(|| format!("system: {system} files to be compared"));
        let pruned = self.pruned.then(|| "pruned: any".to_owned());
        env.chain(files).chain(system).chain(pruned)
    }
}

/// Notes what a unit took on this machine.
pub(in super::super) fn note_cost(unit: &Unit, state_dir: &Path, report: &Report) {
    let here = !matches!(report.sent, Sent::Used | Sent::Overtook);
    if here && report.spans.run_us > 0 {
        note(unit, state_dir, report.spans.run_us, true);
    }
}

/// Notes what a unit took elsewhere, where nothing better is known.
pub(super) fn note_guess(unit: &Unit, state_dir: &Path, cost_us: Option<u64>) {
    if let Some(cost_us) = cost_us {
        note(unit, state_dir, cost_us, false);
    }
}

fn note(unit: &Unit, state_dir: &Path, cost: u64, replaces: bool) {
    let mut learned = Learned::of(unit, state_dir);
    // A cost that is about the same is not written again.
    let about = |known: u64| !replaces || known.abs_diff(cost) <= known / 4;
    if !learned.cost_us.is_some_and(about) {
        learned.cost_us = Some(cost);
        learned.keep(unit, state_dir);
    }
}

fn place_of_links(unit: &Unit, state_dir: &Path) -> PathBuf {
    state_dir.join("dispatch-v1").join(format!("links-{}", unit.host))
}

fn place(unit: &Unit, state_dir: &Path) -> PathBuf {
    let mut report = Report::default();
    unit.describe(&mut report);
    let version = unit.env.get(std::ffi::OsStr::new("CARGO_PKG_VERSION"));
    let mut hasher = Hasher::keyed("larder 2026-11 dispatch v1");
    hasher.field(report.crate_name.as_bytes()).field(report.kind.as_bytes());
    hasher.field(version.map_or(&[][..], |version| version.as_encoded_bytes()));
    state_dir.join("dispatch-v1").join(hasher.finish().to_hex())
}
