//! A store that fails when told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use crate::layers::locked;
use crate::{
    BlobStream, Capabilities, Expected, Operation, RecordKeyStream, Result, Revision, SizedBlob,
    Store, StoreError, StoredRecord,
};

/// One call of a [`FaultyStore`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// What was called.
    pub operation: Operation,
    /// How many calls of any kind came before it.
    pub number: u64,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call fails with this error and does nothing.
    Error(StoreError),
    /// The call is done, but its answer is lost: the caller gets this error.
    ErrorAfter(StoreError),
    /// The call does nothing until [`FaultyStore::release`], then is as without the fault.
    Hang,
    /// What a read gives has one bit flipped; other calls are as without the fault.
    WrongBytes,
    /// What a read gives ends half-way, without an error; other calls are as without the fault.
    CutShort,
    /// The bytes of a blob read break off half-way with this error; other calls are as without
    /// the fault.
    Breaks(StoreError),
}

type Plan = dyn Fn(Call) -> Option<Fault> + Send + Sync;

/// A store in front of another, with faults by plan. It keeps the contract as far as the plan lets
/// it.
///
/// ```
/// use std::sync::Arc;
/// use cache_storage::testing::{Fault, FaultyStore};
/// use cache_storage::{MemoryStore, Operation, StoreError};
///
/// let away = || Fault::Error(StoreError::Unavailable("on purpose".into()));
/// let store = FaultyStore::new(Arc::new(MemoryStore::new()), move |call| {
///     (call.operation == Operation::ReadBlob && call.number >= 3).then(away)
/// });
/// assert_eq!(store.calls(Operation::ReadBlob), 0);
/// ```
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    plan: Mutex<Arc<Plan>>,
    calls: Mutex<BTreeMap<Operation, u64>>,
    released: AtomicBool,
    hanging: Mutex<Vec<Waker>>,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl FaultyStore {
    /// `inner` with the faults that `plan` gives each call.
    pub fn new(
        inner: Arc<dyn Store>,
        plan: impl Fn(Call) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            plan: Mutex::new(Arc::new(plan)),
            calls: Mutex::default(),
            released: AtomicBool::new(false),
            hanging: Mutex::default(),
        }
    }

    /// `inner` as it is, for its calls to be counted and until [`plan`](Self::plan).
    #[must_use]
    pub fn sound(inner: Arc<dyn Store>) -> Self {
        Self::new(inner, |_| None)
    }

    /// Another plan, for calls from now on.
    pub fn plan(&self, plan: impl Fn(Call) -> Option<Fault> + Send + Sync + 'static) {
        *locked(&self.plan) = Arc::new(plan);
    }

    /// This fault for every call from now on, or none.
    pub fn always(&self, fault: Option<Fault>) {
        self.plan(move |_| fault.clone());
    }

    /// Lets all calls that hang, now and later, go on.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
        locked(&self.hanging).drain(..).for_each(Waker::wake);
    }

    /// How often this was called.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        locked(&self.calls).get(&operation).copied().unwrap_or_default()
    }

    /// How often anything was called.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        locked(&self.calls).values().sum()
    }

    /// Counts the call and lets it meet its fault; what is left of that for the answer.
    async fn meet(&self, operation: Operation) -> Result<Option<Fault>> {
        let number = {
            let mut calls = locked(&self.calls);
            let number = calls.values().sum();
            *calls.entry(operation).or_default() += 1;
            number
        };
        let plan = locked(&self.plan).clone();
        match plan(Call { operation, number }) {
            Some(Fault::Error(error)) => Err(error),
            Some(Fault::Hang) => {
                self.hang().await;
                Ok(None)
            }
            fault => Ok(fault),
        }
    }

    async fn hang(&self) {
        futures::future::poll_fn(|context| {
            let mut hanging = locked(&self.hanging);
            if self.released.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            hanging.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The answer, unless it is lost.
fn lost<T>(fault: Option<Fault>, answer: Result<T>) -> Result<T> {
    match fault {
        Some(Fault::ErrorAfter(error)) => answer.and(Err(error)),
        _ => answer,
    }
}

fn damaged(fault: Option<&Fault>, bytes: Bytes) -> Bytes {
    match fault {
        Some(Fault::WrongBytes) => {
            let mut wrong = bytes.to_vec();
            if let Some(byte) = wrong.last_mut() {
                *byte ^= 1;
            }
            wrong.into()
        }
        Some(Fault::CutShort) => bytes.slice(..bytes.len() / 2),
        _ => bytes,
    }
}

/// The stream with the fault in its first piece, and where that cuts it, at its end.
fn damaged_stream(fault: Option<Fault>, mut bytes: BlobStream<'_>) -> BlobStream<'_> {
    let Some(fault) = fault else { return bytes };
    let damaged_piece = async move {
        let Some(first) = bytes.next().await else { return futures::stream::empty().boxed() };
        let cut = matches!(fault, Fault::CutShort | Fault::Breaks(_));
        let half = if cut { Some(Fault::CutShort) } else { Some(fault.clone()) };
        let first = first.map(|piece| damaged(half.as_ref(), piece));
        let head = futures::stream::iter([first]);
        match fault {
            Fault::Breaks(error) => head.chain(futures::stream::iter([Err(error)])).boxed(),
            Fault::CutShort => head.boxed(),
            _ => head.chain(bytes).boxed(),
        }
    };
    futures::stream::once(damaged_piece).flatten().boxed()
}

#[async_trait]
impl Store for FaultyStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let fault = self.meet(Operation::GetRecord).await?;
        let found = self.inner.get_record(key).await;
        let found = found.map(|found| {
            let StoredRecord { bytes, revision } = found?;
            Some(StoredRecord { bytes: damaged(fault.as_ref(), bytes), revision })
        });
        lost(fault, found)
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let fault = self.meet(Operation::PutRecord).await?;
        lost(fault, self.inner.put_record(key, bytes, expected).await)
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        let fault = self.meet(Operation::ListRecords).await?;
        lost(fault, self.inner.list_records().await)
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        let fault = self.meet(Operation::DeleteRecord).await?;
        lost(fault, self.inner.delete_record(key).await)
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let fault = self.meet(Operation::ContainsBlobs).await?;
        lost(fault, self.inner.contains_blobs(digests).await)
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let fault = self.meet(Operation::ReadBlob).await?;
        let SizedBlob { size, bytes } =
            lost(fault.clone(), self.inner.read_sized_blob(digest).await)?;
        Ok(SizedBlob { size, bytes: damaged_stream(fault, bytes) })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        let fault = self.meet(Operation::WriteBlob).await?;
        lost(fault, self.inner.write_blob(digest, size, bytes).await)
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let fault = self.meet(Operation::DeleteBlob).await?;
        lost(fault, self.inner.delete_blob(digest).await)
    }
}
