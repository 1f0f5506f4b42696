//! One unit's try to be compiled elsewhere: a job, and a second one if the first lacked something.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::Digest;

use super::super::Engine;
use super::super::scratch::Scratch;
use super::super::supply::{Coming, News};
use super::super::unit::Unit;
use super::check::{Check, Checked, Doubt};
use super::learned::Learned;
use super::{Dispatched, Dispatcher, IdleCore, Job, Local, Progress, job};

/// A crate that lacks something new each time is compiled here.
const ROUNDS: u32 = 4;

/// What other machines had to do with a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    /// They were not asked.
    #[default]
    NotAsked,
    /// Another machine compiled it.
    Used,
    /// Another machine compiled it faster than this one, which was at it too.
    Overtook,
    /// This machine was faster.
    TooLate,
    /// It was to be compiled elsewhere, and was compiled here for this reason: a stable word, with a
    /// detail after a colon.
    Failed(String),
}

type Cancel = Box<dyn Fn() + Send + Sync>;

/// A unit that is compiled elsewhere.
pub(super) struct Attempt<'a> {
    unit: &'a Unit,
    engine: &'a Engine,
    dispatcher: &'a dyn Dispatcher,
    scratch: Scratch,
    dir: PathBuf,
    learned: Learned,
    job: Job,
    dispatched: Box<dyn Dispatched>,
    /// Ends the wait for the job of the current round.
    cancel: Arc<Mutex<Cancel>>,
    cancelled: Arc<AtomicBool>,
    rounds: u32,
    /// What was left out of a job that failed, maybe for that.
    missed: BTreeSet<PathBuf>,
    /// What earlier rounds lacked, for the report.
    pub(super) lacked: Vec<String>,
    /// What came back and may be used.
    pub(super) checked: Option<Checked>,
    /// Why nothing did.
    pub(super) failed: Option<String>,
}

impl<'a> Attempt<'a> {
    /// Sends a unit.
    ///
    /// # Errors
    /// Why it stays here.
    pub(super) fn begin(
        unit: &'a Unit,
        engine: &'a Engine,
        dispatcher: &'a dyn Dispatcher,
    ) -> Result<Self, String> {
        let state_dir = &engine.options().state_dir;
        let learned = Learned::of(unit, state_dir);
        if let Some(why) = &learned.local {
            return Err(format!("known: {why}"));
        }
        // Before anything is read: what changes after this is noticed.
        let scratch = Scratch::new(engine, None, &unit.env)?;
        let dir = scratch.directory();
        fs::create_dir(&dir).map_err(|error| format!("state-dir: {error}"))?;
        let sent = job::of(unit, &learned, state_dir, dir.clone()).and_then(|mut job| {
            job.always = dispatcher.local() == Local::Never;
            job.races = dispatcher.local() == Local::Race;
            let dispatched = dispatcher.dispatch(&job)?;
            Ok((job, dispatched))
        });
        let (job, dispatched) = match sent {
            Ok(sent) => sent,
            Err(why) => {
                let _ = fs::remove_dir_all(&dir);
                return Err(why);
            }
        };
        let cancel = Arc::new(Mutex::new(dispatched.canceller()));
        Ok(Self {
            unit,
            engine,
            dispatcher,
            scratch,
            dir,
            learned,
            job,
            dispatched,
            cancel,
            cancelled: Arc::default(),
            rounds: 1,
            missed: BTreeSet::new(),
            lacked: Vec::new(),
            checked: None,
            failed: None,
        })
    }

    /// The mode of a file that this process makes.
    pub(super) fn mode(&self) -> u32 {
        use std::os::unix::fs::MetadataExt;
        self.scratch.started().map_or(0o644, |marker| marker.mode() & 0o777)
    }

    /// What a core of this machine does that has nothing else to do.
    pub(super) fn idle_core(&mut self) -> IdleCore {
        self.dispatched.idle_core()
    }

    /// How many files were sent along.
    pub(super) fn files(&self) -> u64 {
        self.job.files.len() as u64
    }

    /// Notes why the unit's kind has to be compiled here.
    fn stays(&mut self, why: String) -> News {
        if self.cancelled.load(Ordering::Relaxed) {
            return News::Nothing;
        }
        // What another machine has or had at the moment is no property of the crate.
        let of_the_crate =
            ["environ", "listed", "wrote-elsewhere", "left", "escaped-tracer", "tied"];
        if of_the_crate.iter().any(|word| why.split(':').next() == Some(word)) {
            self.learned.local = Some(why.clone());
            self.learned.keep(self.unit, &self.engine.options().state_dir);
        }
        self.failed = Some(why);
        News::Nothing
    }

    /// Sends it again with what it lacked.
    fn again(&mut self) -> Result<(), String> {
        let state_dir = &self.engine.options().state_dir;
        self.learned.keep(self.unit, state_dir);
        let _ = fs::remove_dir_all(&self.dir);
        fs::create_dir(&self.dir).map_err(|error| format!("state-dir: {error}"))?;
        self.job = job::of(self.unit, &self.learned, state_dir, self.dir.clone())?;
        // It was worth it.
        self.job.always = true;
        self.job.races = self.dispatcher.local() == Local::Race;
        self.dispatched = self.dispatcher.dispatch(&self.job)?;
        *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = self.dispatched.canceller();
        self.rounds += 1;
        Ok(())
    }

    /// Looks at what came back. `None`: it was sent again.
    fn take(&mut self, executed: super::Executed) -> Option<News> {
        let Self { unit, job, engine, scratch, .. } = self;
        let check = Check { unit, job, engine, scratch };
        match check.check(executed) {
            Ok(checked) => {
                if self.learned.spare(self.unit, &checked.unread, &self.missed) {
                    self.learned.keep(self.unit, &self.engine.options().state_dir);
                }
                self.checked = Some(checked);
                Some(News::Here)
            }
            Err(Doubt::Lacks(lacked)) if self.rounds < ROUNDS => {
                if !self.learned.add(&lacked, self.unit, &self.job) {
                    return Some(self.stays(format!("lacks: {lacked:?}")));
                }
                self.lacked.extend(lacked.lines());
                if lacked.pruned {
                    self.missed.clone_from(&self.job.pruned);
                }
                match self.again() {
                    Ok(()) => None,
                    Err(why) => Some(self.stays(why)),
                }
            }
            Err(Doubt::Lacks(lacked)) => Some(self.stays(format!("lacks: {lacked:?}"))),
            Err(Doubt::No(why)) => Some(self.stays(why)),
        }
    }
}

impl Coming for Attempt<'_> {
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn wait(&mut self, limit: Duration) -> News {
        loop {
            let news = match self.dispatched.wait(limit) {
                Progress::NotYet => Some(News::NotYet),
                Progress::Failed(why) => Some(self.stays(why)),
                Progress::Done(executed) => self.take(*executed),
            };
            if let Some(news) = news {
                return news;
            }
        }
    }

    fn choose(&mut self, _: Option<&Digest>) {}

    fn canceller(&self) -> Cancel {
        let (cancel, cancelled) = (self.cancel.clone(), self.cancelled.clone());
        Box::new(move || {
            cancelled.store(true, Ordering::Relaxed);
            cancel.lock().unwrap_or_else(PoisonError::into_inner)();
        })
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
