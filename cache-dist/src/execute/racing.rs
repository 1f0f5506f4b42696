//! Two executors at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{Either, select};

use super::{Action, Control, Executed, Executor};
use crate::{Directory, RemoteError, Result};

type Judge = Arc<dyn Fn(&Executed) -> bool + Send + Sync>;

/// Runs each action by two executors; whoever has a good result first wins, and the other is
/// stopped.
///
/// A result that is not good waits for the other's. By default all results are: an engine that
/// fails a compile because a file is missing is then believed; [`judged_by`](Self::judged_by)
/// changes that.
#[derive(Clone)]
pub struct RacingExecutor {
    first: Arc<dyn Executor>,
    second: Arc<dyn Executor>,
    head_start: Duration,
    judge: Judge,
}

impl fmt::Debug for RacingExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RacingExecutor")
            .field("first", &self.first)
            .field("second", &self.second)
            .field("head_start", &self.head_start)
            .finish_non_exhaustive()
    }
}

impl RacingExecutor {
    /// Both begin at once.
    #[must_use]
    pub fn new(first: Arc<dyn Executor>, second: Arc<dyn Executor>) -> Self {
        Self { first, second, head_start: Duration::ZERO, judge: Arc::new(|_| true) }
    }

    /// The second begins so much later, or as soon as the first has no good result.
    #[must_use]
    pub fn with_head_start(mut self, head_start: Duration) -> Self {
        self.head_start = head_start;
        self
    }

    /// Results are good if this says so.
    #[must_use]
    pub fn judged_by(mut self, judge: impl Fn(&Executed) -> bool + Send + Sync + 'static) -> Self {
        self.judge = Arc::new(judge);
        self
    }

    fn is_good(&self, result: &Result<Executed>) -> bool {
        result.as_ref().is_ok_and(|executed| (self.judge)(executed))
    }
}

#[async_trait]
impl Executor for RacingExecutor {
    async fn execute(
        &self,
        action: &Action,
        inputs: &Directory,
        control: &Control,
    ) -> Result<Executed> {
        let first = self.first.execute(action, inputs, control);
        let begun = if self.head_start.is_zero() {
            Either::Right(first)
        } else {
            let pause = tokio::time::sleep(self.head_start).boxed();
            match select(first, pause).await {
                Either::Left((result, _)) => Either::Left(result),
                Either::Right(((), first)) => Either::Right(first),
            }
        };
        let second = || self.second.execute(action, inputs, control);
        match begun {
            Either::Left(result) if self.is_good(&result) => result,
            Either::Left(result) => Ok(better(result, second().await, self)?),
            Either::Right(first) => match select(first, second()).await {
                // The loser is dropped with the tuple, which stops it.
                Either::Left((result, other)) | Either::Right((result, other)) => {
                    if self.is_good(&result) { result } else { better(result, other.await, self) }
                }
            },
        }
    }
}

/// The second to end, unless it has nothing to say and the first had.
fn better(
    early: Result<Executed>,
    late: Result<Executed>,
    racing: &RacingExecutor,
) -> Result<Executed> {
    match (early, late) {
        (_, late) if racing.is_good(&late) => late,
        (Err(RemoteError::Cancelled), _) | (_, Err(RemoteError::Cancelled)) => {
            Err(RemoteError::Cancelled)
        }
        (Ok(early), Err(_)) => Ok(early),
        (_, late) => late,
    }
}
