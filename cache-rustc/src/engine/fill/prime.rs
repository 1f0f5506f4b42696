//! Making a checkout that came from the store ready for its first edit.
//!
//! rustc's incremental state cannot be taken from elsewhere (it holds the checkout's path), so the first
//! edit of a restored crate compiles it whole. Who wants to, has that done ahead: when cargo has ended,
//! what was restored and will be compiled incrementally is compiled once more, at the lowest priority,
//! by the command that cargo gave, with the outputs thrown away. What stays is the state that plain cargo
//! would have left.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::Engine;
use super::super::unit::{self, Prepared, Unit};
use super::cargo::CargoRun;
use super::entry::Entry;
use super::journal::Journal;

/// The lowest priority (nice(2)).
const LOWEST: i32 = 19;

/// Variables that lead to the jobserver of the build, which is gone.
const JOBSERVER: [&str; 3] = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"];

/// What of a build came from the store and is compiled incrementally, in the order of its start.
#[derive(Debug, Default)]
pub struct ToPrime {
    units: Vec<Unit>,
}

impl ToPrime {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

impl Engine {
    /// What is to be primed after this build. To be asked before its journal is removed.
    #[must_use]
    pub fn to_prime(&self, cargo: &CargoRun, journal: &Journal) -> ToPrime {
        let units =
            journal.entries().into_iter().filter_map(|entry| self.incremental(cargo, &entry));
        let units: Vec<_> = units.collect();
        // A state's directory is named by the crate and a hash of rustc's own: with one for each unit of
        // that name, there is nothing to do.
        let mut of_name: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for (unit, _) in &units {
            *of_name.entry(state(unit)).or_default() += 1;
        }
        let is_wanted = |unit: &Unit| of_name[&state(unit)] > states(&state(unit));
        let wanted = units.into_iter().filter(|(unit, restored)| *restored && is_wanted(unit));
        ToPrime { units: wanted.map(|(unit, _)| unit).collect() }
    }

    /// Compiles what is to be primed, one unit after the other, with the lowest priority that this process
    /// can have from now on. How many were compiled. What fails is left as it is.
    #[must_use]
    pub fn prime(&self, cargo: &CargoRun, what: &ToPrime) -> usize {
        let one_at_a_time = self.lock_file(&cargo.target(), "prime");
        let Some(_lock) = one_at_a_time.filter(|file| file.try_lock().is_ok()) else { return 0 };
        let _ = rustix::process::nice(LOWEST);
        let done = |unit: &&Unit| self.prime_unit(unit).is_some_and(|status| status.success());
        what.units.iter().filter(done).count()
    }

    /// A unit of a build that is compiled incrementally, and whether it came from the store.
    fn incremental(&self, cargo: &CargoRun, entry: &Entry) -> Option<(Unit, bool)> {
        let super::Start::Compile(request) = entry.start_from(cargo) else { return None };
        let Prepared::Unit(unit) = self.prepare(&request) else { return None };
        unit.args.incremental.is_some().then_some((*unit, entry.restored))
    }

    fn prime_unit(&self, unit: &Unit) -> Option<std::process::ExitStatus> {
        // A checkout that was removed meanwhile must not come back.
        if !unit.out_dir.is_dir() {
            return None;
        }
        let runs = self.options.state_dir.join("runs");
        let scratch = runs.join(format!("prime-{}", std::process::id()));
        fs::create_dir_all(&scratch).ok()?;
        let argv =
            unit::argv(&unit.program, &unit.remap, &unit.linker, &elsewhere(unit, &scratch)?);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).current_dir(&unit.place.cwd).env_clear().envs(&unit.env);
        for name in JOBSERVER {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status();
        let _ = fs::remove_dir_all(&scratch);
        status.ok()
    }
}

/// The unit's arguments with another directory for outputs, which is no part of what rustc compares its
/// state with (`rustc_session::options`: it is not among the tracked ones).
fn elsewhere(unit: &Unit, dir: &Path) -> Option<Vec<OsString>> {
    let mut args = unit.raw_args.clone();
    let at = args.iter().position(|arg| arg == "--out-dir")?;
    *args.get_mut(at + 1)? = dir.into();
    Some(args)
}

/// Where rustc keeps a crate's states, less the hash that ends the name.
fn state(unit: &Unit) -> PathBuf {
    let dir = unit.args.incremental.as_deref().unwrap_or(Path::new(""));
    unit.place.cwd.join(dir).join(format!("{}-", unit.args.crate_name))
}

fn states(begin: &Path) -> usize {
    let name = begin.file_name().unwrap_or(OsStr::new("")).as_bytes();
    let entries = begin.parent().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten();
    // One hash and nothing else: what follows has no hyphen.
    let is_one = |entry: &fs::DirEntry| {
        let found = entry.file_name();
        found.as_bytes().strip_prefix(name).is_some_and(|hash| !hash.contains(&b'-'))
    };
    entries.flatten().filter(is_one).count()
}
