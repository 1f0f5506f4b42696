//! What checks are made of.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use cache_core::{Digest, RecipeKey};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::{Verdict, Violation};
use crate::{BlobStream, Store, StoreError};

/// Nothing, if the rule is kept.
pub(super) fn rule(kept: bool, text: impl FnOnce() -> String) -> Verdict {
    if kept { Ok(()) } else { Err(Violation(text())) }
}

/// An error where the contract promises success.
pub(super) trait Promised<T> {
    fn promised(self, what: &str) -> Result<T, Violation>;
}

impl<T, E: std::fmt::Display> Promised<T> for Result<T, E> {
    fn promised(self, what: &str) -> Result<T, Violation> {
        self.map_err(|e| Violation(format!("{what} must succeed, but: {e}")))
    }
}

/// Bytes that no other call gives.
pub(super) fn unique_bytes(length: usize) -> Bytes {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let seed = Digest::of(format!("{nanos} {count} {}", std::process::id()).as_bytes());
    let mut bytes = BytesMut::with_capacity(length + Digest::LEN);
    let mut block = seed;
    while bytes.len() < length {
        bytes.extend_from_slice(block.as_bytes());
        block = Digest::of(block.as_bytes());
    }
    bytes.truncate(length);
    bytes.freeze()
}

/// A key that no other call gives.
pub(super) fn unique_key() -> RecipeKey {
    RecipeKey(Digest::of(&unique_bytes(32)))
}

/// A stream of `bytes` in pieces of these lengths, over and over.
pub(super) fn pieces(bytes: &Bytes, lengths: &'static [usize]) -> BlobStream<'static> {
    let mut rest = bytes.clone();
    let mut lengths = lengths.iter().cycle();
    let pieces = std::iter::from_fn(move || {
        let length = *lengths.next()?;
        (!rest.is_empty()).then(|| Ok(rest.split_to(length.min(rest.len()))))
    });
    futures::stream::iter(pieces).boxed()
}

pub(super) async fn write(store: &dyn Store, bytes: &Bytes) -> Result<Digest, Violation> {
    let digest = Digest::of(bytes);
    store
        .write_blob(&digest, bytes.len() as u64, pieces(bytes, &[64 << 10]))
        .await
        .promised("writing a blob")?;
    Ok(digest)
}

/// The whole blob, `None` when absent.
pub(super) async fn read(store: &dyn Store, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
    match store.read_blob(digest).await {
        Err(StoreError::BlobAbsent(_)) => Ok(None),
        other => collect(other?).await.map(Some),
    }
}

/// The whole of a stream.
pub(super) async fn collect(mut stream: BlobStream<'_>) -> Result<Bytes, StoreError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = stream.next().await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole.freeze())
}

/// The blob is absent by every way of asking.
pub(super) async fn must_be_absent(store: &dyn Store, digest: &Digest, when: &str) -> Verdict {
    let there = store.contains_blobs(&[*digest]).await.promised("contains_blobs")?;
    rule(there == [false], || {
        format!("{when}: contains_blobs must answer [false], not {there:?}")
    })?;
    let found =
        read(store, digest).await.promised("reading an absent blob, other than BlobAbsent,")?;
    rule(found.is_none(), || format!("{when}: read_blob must fail with BlobAbsent"))
}

/// The blob has these bytes by every way of asking.
pub(super) async fn must_be(store: &dyn Store, bytes: &Bytes, when: &str) -> Verdict {
    let digest = Digest::of(bytes);
    let there = store.contains_blobs(&[digest]).await.promised("contains_blobs")?;
    rule(there == [true], || format!("{when}: contains_blobs must answer [true], not {there:?}"))?;
    let found = read(store, &digest).await.promised("reading a blob")?;
    rule(found.as_ref() == Some(bytes), || format!("{when}: read_blob must give the bytes written"))
}

pub(super) async fn remove(store: &dyn Store, digest: &Digest) -> Verdict {
    store.delete_blob(digest).await.promised("deleting a blob")
}

/// Runs futures at once: in threads, or for a remote store on the caller's executor.
pub(super) async fn at_once<'a, T: Send + 'a>(
    store: &dyn Store,
    tasks: Vec<BoxFuture<'a, T>>,
) -> Result<Vec<T>, Violation> {
    if store.capabilities().remote {
        return Ok(futures::future::join_all(tasks).await);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = tasks
            .into_iter()
            .map(|task| scope.spawn(move || futures::executor::block_on(task)))
            .collect();
        let results: Result<Vec<_>, _> =
            threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        results.map_err(|_| Violation("no method may panic, under contention either".into()))
    })
}

/// As one kind of future, for [`at_once`].
pub(super) fn task<'a, T>(future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    future.boxed()
}

/// A directory that is removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, Violation> {
        let name = format!("store-conformance-{}", unique_key());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).promised("(the check's own) making a temporary directory")?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
