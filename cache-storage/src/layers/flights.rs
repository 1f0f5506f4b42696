//! Answers on their way, shared by all who ask meanwhile.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

use super::support::locked;

/// One answer on its way, driven by whoever of those waiting is polled.
pub(super) type Flight<V> = Shared<BoxFuture<'static, V>>;

/// At most one answer on its way for each key.
pub(super) struct Flights<K, V: Clone>(Mutex<HashMap<K, WeakShared<BoxFuture<'static, V>>>>);

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Flights<K, V> {
    /// The flight of this key that has not arrived yet, or a new one; and whether it is that of
    /// somebody else.
    pub(super) fn join(
        &self,
        key: K,
        begin: impl FnOnce() -> BoxFuture<'static, V>,
    ) -> (Flight<V>, bool) {
        let mut flights = locked(&self.0);
        let flight = flights.get(&key).and_then(WeakShared::upgrade);
        if let Some(flight) = flight.filter(|flight| flight.peek().is_none()) {
            return (flight, true);
        }
        // Nobody waits for these any more. Now and then is often enough.
        if flights.len() >= 64 && flights.len().is_power_of_two() {
            flights.retain(|_, flight| flight.upgrade().is_some());
        }
        let flight = begin().shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(key, weak);
        }
        (flight, false)
    }

    /// Lets who asks from now on see what has changed: the flight, if any, is only for those who
    /// wait for it already.
    pub(super) fn part(&self, key: &K) {
        locked(&self.0).remove(key);
    }
}
