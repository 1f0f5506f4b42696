use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::super::tests::{away, fails, faulty, get, is_away, key, poll, put};
use super::*;
use crate::testing::{Fault, FaultyStore, ManualClock};

fn new(initial: u32) -> (Arc<FaultyStore>, Arc<ManualClock>, Limited) {
    let (inner, clock) = (faulty(), Arc::new(ManualClock::new()));
    let options = LimitOptions { initial, min: 1, ..LimitOptions::default() };
    let store = Limited::new(inner.clone(), clock.clone(), options);
    (inner, clock, store)
}

type Asked<'a> = BoxFuture<'a, Result<Option<StoredRecord>>>;

/// Begins so many calls.
fn ask<'a>(store: &'a Limited, key: &'a RecipeKey, count: usize) -> Vec<Asked<'a>> {
    let mut calls: Vec<_> = (0..count).map(|_| store.get_record(key).boxed()).collect();
    for call in &mut calls {
        assert!(poll(call).is_pending());
    }
    calls
}

#[test]
fn no_more_than_the_limit_are_under_way_and_the_next_follow_in_order() {
    let (inner, _, store) = new(3);
    inner.always(Some(Fault::Hang));
    let any = key("any");
    let mut calls = ask(&store, &any, 5);
    assert_eq!(inner.all_calls(), 3);
    // The fourth gives up waiting, so the place of the first is for the fifth.
    drop(calls.remove(3));
    drop(calls.remove(0));
    assert!(poll(&mut calls[2]).is_pending());
    assert_eq!(inner.all_calls(), 4);
    // One is given the place of another, and dropped before it takes it.
    let mut more = ask(&store, &any, 2);
    drop(calls.remove(0));
    drop(more.remove(0));
    assert!(poll(&mut more[0]).is_pending());
    assert_eq!(inner.all_calls(), 5);
    inner.release();
    block_on(futures::future::join_all(calls.into_iter().chain(more)));
    assert_eq!(locked(&store.gate.state).under_way, 0);
}

#[test]
fn any_number_may_give_up_waiting() {
    let (inner, _, store) = new(1);
    let any = key("any");
    inner.always(Some(Fault::Hang));
    let mut first = ask(&store, &any, 1);
    drop(ask(&store, &any, 100_000));
    let mut last = ask(&store, &any, 1);
    inner.release();
    // Passes over all of them at once, not each from within the one before.
    assert!(poll(&mut first[0]).is_ready());
    assert!(poll(&mut last[0]).is_ready());
}

#[test]
fn quick_answers_raise_it_when_it_is_used() {
    let (_, _, store) = new(4);
    let any = key("any");
    for _ in 0..100 {
        block_on(store.get_record(&any)).unwrap();
    }
    assert_eq!(store.limit(), 4, "one at a time does not need more");
    let round = |allowed: u32| {
        let permits: Vec<_> = (0..allowed).map(|_| block_on(store.enter()).unwrap()).collect();
        permits.iter().for_each(|permit| permit.answered(None));
    };
    round(4);
    round(4);
    assert_eq!(store.limit(), 5, "by nearly one for each round that uses it");
    for _ in 0..100 {
        round(store.limit());
    }
    assert_eq!(store.limit(), 64);
}

#[test]
fn an_error_lowers_it_once_for_all_that_were_under_way() {
    let (inner, _, store) = new(40);
    let any = key("any");
    inner.always(fails());
    let calls: Vec<_> = (0..40).map(|_| store.get_record(&any)).collect();
    let first = block_on(futures::future::select_all(calls)).0;
    assert!(is_away(&first));
    assert_eq!(store.limit(), 28);

    let (inner, _, store) = new(40);
    inner.plan(|_| Some(Fault::ErrorAfter(away())));
    let permits: Vec<_> = (0..40).map(|_| block_on(store.enter()).unwrap()).collect();
    for permit in permits {
        permit.answered(Some(&away()));
    }
    assert_eq!(store.limit(), 28);
    for _ in 0..100 {
        assert!(is_away(&block_on(store.get_record(&any))));
    }
    assert_eq!(store.limit(), 1, "never under the least");
}

#[test]
fn slow_answers_lower_it() {
    let (inner, clock, store) = new(10);
    let any = key("any");
    let take = |time: u64| {
        let permit = block_on(store.enter()).unwrap();
        clock.advance(Duration::from_millis(time));
        permit.answered(None);
    };
    for _ in 0..10 {
        take(10);
    }
    assert_eq!(store.limit(), 10);
    take(50); // three times the fastest and 20 ms
    assert_eq!(store.limit(), 10);
    take(52);
    assert_eq!(store.limit(), 7);
    inner.always(None);
    block_on(store.get_record(&any)).unwrap();
}

#[test]
fn a_blob_counts_until_its_end_and_an_absent_one_is_no_error() {
    let (inner, clock) = (faulty(), Arc::new(ManualClock::new()));
    let options = LimitOptions { initial: 1, min: 1, max: 1, ..LimitOptions::default() };
    let store = Limited::new(inner.clone(), clock.clone(), options);
    let digest = put(&*inner, b"some bytes");
    let mut bytes = block_on(store.read_blob(&digest)).unwrap();
    let any = key("any");
    let mut waiting = ask(&store, &any, 1);
    while block_on(bytes.next()).is_some() {}
    assert!(poll(&mut waiting[0]).is_ready());

    let options = LimitOptions { initial: 10, ..LimitOptions::default() };
    let store = Limited::new(inner.clone(), clock, options);
    assert!(get(&store, &Digest::of(b"absent")).is_err());
    assert_eq!(store.limit(), 10);
    inner.always(Some(Fault::Breaks(away())));
    assert!(is_away(&get(&store, &digest)));
    assert_eq!(store.limit(), 7);
}
