//! Cleaning a depot that fails, is used meanwhile, or has things of newer versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use cache_storage::bundle::{CollectOptions, Collected, Depot, Index, Parcel};
use cache_storage::layers::{Clock, StackOptions, SystemClock};
use cache_storage::testing::{Fault, FaultyStore};
use cache_storage::{Expected, MemoryStore, Result, Store, StoreError};
use futures::executor::block_on;

use crate::slow::Slow;
use crate::tools::{
    DAY, LONG_AGO, NOW, build, fetch, nothing_leads_astray, outcome, publish, put_blob,
};

const OPTIONS: CollectOptions =
    CollectOptions { before: NOW - 30 * DAY, orphans_before: NOW - DAY, dry_run: false };

/// A remote with one old and one new build, each of one outcome.
struct Fixture {
    remote: Arc<MemoryStore>,
    local: Arc<MemoryStore>,
    old: Parcel,
    old_index: Index,
}

impl Fixture {
    fn new() -> Self {
        let (remote, local) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
        let depot = Depot::new(remote.clone());
        let old = block_on(outcome(&*local, "old", 1000, LONG_AGO));
        let new = block_on(outcome(&*local, "new", 1000, NOW));
        let one = std::slice::from_ref(&old);
        let old_index = block_on(publish(&depot, &*local, one, &[build("old")], LONG_AGO)).unwrap();
        block_on(publish(&depot, &*local, &[new], &[build("new")], NOW)).unwrap();
        Self { remote, local, old, old_index }
    }

    fn collect(&self) -> Result<Collected> {
        block_on(Depot::new(self.remote.clone()).collect(OPTIONS))
    }
}

#[test]
fn a_collection_that_is_cut_off_anywhere_is_completed_by_the_next() {
    let whole = Fixture::new();
    let clean = whole.collect().unwrap();
    assert_eq!((clean.old_records, clean.orphans, clean.records, clean.packs), (2, 2, 2, 2));
    let error = || StoreError::Unavailable("on purpose".into());
    for (fault, name) in [(Fault::Error(error()), "not done"), (Fault::ErrorAfter(error()), "done")]
    {
        let mut ended = false;
        for number in 0..100 {
            let all = Fixture::new();
            let faulty = Arc::new(FaultyStore::sound(all.remote.clone()));
            let fault = fault.clone();
            faulty.plan(move |call| (call.number >= number).then(|| fault.clone()));
            let cut = block_on(Depot::new(faulty).collect(OPTIONS));
            let when = format!("cut off at call {number}, which was {name}");
            block_on(nothing_leads_astray(all.remote.clone(), &when));
            let rest = all.collect().unwrap();
            assert_eq!((rest.records, rest.packs), (2, 2), "{when}");
            assert_eq!(all.collect().unwrap().orphans, 0, "{when}");
            for pack in all.old_index.places.packs() {
                let there = block_on(all.remote.contains_blobs(&[pack.digest])).unwrap();
                assert_eq!(there, [false], "{when}");
            }
            if cut.is_ok() {
                ended = true;
                break;
            }
        }
        assert!(ended, "every call was tried");
    }
}

/// Runs `meanwhile` before the collection's call of that number; whether there was one.
fn between(all: &Fixture, number: u64, meanwhile: impl Fn() + Send + Sync + 'static) -> bool {
    let faulty = Arc::new(FaultyStore::sound(all.remote.clone()));
    let happened = Arc::new(AtomicBool::new(false));
    let (seen, meanwhile) = (happened.clone(), Arc::new(meanwhile));
    faulty.plan(move |call| {
        if call.number == number {
            seen.store(true, Ordering::SeqCst);
            let meanwhile = meanwhile.clone();
            // An executor does not run inside another.
            std::thread::spawn(move || meanwhile()).join().unwrap();
        }
        None
    });
    block_on(Depot::new(faulty).collect(OPTIONS)).unwrap();
    happened.load(Ordering::SeqCst)
}

#[test]
fn what_is_published_again_during_a_collection_is_not_removed() {
    let mut moments = 0;
    for number in 0..100 {
        let all = Fixture::new();
        let (remote, local) = (all.remote.clone(), all.local.clone());
        let mut again = all.old.clone();
        again.record.entries[0].created = NOW;
        // The same bytes: the same pack.
        let happened = between(&all, number, move || {
            let depot = Depot::new(remote.clone());
            let one = std::slice::from_ref(&again);
            match block_on(publish(&depot, &*local, one, &[build("again")], NOW)) {
                Ok(index) => drop(block_on(fetch(&depot, &index)).unwrap()),
                // It is being removed: later, then.
                Err(StoreError::Conflict) => {}
                Err(other) => panic!("{other}"),
            }
        });
        let when = format!("published before call {number}");
        block_on(nothing_leads_astray(all.remote.clone(), &when));
        if !happened {
            break;
        }
        moments += 1;
    }
    assert!(moments > 8, "{moments}");
}

#[test]
fn a_build_that_uses_old_packs_during_a_collection_keeps_them_or_does_without() {
    let (mut kept, mut without) = (0, 0);
    for number in 0..100 {
        let all = Fixture::new();
        let (remote, index) = (all.remote.clone(), all.old_index.clone());
        let lost = Arc::new(std::sync::Mutex::new(None));
        let tell = lost.clone();
        let happened = between(&all, number, move || {
            let depot = Depot::new(remote.clone());
            let answer = block_on(depot.publish_index(&[build("again")], &index, NOW));
            *tell.lock().unwrap() = Some(match answer {
                Ok(lost) => lost.len(),
                // The index itself is the one that is being removed.
                Err(StoreError::Conflict) => usize::MAX,
                Err(other) => panic!("{other}"),
            });
        });
        if !happened {
            break;
        }
        let when = format!("published before call {number}");
        block_on(nothing_leads_astray(all.remote.clone(), &when));
        let depot = Depot::new(all.remote.clone());
        let found = block_on(depot.find_index(&build("again"))).unwrap();
        match lost.lock().unwrap().unwrap() {
            0 => kept += found.unwrap().units.len(),
            usize::MAX => assert!(found.is_none()),
            _ => {
                assert!(found.unwrap().units.is_empty(), "{when}");
                without += 1;
            }
        };
    }
    assert!(kept > 0 && without > 0, "{kept} {without}");
}

#[test]
fn a_build_leaves_out_what_is_gone_and_says_which_packs() {
    let all = Fixture::new();
    all.collect().unwrap();
    let depot = Depot::new(all.remote.clone());
    let mut index = all.old_index.clone();
    let left = block_on(depot.find_index(&build("new"))).unwrap().unwrap();
    index.places.extend(&left.places);
    index.units.extend(left.units.clone());
    let lost = block_on(depot.publish_index(&[build("both")], &index, NOW)).unwrap();
    assert_eq!(lost, all.old_index.places.packs());
    let found = block_on(depot.find_index(&build("both"))).unwrap().unwrap();
    assert_eq!(found.units, left.units);
    block_on(fetch(&depot, &found)).unwrap();
}

#[test]
fn while_a_record_is_of_a_newer_version_every_pack_stays() {
    let all = Fixture::new();
    let stored = block_on(all.remote.get_record(&all.old.key)).unwrap().unwrap();
    let mut newer = stored.bytes.to_vec();
    newer[4] += 1;
    let key = RecipeKey(Digest::of(b"newer"));
    block_on(all.remote.put_record(&key, Bytes::from(newer), Expected::Absent)).unwrap();
    let collected = all.collect().unwrap();
    assert_eq!((collected.newer, collected.orphans, collected.packs), (1, 0, 4));
    block_on(all.remote.delete_record(&key)).unwrap();
    assert_eq!(all.collect().unwrap().orphans, 2);
}

#[test]
fn a_blob_that_is_none_of_the_depots_stays() {
    let all = Fixture::new();
    let blob = block_on(put_blob(&*all.remote, &Bytes::from_static(b"somebody's")));
    assert_eq!(all.collect().unwrap().orphans, 2);
    assert_eq!(block_on(all.remote.contains_blobs(&[blob])).unwrap(), [true]);
}

/// Who has more requests under way than a limit has places must not wait for another place in between.
#[test]
fn a_collection_does_not_wait_for_itself() {
    let all = Fixture::new();
    for n in 0..100 {
        let one = block_on(outcome(&*all.local, &n.to_string(), 10, LONG_AGO));
        let depot = Depot::new(all.remote.clone());
        block_on(publish(&depot, &*all.local, &[one], &[build("old")], LONG_AGO)).unwrap();
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = StackOptions::default().wrap(Arc::new(Slow(all.remote.clone())), &clock).store;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(block_on(Depot::new(store).collect(OPTIONS))));
    let done = told.recv_timeout(Duration::from_secs(120)).expect("it ends").unwrap();
    // A hundred records more, and the one build that was replaced each time.
    assert_eq!((done.old_records, done.records), (102, 2));
    block_on(nothing_leads_astray(all.remote, "afterwards"));
}
