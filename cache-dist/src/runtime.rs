//! Requests run in the runtime in which the client was opened, whoever polls them.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::runtime::Handle;

/// A future or stream that is polled inside a runtime.
pub(crate) struct Entered<T> {
    runtime: Handle,
    inner: T,
}

impl<T> Entered<T> {
    pub(crate) fn new(runtime: &Handle, inner: T) -> Self {
        Self { runtime: runtime.clone(), inner }
    }
}

impl<T> Future for Entered<BoxFuture<'_, T>> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _guard = this.runtime.enter();
        this.inner.as_mut().poll(context)
    }
}

impl<T> Stream for Entered<BoxStream<'_, T>> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let _guard = this.runtime.enter();
        this.inner.as_mut().poll_next(context)
    }
}
