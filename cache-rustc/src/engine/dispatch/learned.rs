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
use super::Job;

/// Files that were needed are few; a file that has more of them is begun anew.
const MOST: usize = 512;

/// What is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Learned {
    /// Variables that it reads.
    pub(super) env: BTreeSet<String>,
    /// Files that it reads, beyond those one would think of.
    pub(super) files: BTreeSet<PathBuf>,
    /// Files of the system that it reads.
    pub(super) system: BTreeSet<PathBuf>,
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
        self.local.iter().for_each(|why| line("local", why));
        self.cost_us.iter().for_each(|cost| line("cost", &cost.to_string()));
        let _ = path.parent().map_or(Ok(()), fs::create_dir_all);
        let temp = path.with_extension(std::process::id().to_string());
        if fs::write(&temp, text).and_then(|()| fs::rename(&temp, path)).is_err() {
            let _ = fs::remove_file(&temp);
        }
    }

    /// Takes in what a job lacked. Whether anything of it is new.
    pub(super) fn add(&mut self, lacked: &Lacked, job: &Job) -> bool {
        let known = self.clone();
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
}

impl Lacked {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Notes what a unit took.
pub(in super::super) fn note_cost(unit: &Unit, state_dir: &Path, report: &Report) {
    let mut learned = Learned::of(unit, state_dir);
    let cost = report.spans.run_us;
    // A cost that is about the same is not written again.
    let about = |known: u64| known.abs_diff(cost) <= known / 4;
    if cost > 0 && !learned.cost_us.is_some_and(about) {
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
