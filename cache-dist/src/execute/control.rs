//! Watching an execution, and ending it.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{RemoteError, Result};

/// How far an execution is. Engines tell as much as they like: buildbox-casd knows nothing but the
/// end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// Inputs are brought to the engine.
    Uploading,
    /// The engine looks whether it has done the same before.
    CacheCheck,
    /// It waits for a worker.
    Queued,
    /// It runs.
    Executing,
    /// It has ended.
    Completed,
}

type Watch = Arc<dyn Fn(Stage) + Send + Sync>;

/// Watches an execution and ends it. Clones are the same.
#[derive(Clone, Default)]
pub struct Control {
    cancelled: CancellationToken,
    watch: Option<Watch>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("cancelled", &self.cancelled.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Nobody watches.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with somebody who is told each stage as it begins. A stage may come again, when an
    /// execution is tried again, and any may be left out.
    #[must_use]
    pub fn with_watch(mut self, watch: impl Fn(Stage) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    /// Ends all executions under this control, now and later.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    pub(super) fn tell(&self, stage: Stage) {
        if let Some(watch) = &self.watch {
            watch(stage);
        }
    }

    /// The future's result, unless this is cancelled before; the future is dropped then.
    pub(super) async fn guard<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(RemoteError::Cancelled),
            result = future => result,
        }
    }
}
