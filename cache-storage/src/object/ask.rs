//! One request and what became of it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::{Error, ObjectMeta};

use super::blame::{Blame, Doing};
use super::reply::{self, Reply};
use crate::StoreError;

/// Codes that say that the bucket is absent, not the object.
const NO_BUCKET: [&str; 4] =
    ["NoSuchBucket", "InvalidBucketName", "ContainerNotFound", "InvalidResourceName"];

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    error: Error,
    reply: Option<Reply>,
}

/// Runs a request.
pub(super) async fn ask<T>(
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    let (result, reply) = reply::watch(request).await;
    result.map_err(|error| Failure { error, reply })
}

impl Failure {
    /// The object is not there.
    pub(super) fn is_absent(&self) -> bool {
        let no_bucket =
            self.reply.as_ref().is_some_and(|reply| NO_BUCKET.contains(&reply.code.as_str()));
        matches!(self.error, Error::NotFound { .. }) && !no_bucket
    }

    /// The object is not as the request demands.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.error, Error::AlreadyExists { .. } | Error::Precondition { .. })
    }

    pub(super) fn explain(self, blame: &Blame, doing: Doing, what: &str) -> StoreError {
        blame.explain(what, doing, self.error, self.reply.as_ref())
    }
}

/// The next piece of an answer; `idle` is the longest wait for it.
pub(super) async fn next_piece(
    body: &mut BoxStream<'static, object_store::Result<Bytes>>,
    idle: Option<Duration>,
) -> Result<Option<Bytes>, Failure> {
    let next = async {
        let Some(idle) = idle else { return body.next().await.transpose() };
        let next = tokio::time::timeout(idle, body.next()).await;
        next.unwrap_or_else(|_| {
            let text = format!("the answer stopped for {idle:?}");
            let source = HttpError::new(HttpErrorKind::Timeout, std::io::Error::other(text));
            Some(Err(Error::Generic { store: "HTTP", source: source.into() }))
        })
        .transpose()
    };
    ask(next).await
}

/// An answer's bytes, up to a length that no valid one has.
pub(super) async fn collect(
    mut body: BoxStream<'static, object_store::Result<Bytes>>,
    limit: usize,
    idle: Option<Duration>,
) -> Result<BytesMut, Failure> {
    let mut whole = BytesMut::new();
    while let Some(piece) = next_piece(&mut body, idle).await? {
        let room = limit - whole.len();
        whole.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() >= room {
            break;
        }
    }
    Ok(whole)
}

/// The next object of a listing.
pub(super) async fn next_listed(
    listing: &mut BoxStream<'static, object_store::Result<ObjectMeta>>,
) -> Result<Option<ObjectMeta>, Failure> {
    ask(async { listing.next().await.transpose() }).await
}
