//! Units that are compiled elsewhere.
//!
//! A unit that misses may be offered to a [`Dispatcher`]: a [`Job`] says everything that the compile
//! needs, in paths of this machine. What comes back is believed only as far as its trace shows that
//! it saw what a compile here would have seen (`check`): then its outputs are put in place, its
//! streams passed on, and the outcome stored as after a run here. In every other case the unit is
//! compiled here, as if nobody had been asked, and what went wrong is remembered (`learned`), so
//! that it goes right the next time or is not tried again.

mod attempt;
mod check;
mod closure;
mod declared;
mod deliver;
mod inputs;
mod job;
mod learned;
mod macros;
mod run;
mod stand;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use attempt::Sent;
pub(super) use check::Checked;
pub(super) use closure::note as note_externs;
pub(super) use learned::note_cost;
pub(super) use run::execute;

/// Compiles units on other machines.
///
/// Nothing here may block for longer than it takes to ask a process on this machine, and nothing may
/// fail: whoever cannot be reached takes no job.
pub trait Dispatcher: Send + Sync + fmt::Debug {
    /// Offers a job.
    ///
    /// # Errors
    /// Why it is not taken: a stable word, with a detail after a colon.
    fn dispatch(&self, job: &Job) -> Result<Box<dyn Dispatched>, String>;

    /// How a build uses this machine beside the others.
    fn local(&self) -> Local;
}

/// A job that was taken. Dropped, it is given up.
pub trait Dispatched: Send {
    /// Waits for news no longer than `limit`.
    fn wait(&mut self, limit: Duration) -> Progress;

    /// This machine has a core for the job, and nothing else to do: whether it is to begin the job as well.
    fn idle_core(&mut self) -> IdleCore {
        IdleCore::Begin
    }

    /// Ends a [`wait`](Self::wait) that goes on in another thread, and gives the job up.
    fn canceller(&self) -> Box<dyn Fn() + Send + Sync>;
}

/// What this machine does while a unit is compiled elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Local {
    /// It compiles the unit too as soon as it has nothing else to do: the first to end wins.
    #[default]
    Race,
    /// It compiles a unit only when that did not work elsewhere.
    Fallback,
    /// As `Fallback`, and every unit is offered, whether that is worth it or not: to see what can be
    /// compiled elsewhere.
    Never,
}

/// What an idle core does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleCore {
    /// It begins the job; the first to end wins.
    Begin,
    /// It is left to others; to be asked again after so long.
    Wait(Duration),
}

/// How a job stands.
#[derive(Debug)]
pub enum Progress {
    /// It ended.
    Done(Box<Executed>),
    /// It will not be done, for this reason: a stable word, with a detail after a colon.
    Failed(String),
    /// It goes on.
    NotYet,
}

/// A compile, for a machine that has nothing but an operating system. All paths are absolute and of
/// this machine. There, either each is found under the same name, or all have one directory before them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Crate name with cargo's extra file name, for people.
    pub unit: String,
    /// The compiler and its arguments.
    pub argv: Vec<String>,
    /// All variables that the compiler sees.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Directories whose names occur in arguments and variables.
    pub roots: BTreeSet<PathBuf>,
    /// Files to be found there.
    pub files: BTreeSet<PathBuf>,
    /// Files that were left out, since the last compile of the kind looked at none of them.
    #[serde(skip)]
    pub pruned: BTreeSet<PathBuf>,
    /// Directories to be found there, whatever is in them.
    pub directories: BTreeSet<PathBuf>,
    /// The compiler.
    pub toolchain: Toolchain,
    /// Files of the system there that must be what they are here, if the result is to count.
    pub system: BTreeSet<PathBuf>,
    /// What the compile leaves.
    pub outputs: Vec<PathBuf>,
    /// Where outputs go. What is in it at the end is reported by name.
    pub out_dir: PathBuf,
    /// The tracer's shared object, to be preloaded.
    pub tracer: PathBuf,
    /// An existing directory, the job's own, for what comes back.
    pub scratch: PathBuf,
    /// Microseconds that the unit took before, here or elsewhere, where that is known.
    pub cost_us: Option<u64>,
    /// Where it stands in its build.
    pub stand: Stand,
    /// It is to be done whether that is worth it or not.
    pub always: bool,
    /// It may be begun here as well.
    pub races: bool,
}

/// Where a unit stands in its build, by names that are the same in each build of the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// The target directory.
    pub target: PathBuf,
    /// The unit's own name; empty where there is none.
    pub name: String,
    /// Names of units that it waits for.
    pub needs: BTreeSet<String>,
}

/// What a job needs of a toolchain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Toolchain {
    /// Its directory.
    pub home: PathBuf,
    /// The compiler's program.
    pub rustc: PathBuf,
    /// The target it runs on.
    pub host: String,
    /// The target it compiles for.
    pub target: String,
    /// Whether its own linkers may be needed.
    pub links: bool,
}

/// What came back of a job, with paths of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// The compiler's exit code.
    pub exit_code: i32,
    /// Its streams, as it wrote them.
    pub stdout: Vec<u8>,
    /// See `stdout`.
    pub stderr: Vec<u8>,
    /// The variables as it saw them.
    pub env: BTreeMap<String, String>,
    /// Whether outputs carry the name of a directory there.
    pub tied: bool,
    /// Outputs that were made, by their place in [`Job::outputs`], and the files (in
    /// [`Job::scratch`]) that they are in.
    pub outputs: BTreeMap<usize, PathBuf>,
    /// The tracer's log, if there is one.
    pub trace: Option<Vec<u8>>,
    /// Names in [`Job::out_dir`] at the end.
    pub left: BTreeSet<Vec<u8>>,
    /// Those of [`Job::system`] that are the same there.
    pub system: BTreeSet<PathBuf>,
    /// Microseconds that the compiler ran, as far as that is known.
    pub run_us: Option<u64>,
    /// Microseconds that it would have run there with nothing beside it, as far as that is known.
    pub alone_us: Option<u64>,
}
