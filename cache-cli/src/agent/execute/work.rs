//! A job at an engine: sent, sent once more where that helps, and given back to whoever waits for it.

use std::fs;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_dist::schedule::{Ran, Unit};
use cache_dist::{Control, RemoteError};
use cache_rustc::engine::{Executed, Job};
use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::SemaphorePermit;

use super::super::ask::Conversation;
use super::super::protocol::{Came, Reply};
use super::super::remote::locked;
use super::engine::Engine;
use super::worth;

/// How often it is looked whether a job is late.
const LOOK: Duration = Duration::from_millis(100);

/// A job that was sent; it has ended when this is dropped.
struct UnderWay<'e> {
    engine: &'e Engine,
    number: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        locked(&self.engine.underway).end(self.number);
    }
}

impl Engine {
    /// Compiles a unit for whoever asks, as long as they listen.
    ///
    /// # Errors
    /// What the connection says.
    pub(super) async fn execute(
        self: &Arc<Self>,
        job: &Job,
        talk: &mut Conversation,
    ) -> io::Result<()> {
        let known = job.cost_us.map(Duration::from_micros);
        let unit = worth::unit(known, self.tails.of(&job.stand, known));
        let slot = match self.take(job, unit) {
            Ok(slot) => slot,
            Err(why) => {
                locked(&self.figures).refused(&why);
                return talk.say(&Reply::Nothing { why }).await;
            }
        };
        talk.say(&Reply::Done).await?;
        let (began, number) = (Instant::now(), AtomicU64::new(0));
        let mut work = pin!(self.work(job, unit, slot, &number));
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                heard = talk.hear() => {
                    if heard.is_err() {
                        // Dropped with this, the action is given up on the engine too.
                        locked(&self.figures).given_up();
                        locked(&self.worth).fleet.gave_up(cost(job), began.elapsed());
                        return Ok(());
                    }
                    talk.say(&self.core(number.load(Ordering::Relaxed))).await?;
                }
            }
        };
        let came = result
            .map_err(|error| self.reason(&error))
            .and_then(|executed| write(job, executed).map_err(|error| format!("scratch: {error}")));
        let reply = match came {
            Ok(came) => Reply::Executed(Box::new(came)),
            Err(why) => {
                locked(&self.figures).failed(&why);
                Reply::Nothing { why }
            }
        };
        talk.say(&reply).await
    }

    /// What a free core of this machine is to do, which the wrapper of this job has.
    fn core(&self, number: u64) -> Reply {
        let worth = locked(&self.worth);
        let mut underway = locked(&self.underway);
        let begin = underway.overtakes(number, &worth.fleet, Instant::now());
        let wait = if begin { Duration::ZERO } else { underway.pause() };
        Reply::Wait { ms: u64::try_from(wait.as_millis()).unwrap_or(0) }
    }

    /// Sends a job until it has come back once. Whoever is first wins; the others are given up, on the
    /// engine too. Its number is told as soon as it has one.
    async fn work(
        &self,
        job: &Job,
        unit: Unit,
        slot: Option<SemaphorePermit<'_>>,
        told: &AtomicU64,
    ) -> Result<Executed, RemoteError> {
        let slot = match slot {
            Some(slot) => Some(slot),
            // Never closed.
            None => self.slots.acquire().await.ok(),
        };
        let number = locked(&self.underway).begin(unit, job.races, Instant::now());
        let _underway = UnderWay { engine: self, number };
        told.store(number, Ordering::Relaxed);
        let (mut tries, mut sent) = (FuturesUnordered::new(), vec![Instant::now()]);
        tries.push(self.run(job, 0, slot).boxed());
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        loop {
            tokio::select! {
                Some((at, result)) = tries.next() => match result {
                    Ok(executed) => {
                        tries.clear();
                        self.beaten(job, &sent, at);
                        return moved(executed, &job.scratch);
                    }
                    Err(error) if tries.is_empty() => return Err(error),
                    // Another one may still come back.
                    Err(_) => {}
                },
                _ = look.tick() => if let Some(slot) = self.again(number) {
                    tries.push(self.run(job, sent.len(), Some(slot)).boxed());
                    sent.push(Instant::now());
                    locked(&self.figures).sent_again();
                },
            }
        }
    }

    /// Room for sending a job once more, if that is to be done.
    fn again(&self, number: u64) -> Option<SemaphorePermit<'_>> {
        if locked(&self.breaker).open().is_some() {
            return None;
        }
        let (worth, in_flight) = (locked(&self.worth), self.in_flight());
        let mut underway = locked(&self.underway);
        let again = in_flight < worth.at_once()
            && underway.again(number, &worth.fleet, in_flight, Instant::now());
        if again { self.slots.try_acquire().ok() } else { None }
    }

    /// All but one of the times that a job was sent were for nothing.
    fn beaten(&self, job: &Job, sent: &[Instant], winner: usize) {
        let mut worth = locked(&self.worth);
        for (_, sent) in sent.iter().enumerate().filter(|(at, _)| *at != winner) {
            worth.fleet.gave_up(cost(job), sent.elapsed());
        }
    }

    /// Has a job run that was sent so often before.
    async fn run(
        &self,
        job: &Job,
        before: usize,
        _slot: Option<SemaphorePermit<'_>>,
    ) -> (usize, Result<Executed, RemoteError>) {
        (before, self.run_once(job, before).await)
    }

    async fn run_once(&self, job: &Job, before: usize) -> Result<Executed, RemoteError> {
        let (began, in_flight) = (Instant::now(), self.in_flight());
        let executor = self.executor().await?;
        let (executed, spent) = if before == 0 {
            executor.run(job, &Control::new()).await?
        } else {
            let scratch = job.scratch.join(format!("again-{before}"));
            fs::create_dir(&scratch).map_err(|error| local(&scratch, &error))?;
            let job = Job { scratch, ..job.clone() };
            executor.run_again(&job, before, &Control::new()).await?
        };
        let uploaded = (
            spent.uploaded.bytes + spent.toolchain.bytes,
            spent.uploaded.time + spent.toolchain.time,
        );
        // A result of an earlier run tells nothing of now.
        if !spent.cached {
            let alone = Duration::from_micros(executed.alone_us.unwrap_or(0));
            // What it takes there with nothing beside it is the best guess where nothing is known.
            let cost = if job.cost_us.is_some() { cost(job) } else { alone };
            self.tails.of(&job.stand, Some(cost).filter(|cost| !cost.is_zero()));
            locked(&self.worth).fleet.ran(&Ran {
                worker: &spent.worker,
                cost,
                alone,
                run: spent.timings.run.unwrap_or_default(),
                total: began.elapsed(),
                queued: spent.timings.queued.unwrap_or_default(),
                uploaded,
                in_flight,
            });
        }
        locked(&self.figures).done(&spent, began.elapsed());
        locked(&self.breaker).worked();
        Ok(executed)
    }
}

/// Puts outputs where they are looked for: a job that was sent more than once has a directory for each
/// time, since two of them may come back at once.
fn moved(mut executed: Executed, scratch: &Path) -> Result<Executed, RemoteError> {
    for (at, path) in &mut executed.outputs {
        let to = scratch.join(at.to_string());
        if *path != to {
            fs::rename(&*path, &to).map_err(|error| local(path, &error))?;
            *path = to;
        }
    }
    Ok(executed)
}

fn local(path: &Path, error: &io::Error) -> RemoteError {
    RemoteError::Local(format!("{}: {error}", path.display()))
}

/// What a job takes on this machine; nothing when that is not known.
fn cost(job: &Job) -> Duration {
    job.cost_us.map_or(Duration::ZERO, Duration::from_micros)
}

/// Puts what came into files, for the one who asked.
fn write(job: &Job, executed: Executed) -> io::Result<Came> {
    let put = |name: &str, bytes: &[u8]| fs::write(job.scratch.join(name), bytes);
    put("stdout", &executed.stdout)?;
    put("stderr", &executed.stderr)?;
    if let Some(trace) = &executed.trace {
        put("trace", trace)?;
    }
    let names: Vec<_> = executed.left.into_iter().collect();
    put("left", &names.join(&b'\n'))?;
    Ok(Came {
        exit_code: executed.exit_code,
        env: executed.env,
        tied: executed.tied,
        outputs: executed.outputs.into_keys().collect(),
        system: executed.system,
        run_us: executed.run_us,
        alone_us: executed.alone_us,
    })
}
