//! Time, as layers see it.

use std::fmt;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

/// What tells layers the time and wakes them. Tests move a
/// [`ManualClock`](crate::testing::ManualClock); a program with a runtime may put that runtime's
/// timer here.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time since some fixed moment. Never goes back.
    fn now(&self) -> Duration;

    /// Ends once this much time has passed, or a little later.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
}

/// The system's monotonic clock. Its timers are those of the crate `futures-timer`: one thread in
/// the process, started by the first sleep, and no runtime.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        futures_timer::Delay::new(time).boxed()
    }
}
