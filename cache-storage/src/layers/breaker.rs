//! A circuit breaker: leaves a store alone that does not answer.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};

use super::Clock;
use super::support::{SourceFault, locked, watched};
use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};

/// When to leave a store alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// So many transient errors among the last [`window`](Self::window) calls open the circuit.
    pub failures: u32,
    /// How many calls are looked back upon; at most 64.
    pub window: u32,
    /// How long nobody is let through after that; doubled by each probe that fails.
    pub cooldown: Duration,
    /// The longest it becomes.
    pub longest_cooldown: Duration,
}

impl Default for BreakerOptions {
    /// Five of ten; five seconds, growing to two minutes.
    fn default() -> Self {
        Self {
            failures: 5,
            window: 10,
            cooldown: Duration::from_secs(5),
            longest_cooldown: Duration::from_secs(120),
        }
    }
}

/// What a breaker is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Circuit {
    /// Everything passes.
    Closed,
    /// Nothing passes for this much longer.
    Open(Duration),
    /// One call passes, as a probe; its outcome closes the circuit or opens it again.
    HalfOpen,
}

/// A breaker's state, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerSnapshot {
    /// What it is doing.
    pub circuit: Circuit,
    /// How often it has opened.
    pub opened: u64,
    /// How many calls it has refused.
    pub refused: u64,
    /// The transient error met last.
    pub last_error: Option<String>,
}

/// Counts transient errors ([`StoreError::is_transient`]), those of deadlines inside included. When
/// there are too many it *opens*: calls fail at once with [`StoreError::Unavailable`] and ask
/// nobody. After a while it is *half-open*: one call at a time passes as a probe. A probe that is
/// answered closes it; one that fails opens it for twice as long. One that is dropped says nothing,
/// and the next call is the probe.
///
/// Absent, conflict and refusal are answers: they count as success. So does a write that failed
/// because of the bytes it was given. Calls that began before the state last changed no longer
/// count.
#[derive(Debug)]
pub struct Breaker {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    options: BreakerOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Grows with each change of phase.
    generation: u64,
    /// The cooldown of the next opening.
    cooldown: Duration,
    opened: u64,
    refused: u64,
    last_error: Option<String>,
}

#[derive(Debug)]
enum Phase {
    /// The last calls, newest in the lowest bit: 1 for a failure.
    Closed {
        recent: u64,
    },
    Open {
        until: Duration,
    },
    HalfOpen {
        probing: bool,
    },
}

impl Breaker {
    /// `inner`, with its circuit closed.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>, options: BreakerOptions) -> Self {
        let state = Mutex::new(State {
            phase: Phase::Closed { recent: 0 },
            generation: 0,
            cooldown: options.cooldown,
            opened: 0,
            refused: 0,
            last_error: None,
        });
        Self { inner, clock, options, state }
    }

    /// What it is doing and has done.
    #[must_use]
    pub fn snapshot(&self) -> BreakerSnapshot {
        let state = locked(&self.state);
        let now = self.clock.now();
        let circuit = match state.phase {
            Phase::Closed { .. } => Circuit::Closed,
            Phase::Open { until } if now < until => Circuit::Open(until.saturating_sub(now)),
            Phase::Open { .. } | Phase::HalfOpen { .. } => Circuit::HalfOpen,
        };
        BreakerSnapshot {
            circuit,
            opened: state.opened,
            refused: state.refused,
            last_error: state.last_error.clone(),
        }
    }

    /// Lets a call through, or not.
    fn admit(&self) -> Result<Ticket<'_>> {
        let mut state = locked(&self.state);
        let now = self.clock.now();
        if let Phase::Open { until } = state.phase
            && now >= until
        {
            state.change(Phase::HalfOpen { probing: false });
        }
        match &mut state.phase {
            Phase::Closed { .. } => {}
            Phase::HalfOpen { probing } if !*probing => *probing = true,
            Phase::HalfOpen { .. } | Phase::Open { .. } => {
                state.refused += 1;
                let last = state.last_error.as_deref().unwrap_or("it failed too often");
                return Err(StoreError::Unavailable(format!("not asked for a while: {last}")));
            }
        }
        Ok(Ticket { breaker: self, generation: state.generation, open: true })
    }

    fn settle(&self, generation: u64, error: Option<&StoreError>) {
        let error = error.filter(|error| error.is_transient());
        let mut state = locked(&self.state);
        if let Some(error) = error {
            state.last_error = Some(error.to_string());
        }
        if state.generation != generation {
            return;
        }
        match (&mut state.phase, error) {
            (Phase::Closed { recent }, error) => {
                let kept = u64::MAX >> (64 - self.options.window.clamp(1, 64));
                *recent = (*recent << 1 | u64::from(error.is_some())) & kept;
                if error.is_some() && recent.count_ones() >= self.options.failures {
                    self.open(&mut state);
                }
            }
            (Phase::HalfOpen { .. }, Some(_)) => self.open(&mut state),
            (Phase::HalfOpen { .. }, None) => {
                state.cooldown = self.options.cooldown;
                state.change(Phase::Closed { recent: 0 });
            }
            (Phase::Open { .. }, _) => {}
        }
    }

    fn open(&self, state: &mut State) {
        let until = self.clock.now() + state.cooldown;
        state.cooldown = (state.cooldown * 2).min(self.options.longest_cooldown);
        state.opened += 1;
        state.change(Phase::Open { until });
    }

    /// A call's answer, its outcome counted.
    async fn call<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let ticket = self.admit()?;
        let answer = answer.await;
        ticket.settle(answer.as_ref().err());
        answer
    }
}

impl State {
    fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

/// A call that was let through and whose outcome is still to be counted.
struct Ticket<'a> {
    breaker: &'a Breaker,
    generation: u64,
    open: bool,
}

impl Ticket<'_> {
    fn settle(mut self, error: Option<&StoreError>) {
        self.open = false;
        self.breaker.settle(self.generation, error);
    }
}

impl Drop for Ticket<'_> {
    /// A call that was given up: if it was the probe, another may be.
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let mut state = locked(&self.breaker.state);
        if state.generation == self.generation
            && let Phase::HalfOpen { probing } = &mut state.phase
        {
            *probing = false;
        }
    }
}

#[async_trait]
impl Store for Breaker {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.call(self.inner.get_record(key)).await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        self.call(self.inner.put_record(key, bytes, expected)).await
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.call(self.inner.list_records()).await
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.call(self.inner.delete_record(key)).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.call(self.inner.contains_blobs(digests)).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let ticket = self.admit()?;
        let SizedBlob { size, bytes } = match self.inner.read_sized_blob(digest).await {
            Ok(blob) => blob,
            Err(error) => {
                ticket.settle(Some(&error));
                return Err(error);
            }
        };
        // The call is over when its bytes are: a server that only begins to answer is not well.
        let mut ticket = Some(ticket);
        let bytes = watched(bytes, move |item| {
            let over = item.is_none_or(Result::is_err);
            if let Some(ticket) = ticket.take_if(|_| over) {
                ticket.settle(item.and_then(|item| item.as_ref().err()));
            }
        });
        Ok(SizedBlob { size, bytes })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let ticket = self.admit()?;
        let source = SourceFault::default();
        let answer = self.inner.write_blob(digest, size, source.watch(bytes)).await;
        if source.happened() {
            // Says nothing about the store.
            drop(ticket);
        } else {
            ticket.settle(answer.as_ref().err());
        }
        answer
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.call(self.inner.delete_blob(digest)).await
    }
}
