//! Layers composed in the one order that makes sense.

use std::sync::Arc;

use super::{
    Breaker, BreakerOptions, Clock, CoalesceOptions, Coalesced, Deadline, DeadlineOptions,
    KnownAbsent, KnownAbsentOptions, LimitOptions, Limited, Metered, ReadOnly, Signed,
    SignedOptions, Verified,
};
use crate::Store;

/// Which layers stand between a caller and a backend that is far away or not trusted. `None` leaves
/// a layer out; the order is that of [`layers`](super).
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Refuse writes, and for what reason (see [`ReadOnly::new`]).
    pub read_only: Option<String>,
    /// Remember what is absent.
    pub known_absent: Option<KnownAbsentOptions>,
    /// Make equal requests one.
    pub coalesce: Option<CoalesceOptions>,
    /// Serve only signed records.
    pub signed: Option<SignedOptions>,
    /// Limit what is under way at once.
    pub limit: Option<LimitOptions>,
    /// Leave a backend alone that does not answer.
    pub breaker: Option<BreakerOptions>,
    /// Give up what takes too long.
    pub deadline: Option<DeadlineOptions>,
}

impl Default for StackOptions {
    /// All layers with their defaults, but neither read-only nor signed.
    fn default() -> Self {
        Self {
            read_only: None,
            known_absent: Some(KnownAbsentOptions::default()),
            coalesce: Some(CoalesceOptions::default()),
            signed: None,
            limit: Some(LimitOptions::default()),
            breaker: Some(BreakerOptions::default()),
            deadline: Some(DeadlineOptions::default()),
        }
    }
}

/// A backend behind layers, and those of them that have something to tell.
#[derive(Clone, Debug)]
pub struct Stack {
    /// What callers use.
    pub store: Arc<dyn Store>,
    /// Counts the requests that reach the backend.
    pub requests: Arc<Metered>,
    /// Counts damaged blobs.
    pub verified: Arc<Verified>,
    /// Knows whether the backend answers.
    pub breaker: Option<Arc<Breaker>>,
    /// Knows how much may be under way.
    pub limited: Option<Arc<Limited>>,
    /// Counts records that were not served.
    pub signed: Option<Arc<Signed>>,
    /// Counts requests that were spared.
    pub known_absent: Option<Arc<KnownAbsent>>,
}

impl StackOptions {
    /// Puts the layers around a backend. [`Metered`] and [`Verified`] are always among them.
    #[must_use]
    pub fn wrap(self, backend: Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Stack {
        let clock = || clock.clone();
        let requests = Arc::new(Metered::new(backend, clock()));
        let mut store: Arc<dyn Store> = requests.clone();
        if let Some(options) = self.deadline {
            store = Arc::new(Deadline::new(store, clock(), options));
        }
        let breaker = self
            .breaker
            .map(|options| put_on(&mut store, |store| Breaker::new(store, clock(), options)));
        let limited = self
            .limit
            .map(|options| put_on(&mut store, |store| Limited::new(store, clock(), options)));
        let verified = put_on(&mut store, Verified::new);
        let signed =
            self.signed.map(|options| put_on(&mut store, |store| Signed::new(store, options)));
        if let Some(options) = self.coalesce {
            store = Arc::new(Coalesced::new(store, options));
        }
        let known_absent = self
            .known_absent
            .map(|options| put_on(&mut store, |store| KnownAbsent::new(store, clock(), options)));
        if let Some(reason) = self.read_only {
            store = Arc::new(ReadOnly::new(store, reason));
        }
        Stack { store, requests, verified, breaker, limited, signed, known_absent }
    }
}

/// Puts a layer around the store, and gives it to be asked later.
fn put_on<L: Store + 'static>(
    store: &mut Arc<dyn Store>,
    layer: impl FnOnce(Arc<dyn Store>) -> L,
) -> Arc<L> {
    let layer = Arc::new(layer(store.clone()));
    *store = layer.clone();
    layer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use cache_core::Digest;
    use futures::FutureExt;
    use futures::executor::block_on;
    use futures::future::join_all;

    use super::super::tests::{faulty, get, key, poll, put};
    use super::super::{Circuit, SecretKey};
    use super::*;
    use crate::testing::{Fault, ManualClock};
    use crate::{Expected, Operation, StoreError};

    fn new(options: StackOptions) -> (Arc<crate::testing::FaultyStore>, Arc<ManualClock>, Stack) {
        let (backend, clock) = (faulty(), Arc::new(ManualClock::new()));
        let as_clock: Arc<dyn Clock> = clock.clone();
        let stack = options.wrap(backend.clone(), &as_clock);
        (backend, clock, stack)
    }

    #[test]
    fn a_backend_that_hangs_costs_one_deadline_and_its_queue_nothing() {
        let (backend, clock, stack) = new(StackOptions::default());
        backend.always(Some(Fault::Hang));
        let keys: Vec<_> = (0..1000).map(|n| key(&n.to_string())).collect();
        let mut all = join_all(keys.iter().map(|key| stack.store.get_record(key))).boxed();
        assert!(poll(&mut all).is_pending());
        assert_eq!(backend.all_calls(), 16, "the limit");
        clock.advance(Duration::from_secs(2));
        let answers = block_on(all);
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))));
        assert!(backend.all_calls() < 40, "those who waited were not let through in turn");
        assert!(matches!(stack.breaker.unwrap().snapshot().circuit, Circuit::Open(_)));
        assert_eq!(stack.known_absent.unwrap().spared(), 0, "no answer is no absence");
    }

    #[test]
    fn damage_and_strangers_do_not_open_the_circuit() {
        let signer = Some(SecretKey::from_seed(&[1; 32]));
        let signed = Some(SignedOptions { signer, trusted: Vec::new() });
        let (backend, _, stack) = new(StackOptions { signed, ..StackOptions::default() });
        backend.always(Some(Fault::WrongBytes));
        for n in 0..20_u32 {
            let digest = put(&*backend, &n.to_le_bytes());
            assert!(matches!(get(&*stack.store, &digest), Err(StoreError::Corrupt { .. })));
            let (key, bytes) = (key(&n.to_string()), Bytes::from("unsigned"));
            block_on(backend.put_record(&key, bytes, Expected::Absent)).unwrap();
            assert!(block_on(stack.store.get_record(&key)).unwrap().is_none());
        }
        assert_eq!(stack.verified.corrupt(), 20);
        assert_eq!(stack.signed.unwrap().ignored().unsigned, 20);
        assert_eq!(stack.breaker.unwrap().snapshot().circuit, Circuit::Closed);
        assert_eq!(stack.limited.unwrap().limit(), 16);
    }

    #[test]
    fn what_is_known_or_refused_makes_no_request() {
        let read_only = Some("the test says so".into());
        let (backend, _, stack) = new(StackOptions { read_only, ..StackOptions::default() });
        for _ in 0..3 {
            assert!(get(&*stack.store, &Digest::of(b"absent")).is_err());
            assert!(block_on(stack.store.delete_record(&key("any"))).is_err());
        }
        assert_eq!(backend.all_calls(), 1);
        let requests = stack.requests.snapshot();
        assert_eq!(requests[&Operation::ReadBlob].absent, 1);
    }
}
