//! Running commands, here or elsewhere.

mod action;
mod control;
mod local;
mod outcome;
mod racing;
mod remote;

use async_trait::async_trait;

pub use action::Action;
pub use control::{Control, Stage};
pub use local::LocalExecutor;
pub use outcome::{Executed, Output, OutputContent, OutputKind, Timings};
pub use racing::RacingExecutor;
pub use remote::RemoteExecutor;

use crate::{Directory, Result};

/// Something that runs actions.
///
/// A future that is dropped gives the action up: what runs is stopped, here or on the engine. So a
/// limit on the time is whatever drops the future, such as tokio's `timeout`.
#[async_trait]
pub trait Executor: Send + Sync + std::fmt::Debug {
    /// Runs an action in a tree of inputs. That the command fails is no error: its exit code says
    /// so.
    ///
    /// # Errors
    /// When there is no answer as to what the command does. [`RemoteError::Cancelled`] once
    /// `control` says so; [`RemoteError::TimedOut`] when the command ran longer than it may.
    ///
    /// [`RemoteError::Cancelled`]: crate::RemoteError::Cancelled
    /// [`RemoteError::TimedOut`]: crate::RemoteError::TimedOut
    async fn execute(
        &self,
        action: &Action,
        inputs: &Directory,
        control: &Control,
    ) -> Result<Executed>;
}
