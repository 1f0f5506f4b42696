//! The engine: look up, else execute, observe and store.
//!
//! [`Engine::run`] does all of it for one invocation. A build tool that wants the steps apart calls
//! [`Engine::prepare`], [`Engine::look_up`], [`Engine::restore`] and [`Engine::execute`].

mod action;
mod blobs;
mod collect;
mod conservative;
mod depfile;
mod dispatch;
mod edits;
mod execute;
mod facts;
mod fill;
mod flight;
mod guard;
mod jobserver;
mod linker;
mod lookup;
mod miss;
mod observe;
mod place;
mod queue;
mod race;
mod recipe;
mod remap;
mod report;
mod restore;
mod scan;
mod scope;
mod scratch;
mod script;
mod serve;
mod sights;
mod stop;
mod streams;
mod supply;
mod through;
mod tools;
mod unit;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use cache_storage::Store;

pub use action::{Action, Env};
use blobs::Blobs;
pub use dispatch::{
    Dispatched, Dispatcher, Executed, IdleCore, Job, Local, Progress, Sent, Stand, Toolchain,
};
pub use fill::{CargoRun, Filled, Journal, Noted, Start, ToPrime, units_of};
pub use lookup::{Found, Hit};
pub use report::{Change, Laps, Miss, Report, Served, Spans};
pub use restore::RestoreError;
pub use script::{KIND as SCRIPT_KIND, ScriptRequest, ScriptRun, launcher};
use serve::Serving;
pub use streams::{Collected as CollectedStreams, Sink, StdStreams};
pub use supply::{Coming, News, Supplied, Supply};
pub use through::{exec, note};
pub use unit::{Prepared, Request, Through, Unit};

use crate::linker::Linker;

/// How paths get into outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathMode {
    /// Path mappings are added, so outputs are the same in every checkout.
    #[default]
    Portable,
    /// Nothing is added: outputs are bit for bit those of plain cargo, and mostly hold in one
    /// place only.
    Exact,
}

/// What the cache may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Look up and store.
    #[default]
    ReadWrite,
    /// Look up only.
    ReadOnly,
    /// Store only: every unit is compiled and stored anew.
    Refresh,
}

/// How an engine behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the engine keeps what is not a store's: locks, the tracer, memos of toolchains. Shared
    /// by all processes of a machine; may be deleted at any time.
    pub state_dir: PathBuf,
    /// Where the locks of single flight are; [`cache_storage::DiskStore::flights`] is a directory
    /// that the store sweeps.
    pub flights: PathBuf,
    /// How paths get into outputs.
    pub paths: PathMode,
    /// What the cache may do.
    pub mode: Mode,
    /// Whether to trace compilers; without, the conservative rules apply.
    pub trace: bool,
    /// Whether what links (programs, tests, proc macros, shared libraries, build scripts) is looked
    /// up too. Needs the tracer.
    pub links: bool,
    /// Whether this process holds one token of the build's jobserver for each unit that it serves,
    /// as a wrapper does that cargo starts. It is then given back while a unit only waits for the
    /// same action in another process.
    pub job_token: bool,
    /// The program that serves the runs of build scripts. Where one is given, what lies at a
    /// compiled script's output path is a [`launcher`] that starts it.
    pub launcher: Option<PathBuf>,
    /// Packages whose build scripts get no launcher.
    pub no_launcher: Vec<String>,
    /// The linker for what is linked through the usual driver and does not name one itself; `None`
    /// leaves the choice to rustc. When it is missing, that is what happens too.
    pub linker: Option<Linker>,
}

impl Options {
    /// The defaults, with this state directory.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        let state_dir = state_dir.into();
        Self {
            flights: state_dir.join("flights"),
            state_dir,
            paths: PathMode::default(),
            mode: Mode::default(),
            trace: true,
            links: true,
            job_token: false,
            launcher: None,
            no_launcher: Vec::new(),
            linker: None,
        }
    }
}

/// Serves invocations from a store.
#[derive(Debug, Clone)]
pub struct Engine {
    store: Arc<dyn Store>,
    options: Options,
    supply: Option<Arc<dyn Supply>>,
    dispatcher: Option<Arc<dyn Dispatcher>>,
}

/// How an invocation ended, and what became of it.
#[derive(Debug)]
pub struct Finished {
    /// The compiler's exit status; success on a hit.
    pub status: ExitStatus,
    /// What became of it.
    pub report: Report,
}

impl Engine {
    /// An engine on a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, options: Options) -> Self {
        Self { store, options, supply: None, dispatcher: None }
    }

    /// The same, with somewhere to bring outcomes from that the store does not have.
    #[must_use]
    pub fn with_supply(mut self, supply: Arc<dyn Supply>) -> Self {
        self.supply = Some(supply);
        self
    }

    /// The same, with other machines to compile on.
    #[must_use]
    pub fn with_dispatcher(mut self, dispatcher: Arc<dyn Dispatcher>) -> Self {
        self.dispatcher = Some(dispatcher);
        self
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Understands an invocation: a unit to look up, or one to pass through.
    #[must_use]
    pub fn prepare(&self, request: &Request) -> Prepared {
        unit::prepare(request, &self.options, &self.blobs())
    }

    /// Looks a unit up: the newest outcome whose observation holds here.
    #[must_use]
    pub fn look_up(&self, unit: &Unit) -> Found {
        lookup::look_up(unit, self.blobs())
    }

    /// Restores an outcome and replays its streams. Fills the report's spans and bytes.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing was printed, and the unit is to be executed.
    pub fn restore(
        &self,
        unit: &Unit,
        hit: &Hit,
        sink: &dyn Sink,
        report: &mut Report,
    ) -> Result<(), RestoreError> {
        let restored = restore::restore(unit, &hit.outcome, self.blobs(), sink)?;
        report.linked_bytes = restored.linked_bytes;
        report.copied_bytes = restored.copied_bytes;
        report.outcome = Some(hit.outcome.digest());
        report.served = Served::Hit { saved_us: hit.outcome.cost_us };
        Ok(())
    }

    /// Executes a unit, observes it and stores the outcome if it may be.
    ///
    /// # Errors
    /// When the compiler cannot be started.
    pub fn execute(
        &self,
        unit: &Unit,
        why: Miss,
        sink: &dyn Sink,
        report: &mut Report,
    ) -> std::io::Result<ExitStatus> {
        miss::execute(unit, why, self, sink, report)
    }

    /// Serves a unit: looks it up, waits for the same action in another process, restores or
    /// executes.
    ///
    /// # Errors
    /// When the compiler cannot be started.
    pub fn serve(
        &self,
        unit: &Unit,
        sink: &dyn Sink,
        laps: &mut Laps,
        report: &mut Report,
    ) -> std::io::Result<ExitStatus> {
        unit.describe(report);
        report.spans.key_us = laps.lap();
        if self.dispatcher.is_some() {
            dispatch::note_externs(unit, &self.options.state_dir);
        }
        if self.options.mode == Mode::Refresh {
            return self.execute(unit, Miss::Refresh, sink, report);
        }
        let restore = |hit: &Hit| restore::restore(unit, &hit.outcome, self.blobs(), sink);
        let mut serving = Serving { engine: self, action: unit, restore: &restore, laps, report };
        let why = match serving.try_hit() {
            Ok(()) => return Ok(ExitStatus::default()),
            Err(why) => why,
        };
        if edits::is_loop(unit, &self.options.state_dir) {
            // It will not be stored: there is nothing for others to wait for.
            return self.execute(unit, why, sink, report);
        }
        let mut to_execute = match serving.wait(&self.flight_of(unit)) {
            Ok(()) => return Ok(ExitStatus::default()),
            Err(to_execute) => to_execute,
        };
        let status = match to_execute.coming.take() {
            Some(mut coming) => match self.race(unit, &why, sink, &mut *coming, serving.report)? {
                Some(status) => status,
                None if serving.try_hit().is_ok() => {
                    serving.report.supplied = Supplied::Overtook;
                    ExitStatus::default()
                }
                None => self.execute(unit, why, sink, serving.report)?,
            },
            None => match dispatch::execute(unit, &why, self, sink, serving.report)? {
                Some(status) => status,
                None => self.execute(unit, why, sink, serving.report)?,
            },
        };
        if self.dispatcher.is_some() {
            dispatch::note_cost(unit, &self.options.state_dir, report);
        }
        to_execute.done(report);
        Ok(status)
    }

    /// Executes a unit while the supply is at it.
    fn race(
        &self,
        unit: &Unit,
        why: &Miss,
        sink: &dyn Sink,
        coming: &mut dyn Coming,
        report: &mut Report,
    ) -> std::io::Result<Option<ExitStatus>> {
        let status = miss::race(unit, why, self, sink, coming, report)?;
        if status.is_some() {
            report.supplied = Supplied::TooLate;
        }
        Ok(status)
    }

    /// Does everything for one invocation. What cannot be cached is run as a child.
    ///
    /// # Errors
    /// When the compiler cannot be started.
    pub fn run(&self, request: &Request, sink: &dyn Sink) -> std::io::Result<Finished> {
        let mut laps = Laps::start();
        let mut report = Report::default();
        let status = match self.prepare(request) {
            Prepared::Unit(unit) => self.serve(&unit, sink, &mut laps, &mut report)?,
            Prepared::Through(through) => self.pass(&through, request, sink, &mut report)?,
        };
        report.spans.total_us = laps.total();
        Ok(Finished { status, report })
    }

    /// Runs an invocation that is not cached as a child.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn pass(
        &self,
        through: &Through,
        request: &Request,
        sink: &dyn Sink,
        report: &mut Report,
    ) -> std::io::Result<ExitStatus> {
        through::run(through, request, sink, report)
    }

    fn flight_of(&self, unit: &Unit) -> cache_core::Digest {
        let root = unit.place.absolute(&unit.args.input);
        lookup::flight_of(unit, Some(&root), self.blobs())
    }

    fn blobs(&self) -> Blobs<'_> {
        Blobs { store: &*self.store }
    }
}
