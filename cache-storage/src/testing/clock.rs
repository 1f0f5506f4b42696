//! A clock that only its test moves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::layers::Clock;

/// A clock that stands still until [`advance`](Self::advance) moves it.
#[derive(Debug, Default)]
pub struct ManualClock {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

impl ManualClock {
    /// A clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock on, and wakes who has slept long enough.
    pub fn advance(&self, time: Duration) {
        let mut due = Vec::new();
        {
            let mut state = self.state();
            state.now += time;
            let now = state.now;
            for (at, sleeper) in std::mem::take(&mut state.sleepers) {
                if at <= now {
                    due.push(sleeper);
                } else if !sleeper.is_canceled() {
                    state.sleepers.push((at, sleeper));
                }
            }
        }
        for sleeper in due {
            let _ = sleeper.send(());
        }
    }

    /// How many are waiting for the time now.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        let mut state = self.state();
        state.sleepers.retain(|(_, sleeper)| !sleeper.is_canceled());
        state.sleepers.len()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.state().now
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        let at = state.now + time;
        if at <= state.now {
            return futures::future::ready(()).boxed();
        }
        state.sleepers.push((at, sender));
        // A clock that is gone wakes nobody any more.
        receiver
            .then(|woken| async move {
                if woken.is_err() {
                    futures::future::pending::<()>().await;
                }
            })
            .boxed()
    }
}
