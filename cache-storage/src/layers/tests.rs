//! What the layers' tests share.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;
use futures::executor::block_on;

use crate::testing::{Fault, FaultyStore};
use crate::{BlobStream, MemoryStore, Result, Store, StoreError};

/// A store in memory whose calls are counted and can be made to fail.
pub(super) fn faulty() -> Arc<FaultyStore> {
    Arc::new(FaultyStore::sound(Arc::new(MemoryStore::new())))
}

pub(super) fn key(name: &str) -> RecipeKey {
    RecipeKey(Digest::of(name.as_bytes()))
}

pub(super) fn stream(bytes: &[u8]) -> BlobStream<'static> {
    let pieces: Vec<_> =
        bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces).boxed()
}

/// Writes a blob.
pub(super) fn put(store: &dyn Store, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    block_on(store.write_blob(&digest, bytes.len() as u64, stream(bytes))).unwrap();
    digest
}

/// The rest of a stream.
pub(super) async fn rest(mut bytes: BlobStream<'_>) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(piece) = bytes.next().await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole)
}

/// Reads a blob whole.
pub(super) fn get(store: &dyn Store, digest: &Digest) -> Result<Vec<u8>> {
    block_on(async { rest(store.read_blob(digest).await?).await })
}

pub(super) fn away() -> StoreError {
    StoreError::Unavailable("on purpose".into())
}

pub(super) fn is_away<T>(result: &Result<T>) -> bool {
    matches!(result, Err(StoreError::Unavailable(why)) if why == "on purpose")
}

pub(super) fn fails() -> Option<Fault> {
    Some(Fault::Error(away()))
}

/// Polls once.
pub(super) fn poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut context)
}
