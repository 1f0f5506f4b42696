//! A limit to how much is asked of a store at once, found by trying.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::channel::oneshot;

use super::Clock;
use super::support::{SourceFault, locked, watched};
use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};

/// How many calls may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitOptions {
    /// At the beginning.
    pub initial: u32,
    /// At least, however badly it goes. Not zero.
    pub min: u32,
    /// At most.
    pub max: u32,
    /// An answer that takes longer than so many times the fastest of late, and
    /// [`slack`](Self::slack) more, says that the store has too much to do.
    pub tolerance: u32,
    /// See [`tolerance`](Self::tolerance).
    pub slack: Duration,
}

impl Default for LimitOptions {
    /// 16, between 4 and 64; three times the fastest and 20 ms.
    fn default() -> Self {
        let slack = Duration::from_millis(20);
        Self { initial: 16, min: 4, max: 64, tolerance: 3, slack }
    }
}

/// Additive increase, multiplicative decrease (as TCP does, RFC 5681, 3.1): while answers come
/// quickly and at least half of the limit is used, it grows by one for each round of calls; a transient error or a
/// slow answer takes away three tenths of it, once for all calls that were then under way.
///
/// A call counts from when it is let through until its answer, a blob that is read until its
/// stream ends or is dropped. So who holds as many streams open as the limit allows and waits for
/// another call waits for himself; [`LimitOptions::min`] is what is always allowed. Calls are let
/// through in the order they came.
#[derive(Debug)]
pub struct Limited {
    inner: Arc<dyn Store>,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    clock: Arc<dyn Clock>,
    options: LimitOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    under_way: u32,
    waiting: VecDeque<oneshot::Sender<Permit>>,
    /// The fastest answer of late.
    fastest: Option<Duration>,
    /// How many calls were let through.
    begun: u64,
    /// Calls begun before this one no longer lower the limit.
    lowered_at: u64,
}

impl Limited {
    /// `inner` with a limit.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>, options: LimitOptions) -> Self {
        let min = options.min.max(1);
        let options = LimitOptions { min, max: options.max.max(min), ..options };
        let state = Mutex::new(State {
            limit: f64::from(options.initial.clamp(options.min, options.max)),
            under_way: 0,
            waiting: VecDeque::new(),
            fastest: None,
            begun: 0,
            lowered_at: 0,
        });
        Self { inner, gate: Arc::new(Gate { clock, options, state }) }
    }

    /// How many calls may be under way at once now.
    #[must_use]
    pub fn limit(&self) -> u32 {
        locked(&self.gate.state).allowed()
    }

    /// Waits until a call may begin.
    async fn enter(&self) -> Result<Permit> {
        let turn = {
            let mut state = locked(&self.gate.state);
            if state.under_way < state.allowed() {
                return Ok(Permit::begin(&self.gate, &mut state));
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back(sender);
            turn
        };
        turn.await.map_err(|_| StoreError::Unavailable("the queue was closed".into()))
    }

    /// A call whose duration says how the store is doing.
    async fn call<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let permit = self.enter().await?;
        let answer = answer.await;
        permit.answered(answer.as_ref().err());
        answer
    }
}

impl State {
    #[expect(clippy::cast_possible_truncation, reason = "between min and max")]
    #[expect(clippy::cast_sign_loss, reason = "between min and max")]
    fn allowed(&self) -> u32 {
        self.limit as u32
    }
}

/// A call under way.
#[derive(Debug)]
struct Permit {
    gate: Arc<Gate>,
    number: u64,
    began: Duration,
}

impl Permit {
    fn begin(gate: &Arc<Gate>, state: &mut State) -> Self {
        state.under_way += 1;
        state.begun += 1;
        Self { gate: gate.clone(), number: state.begun, began: gate.clock.now() }
    }

    /// Takes an answer and how long it took into account.
    fn answered(&self, error: Option<&StoreError>) {
        let LimitOptions { tolerance, slack, max, .. } = self.gate.options;
        let took = self.gate.clock.now().saturating_sub(self.began);
        let mut state = locked(&self.gate.state);
        if error.is_some_and(StoreError::is_transient) {
            return self.lower(&mut state);
        }
        // What counts as fast grows slowly, so that a store may become another.
        let fastest = state.fastest.map_or(took, |fastest| took.min(fastest + fastest / 100));
        state.fastest = Some(fastest);
        if took > fastest * tolerance + slack {
            self.lower(&mut state);
        } else if state.under_way * 2 >= state.allowed() {
            state.limit = (state.limit + 1.0 / state.limit).min(f64::from(max));
        }
    }

    /// Takes an error into account, of a call whose duration says nothing.
    fn ended(&self, error: Option<&StoreError>) {
        if error.is_some_and(StoreError::is_transient) {
            self.lower(&mut locked(&self.gate.state));
        }
    }

    fn lower(&self, state: &mut State) {
        if self.number > state.lowered_at {
            state.lowered_at = state.begun;
            state.limit = (state.limit * 0.7).max(f64::from(self.gate.options.min));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut next = Vec::new();
        {
            let mut state = locked(&self.gate.state);
            state.under_way -= 1;
            while state.under_way < state.allowed() {
                let Some(waiting) = state.waiting.pop_front() else { break };
                if !waiting.is_canceled() {
                    next.push((waiting, Self::begin(&self.gate, &mut state)));
                }
            }
        }
        // Outside the lock: a permit that nobody waits for any more comes back and is dropped.
        for (waiting, permit) in next {
            let _ = waiting.send(permit);
        }
    }
}

#[async_trait]
impl Store for Limited {
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
        let permit = self.enter().await?;
        let keys = self.inner.list_records().await;
        permit.ended(keys.as_ref().err());
        keys
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
        let permit = self.enter().await?;
        let blob = self.inner.read_sized_blob(digest).await;
        permit.answered(blob.as_ref().err());
        let SizedBlob { size, bytes } = blob?;
        let mut permit = Some(permit);
        let bytes = watched(bytes, move |item| match item {
            Some(Ok(_)) => {}
            over => {
                if let Some(permit) = permit.take() {
                    permit.ended(over.and_then(|item| item.as_ref().err()));
                }
            }
        });
        Ok(SizedBlob { size, bytes })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let permit = self.enter().await?;
        let source = SourceFault::default();
        let answer = self.inner.write_blob(digest, size, source.watch(bytes)).await;
        permit.ended(answer.as_ref().err().filter(|_| !source.happened()));
        answer
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.call(self.inner.delete_blob(digest)).await
    }
}
