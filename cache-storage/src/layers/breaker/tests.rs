use futures::executor::block_on;
use futures::{FutureExt, StreamExt};

use super::super::tests::{away, fails, faulty, get, is_away, key, poll, put, stream};
use super::*;
use crate::testing::{Fault, FaultyStore, ManualClock};

fn new() -> (Arc<FaultyStore>, Arc<ManualClock>, Breaker) {
    let (inner, clock) = (faulty(), Arc::new(ManualClock::new()));
    let options = BreakerOptions { failures: 3, window: 6, ..BreakerOptions::default() };
    let breaker = Breaker::new(inner.clone(), clock.clone(), options);
    (inner, clock, breaker)
}

fn ask(store: &dyn Store) -> Result<Option<StoredRecord>> {
    block_on(store.get_record(&key("any")))
}

fn open(inner: &FaultyStore, breaker: &Breaker) {
    inner.always(fails());
    for _ in 0..3 {
        assert!(is_away(&ask(breaker)));
    }
    inner.always(None);
}

#[test]
fn opens_after_transient_errors_and_asks_nobody() {
    let (inner, clock, breaker) = new();
    open(&inner, &breaker);
    let calls = inner.all_calls();
    let refused = ask(&breaker);
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("on purpose")));
    assert_eq!(inner.all_calls(), calls);
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.circuit, Circuit::Open(Duration::from_secs(5)));
    assert_eq!((snapshot.opened, snapshot.refused), (1, 1));
    clock.advance(Duration::from_secs(5));
    assert_eq!(breaker.snapshot().circuit, Circuit::HalfOpen);
    ask(&breaker).unwrap();
    assert_eq!(breaker.snapshot().circuit, Circuit::Closed);
}

#[test]
fn errors_among_successes_open_it_and_old_ones_are_forgotten() {
    let (inner, _, breaker) = new();
    inner.plan(|call| (call.number % 2 == 0).then(|| Fault::Error(away())));
    while breaker.snapshot().opened == 0 {
        assert!(inner.all_calls() < 6, "three of five");
        let _ = ask(&breaker);
    }
    let (inner, _, breaker) = new();
    inner.plan(|call| (call.number % 4 == 0).then(|| Fault::Error(away())));
    for _ in 0..40 {
        let _ = ask(&breaker);
    }
    assert_eq!(breaker.snapshot().opened, 0, "never three of six");
}

#[test]
fn answers_do_not_count_whatever_they_say() {
    let (inner, _, breaker) = new();
    for _ in 0..20 {
        assert!(matches!(get(&breaker, &Digest::of(b"absent")), Err(StoreError::BlobAbsent(_))));
    }
    let denied = StoreError::Denied { setting: "key".into(), reason: "no".into() };
    inner.always(Some(Fault::Error(denied)));
    for _ in 0..20 {
        assert!(matches!(ask(&breaker), Err(StoreError::Denied { .. })));
    }
    inner.always(None);
    for _ in 0..20 {
        let bad = futures::stream::iter([Err(away())]).boxed();
        let result = block_on(breaker.write_blob(&Digest::of(b"x"), 1, bad));
        assert!(is_away(&result), "the source's error, not the store's");
    }
    assert_eq!(breaker.snapshot().circuit, Circuit::Closed);
}

#[test]
fn a_stream_that_breaks_off_counts() {
    let (inner, _, breaker) = new();
    let digest = put(&*inner, b"some bytes");
    inner.always(Some(Fault::Breaks(away())));
    for _ in 0..3 {
        assert!(is_away(&get(&breaker, &digest)));
    }
    assert_eq!(breaker.snapshot().opened, 1);
}

#[test]
fn one_probe_at_a_time_and_failure_doubles_the_wait() {
    let (inner, clock, breaker) = new();
    open(&inner, &breaker);
    for wait in [5, 10, 20, 40, 80, 120, 120] {
        clock.advance(Duration::from_secs(wait) - Duration::from_millis(1));
        assert!(matches!(breaker.snapshot().circuit, Circuit::Open(_)), "after {wait} s");
        clock.advance(Duration::from_millis(1));
        inner.always(fails());
        let calls = inner.all_calls();
        assert!(is_away(&ask(&breaker)));
        assert_eq!(inner.all_calls(), calls + 1);
    }
    clock.advance(Duration::from_secs(120));
    inner.always(Some(Fault::Hang));
    let any = key("any");
    let mut probe = breaker.get_record(&any).boxed();
    assert!(poll(&mut probe).is_pending());
    let calls = inner.all_calls();
    assert!(ask(&breaker).is_err());
    assert_eq!(inner.all_calls(), calls, "a second one waits for the probe");
    drop(probe);
    inner.always(None);
    ask(&breaker).unwrap();
    assert_eq!(breaker.snapshot().circuit, Circuit::Closed, "a probe given up frees its place");
    open(&inner, &breaker);
    assert_eq!(breaker.snapshot().circuit, Circuit::Open(Duration::from_secs(5)));
}

#[test]
fn a_call_from_before_the_opening_closes_nothing() {
    let (inner, clock, breaker) = new();
    let any = key("any");
    inner.always(Some(Fault::Hang));
    let mut old = breaker.get_record(&any).boxed();
    assert!(poll(&mut old).is_pending());
    open(&inner, &breaker);
    clock.advance(Duration::from_secs(5));
    inner.always(Some(Fault::Hang));
    let mut probe = breaker.get_record(&any).boxed();
    assert!(poll(&mut probe).is_pending());
    inner.release();
    assert!(poll(&mut old).is_ready());
    assert_eq!(breaker.snapshot().circuit, Circuit::HalfOpen, "the probe is to tell");
    drop(probe);
    block_on(breaker.write_blob(&Digest::of(b"x"), 1, stream(b"x"))).unwrap();
    assert_eq!(breaker.snapshot().circuit, Circuit::Closed);
}
