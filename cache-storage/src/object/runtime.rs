//! Requests run in the runtime in which the store was opened, whoever polls them.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::runtime::Handle;

/// The runtime that drives sockets and timers. Stores without requests need none.
#[derive(Clone, Debug)]
pub(super) struct Runtime(Option<Handle>);

impl Runtime {
    pub(super) fn current() -> Self {
        Self(Handle::try_current().ok())
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The future, polled inside the runtime.
    pub(super) fn enter<'a, T>(&self, future: BoxFuture<'a, T>) -> Entered<BoxFuture<'a, T>> {
        Entered { runtime: self.0.clone(), inner: future }
    }

    /// The stream, polled inside the runtime.
    pub(super) fn enter_stream<'a, T>(
        &self,
        stream: BoxStream<'a, T>,
    ) -> Entered<BoxStream<'a, T>> {
        Entered { runtime: self.0.clone(), inner: stream }
    }

    /// Runs a future to its end in the background; without a runtime it is dropped.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(future);
        }
    }
}

/// A future or stream that is polled inside a runtime.
pub(super) struct Entered<T> {
    runtime: Option<Handle>,
    inner: T,
}

impl<T> Future for Entered<BoxFuture<'_, T>> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _guard = this.runtime.as_ref().map(Handle::enter);
        this.inner.as_mut().poll(context)
    }
}

impl<T> Stream for Entered<BoxStream<'_, T>> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let _guard = this.runtime.as_ref().map(Handle::enter);
        this.inner.as_mut().poll_next(context)
    }
}
