//! Rules about many at once.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cache_core::{Digest, Entry, EnvValue, Fact, Observation, Outcome, Recipe, Record};

use super::records::{delete, list, put};
use super::tools::{
    Promised, at_once, must_be, pieces, read, remove, rule, task, unique_bytes, unique_key, write,
};
use super::{Verdict, Violation};
use crate::{Expected, Store, StoreError, append_entry};

const WRITERS: usize = 8;

pub(super) async fn one_of_many_creators_wins(store: &dyn Store) -> Verdict {
    for _ in 0..10 {
        let key = unique_key();
        only_one_wins(store, &key, Expected::Absent, "creators").await?;
        delete(store, &key).await?;
    }
    Ok(())
}

pub(super) async fn one_of_many_replacers_wins(store: &dyn Store) -> Verdict {
    for _ in 0..10 {
        let key = unique_key();
        let revision = put(store, &key, &unique_bytes(100), Expected::Absent).await?;
        only_one_wins(store, &key, Expected::Revision(revision), "replacers").await?;
        delete(store, &key).await?;
    }
    Ok(())
}

async fn only_one_wins(
    store: &dyn Store,
    key: &cache_core::RecipeKey,
    expected: Expected,
    who: &str,
) -> Verdict {
    let offers: Vec<_> = (0..WRITERS).map(|_| unique_bytes(5000)).collect();
    let tasks =
        offers.iter().map(|offer| task(store.put_record(key, offer.clone(), expected.clone())));
    let results = at_once(store, tasks.collect()).await?;
    let mut winners = Vec::new();
    for (offer, result) in offers.iter().zip(results) {
        match result {
            Ok(revision) => winners.push((offer, revision)),
            Err(StoreError::Conflict) => {}
            Err(e) => {
                return Err(Violation(format!(
                    "of {who} at once, all but one must fail with Conflict, not {e}"
                )));
            }
        }
    }
    rule(winners.len() == 1, || {
        format!("of {who} at once in the same state, exactly one must win, not {}", winners.len())
    })?;
    let found = store.get_record(key).await.promised("getting a record")?;
    let found = found.ok_or_else(|| Violation("the winner's record must be there".into()))?;
    let (offer, revision) = &winners[0];
    rule(found.bytes == **offer && found.revision == *revision, || {
        "the record must be that of the one whose write succeeded".into()
    })
}

pub(super) async fn appending_loses_nothing(store: &dyn Store) -> Verdict {
    let mut recipe = Recipe::new();
    recipe.push("conformance", unique_bytes(32).to_vec());
    let recipe = &recipe;
    // Two for each writer are as many as a record holds.
    let tasks = (0..WRITERS).map(|writer| {
        task(async move {
            for n in [writer, writer + WRITERS] {
                // Giving up after many lost races is allowed; losing what was accepted is not.
                while let Err(e) = append_entry(store, recipe, entry(n)).await {
                    if !matches!(e, StoreError::Conflict) {
                        return Err(e);
                    }
                }
            }
            Ok(())
        })
    });
    for result in at_once(store, tasks.collect()).await? {
        result.promised("appending an entry under contention")?;
    }
    let stored = store.get_record(&recipe.key()).await.promised("getting a record")?;
    let stored =
        stored.ok_or_else(|| Violation("a record that was appended to must be there".into()))?;
    let record =
        Record::decode(&stored.bytes).promised("decoding a record that was appended to")?;
    let mut found: Vec<_> = record.entries.iter().map(|entry| entry.created).collect();
    found.sort_unstable();
    let all: Vec<_> = (0..2 * WRITERS as u64).collect();
    rule(found == all, || {
        format!("every entry appended by {WRITERS} writers must be in the record; found {found:?}")
    })?;
    delete(store, &recipe.key()).await
}

fn entry(n: usize) -> Entry {
    let fact = Fact::Env { name: n.to_string().into_bytes(), value: EnvValue::Unset };
    Entry {
        observation: Observation::new(vec![fact]),
        outcome: Outcome::default(),
        created: n as u64,
    }
}

pub(super) async fn readers_never_see_parts_of_a_record(store: &dyn Store) -> Verdict {
    let key = &unique_key();
    let states = &[unique_bytes(200_000), unique_bytes(150_000)];
    let mut revision = put(store, key, &states[0], Expected::Absent).await?;
    let done = &AtomicBool::new(false);
    let mut tasks = vec![task(async move {
        let mut result = Ok(());
        for n in 1..30 {
            match put(store, key, &states[n % 2], Expected::Revision(revision)).await {
                Ok(new) => revision = new,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        result
    })];
    for _ in 0..3 {
        tasks.push(task(async move {
            loop {
                let last = done.load(Ordering::Relaxed);
                let found = store
                    .get_record(key)
                    .await
                    .promised("getting a record that is being replaced")?;
                let whole = found.is_some_and(|found| states.contains(&found.bytes));
                rule(whole, || {
                    "a record that is being replaced must be there, whole, old or new".into()
                })?;
                if last || store.capabilities().remote {
                    return Ok(());
                }
            }
        }));
    }
    at_once(store, tasks).await?.into_iter().collect::<Verdict>()?;
    delete(store, key).await
}

pub(super) async fn readers_never_see_parts_of_a_blob(store: &dyn Store) -> Verdict {
    let bytes = &unique_bytes(2_000_000);
    let digest = &Digest::of(bytes);
    let written = &AtomicBool::new(false);
    let mut tasks = vec![task(async move {
        let result = write(store, bytes).await;
        written.store(true, Ordering::SeqCst);
        result.map(|_| ())
    })];
    for _ in 0..3 {
        tasks.push(task(async move {
            loop {
                let last = written.load(Ordering::SeqCst);
                let claimed = store.contains_blobs(&[*digest]).await.promised("contains_blobs")?;
                let found =
                    read(store, digest).await.promised("reading a blob that is being written")?;
                rule(claimed == [false] || found.is_some(), || {
                    "a blob that is said to be there must be readable".into()
                })?;
                rule(found.as_ref().is_none_or(|found| found == bytes), || {
                    "a blob that is being written must be absent or whole".into()
                })?;
                if last || store.capabilities().remote {
                    return Ok(());
                }
            }
        }));
    }
    at_once(store, tasks).await?.into_iter().collect::<Verdict>()?;
    remove(store, digest).await
}

pub(super) async fn many_writers_of_one_blob_succeed(store: &dyn Store) -> Verdict {
    for _ in 0..5 {
        let bytes = unique_bytes(300_001);
        let digest = Digest::of(&bytes);
        let tasks = (0..WRITERS).map(|_| {
            let stream = pieces(&bytes, &[10_000, 77]);
            task(store.write_blob(&digest, bytes.len() as u64, stream))
        });
        for result in at_once(store, tasks.collect()).await? {
            result.promised("each of many writes of one blob at once")?;
        }
        must_be(store, &bytes, "a blob that many wrote at once").await?;
        remove(store, &digest).await?;
    }
    Ok(())
}

pub(super) async fn listing_goes_on_during_writes(store: &dyn Store) -> Verdict {
    let before: Vec<_> = (0..10).map(|_| unique_key()).collect();
    for key in &before {
        put(store, key, &Bytes::from_static(b"x"), Expected::Absent).await?;
    }
    let before = &before;
    let mut tasks = Vec::new();
    for _ in 0..2 {
        tasks.push(task(async move {
            for _ in 0..20 {
                let key = unique_key();
                put(store, &key, &unique_bytes(10), Expected::Absent).await?;
                delete(store, &key).await?;
            }
            Ok(())
        }));
        tasks.push(task(async move {
            for _ in 0..3 {
                let listed = list(store).await?;
                rule(before.iter().all(|key| listed.contains_key(key)), || {
                    "a listing must give every record that is there from its beginning to its end"
                        .into()
                })?;
            }
            Ok(())
        }));
    }
    at_once(store, tasks).await?.into_iter().collect::<Verdict>()?;
    for key in before {
        delete(store, key).await?;
    }
    Ok(())
}
