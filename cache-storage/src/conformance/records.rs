//! Rules about records.

use std::collections::HashMap;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use super::tools::{Promised, pieces, rule, unique_bytes, unique_key};
use super::{Verdict, Violation};
use crate::{Expected, Revision, Store, StoreError};

pub(super) async fn absent_record_is_none(store: &dyn Store) -> Verdict {
    let found = store.get_record(&unique_key()).await.promised("getting an absent record")?;
    rule(found.is_none(), || "get_record of a key never written must give None".into())
}

pub(super) async fn read_only_store_refuses_writes(store: &dyn Store) -> Verdict {
    let refused = |what: &str, result: Result<(), StoreError>| {
        rule(matches!(result, Err(StoreError::ReadOnly(_))), || {
            format!(
                "{what} must fail with ReadOnly on a store without the write capability, not give {result:?}"
            )
        })
    };
    let (key, bytes) = (unique_key(), unique_bytes(100));
    let put = store.put_record(&key, bytes.clone(), Expected::Absent).await;
    refused("put_record", put.map(|_| ()))?;
    let digest = Digest::of(&bytes);
    refused("write_blob", store.write_blob(&digest, 100, pieces(&bytes, &[64])).await)?;
    refused("delete_record", store.delete_record(&key).await)?;
    refused("delete_blob", store.delete_blob(&digest).await)
}

pub(super) async fn record_comes_back_as_written(store: &dyn Store) -> Verdict {
    // Records are bytes to a store, whatever they are.
    for bytes in [unique_bytes(1), unique_bytes(20_000), unique_bytes(1 << 20), Bytes::new()] {
        let key = unique_key();
        let revision = put(store, &key, &bytes, Expected::Absent).await?;
        let found = store.get_record(&key).await.promised("getting a record")?;
        let found = found
            .ok_or_else(|| Violation("get_record after put_record must give the record".into()))?;
        rule(found.bytes == bytes, || {
            format!("a record of {} bytes must come back as written", bytes.len())
        })?;
        rule(found.revision == revision, || {
            "get_record must give the revision that put_record gave".into()
        })?;
        delete(store, &key).await?;
    }
    Ok(())
}

pub(super) async fn creating_conflicts_with_what_is_there(store: &dyn Store) -> Verdict {
    let (key, first, second) = (unique_key(), unique_bytes(50), unique_bytes(60));
    put(store, &key, &first, Expected::Absent).await?;
    must_conflict(store, &key, &second, Expected::Absent, "creating a record that is there")
        .await?;
    must_hold(store, &key, &first, "after a failed creation").await?;
    delete(store, &key).await
}

pub(super) async fn replacing_needs_the_current_revision(store: &dyn Store) -> Verdict {
    let (key, first, second, third) =
        (unique_key(), unique_bytes(50), unique_bytes(50), unique_bytes(70));
    let old = put(store, &key, &first, Expected::Absent).await?;
    let new = put(store, &key, &second, Expected::Revision(old.clone())).await?;
    rule(old != new, || "the revision must change when the bytes do".into())?;
    must_hold(store, &key, &second, "after replacing").await?;
    must_conflict(store, &key, &third, Expected::Revision(old), "replacing by a stale revision")
        .await?;
    must_hold(store, &key, &second, "after a failed replacement").await?;
    put(store, &key, &third, Expected::Revision(new)).await?;
    must_hold(store, &key, &third, "after replacing again").await?;
    delete(store, &key).await
}

pub(super) async fn replacing_what_is_absent_conflicts(store: &dyn Store) -> Verdict {
    let (key, bytes) = (unique_key(), unique_bytes(50));
    let revision = put(store, &key, &bytes, Expected::Absent).await?;
    delete(store, &key).await?;
    must_conflict(store, &key, &bytes, Expected::Revision(revision), "replacing a deleted record")
        .await?;
    let found = store.get_record(&key).await.promised("getting an absent record")?;
    rule(found.is_none(), || "a failed replacement must not create the record".into())
}

pub(super) async fn deleted_record_is_absent(store: &dyn Store) -> Verdict {
    let (key, other, bytes) = (unique_key(), unique_key(), unique_bytes(50));
    delete(store, &key).await?; // absent is success
    put(store, &key, &bytes, Expected::Absent).await?;
    put(store, &other, &bytes, Expected::Absent).await?;
    delete(store, &key).await?;
    let found = store.get_record(&key).await.promised("getting a deleted record")?;
    rule(found.is_none(), || "a deleted record must be absent".into())?;
    must_hold(store, &other, &bytes, "after deleting another record").await?;
    put(store, &key, &bytes, Expected::Absent).await?;
    must_hold(store, &key, &bytes, "created again after deletion").await?;
    delete(store, &key).await?;
    delete(store, &other).await
}

pub(super) async fn list_has_what_was_written(store: &dyn Store) -> Verdict {
    let keys: Vec<_> = (0..20).map(|_| unique_key()).collect();
    for key in &keys {
        put(store, key, &unique_bytes(10), Expected::Absent).await?;
    }
    delete(store, &keys[0]).await?;
    let listed = list(store).await?;
    for key in &keys[1..] {
        let times = listed.get(key).copied().unwrap_or_default();
        rule(times == 1, || {
            format!("list_records must give each record once; gave one {times} times")
        })?;
    }
    rule(!listed.contains_key(&keys[0]), || "list_records must not give a deleted record".into())?;
    for key in &keys {
        delete(store, key).await?;
    }
    Ok(())
}

pub(super) async fn unlisted_store_says_so(store: &dyn Store) -> Verdict {
    let result = store.list_records().await.map(|_| ());
    rule(matches!(result, Err(StoreError::Unsupported(_))), || {
        format!("list_records of an unlisted store must fail with Unsupported, not give {result:?}")
    })
}

/// How often each key is listed.
pub(super) async fn list(store: &dyn Store) -> Result<HashMap<RecipeKey, u32>, Violation> {
    let mut stream = store.list_records().await.promised("listing records")?;
    let mut listed = HashMap::new();
    while let Some(key) = stream.next().await {
        *listed.entry(key.promised("each key of a listing")?).or_default() += 1;
    }
    Ok(listed)
}

pub(super) async fn put(
    store: &dyn Store,
    key: &RecipeKey,
    bytes: &Bytes,
    expected: Expected,
) -> Result<Revision, Violation> {
    let what = match expected {
        Expected::Absent => "creating a record that is absent",
        Expected::Revision(_) => "replacing a record by its current revision",
    };
    store.put_record(key, bytes.clone(), expected).await.promised(what)
}

pub(super) async fn delete(store: &dyn Store, key: &RecipeKey) -> Verdict {
    store.delete_record(key).await.promised("deleting a record, there or absent,")
}

async fn must_hold(store: &dyn Store, key: &RecipeKey, bytes: &Bytes, when: &str) -> Verdict {
    let found = store.get_record(key).await.promised("getting a record")?;
    let found = found.map(|record| record.bytes);
    rule(found.as_ref() == Some(bytes), || {
        format!("{when}, get_record must give the bytes last written")
    })
}

async fn must_conflict(
    store: &dyn Store,
    key: &RecipeKey,
    bytes: &Bytes,
    expected: Expected,
    what: &str,
) -> Verdict {
    let result = store.put_record(key, bytes.clone(), expected).await;
    rule(matches!(result, Err(StoreError::Conflict)), || {
        format!("{what} must fail with Conflict, not give {result:?}")
    })
}
