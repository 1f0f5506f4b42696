//! What several layers do alike.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt;

use crate::{BlobStream, Result};

/// The state behind a lock. No holder leaves it half changed, so a panic elsewhere poisons nothing.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stream, each item shown to `see` as it passes, and `None` when it has ended.
pub(super) fn watched<'a>(
    bytes: BlobStream<'a>,
    see: impl FnMut(Option<&Result<Bytes>>) + Send + 'a,
) -> BlobStream<'a> {
    futures::stream::unfold((bytes, see), |(mut bytes, mut see)| async move {
        let item = bytes.next().await;
        see(item.as_ref());
        item.map(|item| (item, (bytes, see)))
    })
    .boxed()
}

/// Whether a write failed because of the bytes it was given: no fault of the store's.
#[derive(Debug, Default)]
pub(super) struct SourceFault(AtomicBool);

impl SourceFault {
    /// The stream to give to the store instead.
    pub(super) fn watch<'a>(&'a self, bytes: BlobStream<'a>) -> BlobStream<'a> {
        let failed = |item: &Result<Bytes>| {
            if item.is_err() {
                self.0.store(true, Ordering::Relaxed);
            }
        };
        bytes.inspect(failed).boxed()
    }

    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
