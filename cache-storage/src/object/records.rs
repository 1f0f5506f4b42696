//! Records: one object each, replaced by compare-and-swap.

use bytes::Bytes;
use cache_core::RecipeKey;
use futures::StreamExt;
use object_store::{ObjectMeta, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};

use super::ObjectStoreBackend;
use super::ask::{ask, collect, next_listed};
use super::blame::Doing;
use super::encoder::encode;
use super::envelope::{Damage, Decoder};
use super::swap::{self, Asks, Swap};
use crate::{Expected, RecordKeyStream, Result, Revision, StoreError, StoredRecord};

/// Longest record. A longer object is garbage, and read this far, which no decoder accepts.
const MAX_RECORD: usize = 64 << 20;

/// A record as it was found.
struct Found {
    bytes: Bytes,
    meta: ObjectMeta,
}

impl ObjectStoreBackend {
    pub(super) async fn load_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        Ok(self
            .find_record(key)
            .await?
            .map(|found| StoredRecord { revision: self.revision(&found), bytes: found.bytes }))
    }

    async fn find_record(&self, key: &RecipeKey) -> Result<Option<Found>> {
        let explain = |failure: super::ask::Failure| {
            failure.explain(&self.blame, Doing::Reading, &format!("reading record {key}"))
        };
        let path = self.layout.record(key);
        let answer = match ask(self.store.get(&path)).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_absent() => return Ok(None),
            Err(failure) => return Err(explain(failure)),
        };
        let meta = answer.meta.clone();
        let object =
            collect(answer.into_stream(), MAX_RECORD, self.idle).await.map_err(explain)?.freeze();
        // What is damaged is handed out as it is: no decoder of records accepts it, and a writer
        // needs its revision to replace it.
        let bytes = decode(&object).unwrap_or(object);
        Ok(Some(Found { bytes, meta }))
    }

    fn revision(&self, found: &Found) -> Revision {
        let meta = &found.meta;
        match &self.swap {
            Swap::Native => swap::native_revision(meta.e_tag.as_deref(), meta.version.as_deref()),
            Swap::Locked { .. } => swap::content_revision(&found.bytes),
        }
    }

    pub(super) async fn swap_record(
        &self,
        key: &RecipeKey,
        bytes: &Bytes,
        expected: &Expected,
    ) -> Result<Revision> {
        self.check_writable()?;
        if bytes.len() > MAX_RECORD {
            return Err(StoreError::Refused(format!(
                "record {key} has {} bytes; the most is {MAX_RECORD}",
                bytes.len()
            )));
        }
        let object = encode(bytes).map_err(|e| StoreError::write(format!("record {key}"), e))?;
        let payload = PutPayload::from_bytes(object.freeze());
        let (locks, asks) = match &self.swap {
            Swap::Native => {
                let mode = swap::mode(expected).ok_or(StoreError::Conflict)?;
                return self.put_record(key, payload, mode).await;
            }
            Swap::Locked { locks, asks } => (locks, *asks),
        };
        let _held = swap::lock(locks, key).await;
        let found = self.find_record(key).await?;
        let mode = match (&found, expected) {
            (None, Expected::Absent) if asks == Asks::Nothing => PutMode::Overwrite,
            (None, Expected::Absent) => PutMode::Create,
            (Some(found), Expected::Revision(expected)) if self.revision(found) == *expected => {
                let e_tag = found.meta.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
                match e_tag.filter(|_| asks == Asks::All) {
                    Some(tag) => PutMode::Update(UpdateVersion { e_tag: Some(tag), version: None }),
                    None => PutMode::Overwrite,
                }
            }
            _ => return Err(StoreError::Conflict),
        };
        self.put_record(key, payload, mode).await?;
        Ok(swap::content_revision(bytes))
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<Revision> {
        let path = self.layout.record(key);
        let put = self.store.put_opts(&path, payload, mode.into());
        match ask(put).await {
            Ok(put) => Ok(swap::native_revision(put.e_tag.as_deref(), put.version.as_deref())),
            Err(failure) if failure.is_conflict() => Err(StoreError::Conflict),
            Err(failure) => {
                let what = format!("writing record {key}");
                Err(failure.explain(&self.blame, Doing::Writing, &what))
            }
        }
    }

    pub(super) async fn remove_record(&self, key: &RecipeKey) -> Result<()> {
        self.remove(&self.layout.record(key), &format!("removing record {key}")).await
    }

    /// Page by page as the reader asks for more.
    pub(super) fn list_keys(&self) -> RecordKeyStream<'_> {
        let pages = self.store.list(Some(self.layout.records()));
        let keys = futures::stream::unfold(Some(pages), move |pages| async move {
            let mut pages = pages?;
            loop {
                match next_listed(&mut pages).await {
                    Ok(None) => return None,
                    Ok(Some(meta)) => {
                        if let Some(key) = self.layout.record_at(&meta.location) {
                            return Some((Ok(key), Some(pages)));
                        }
                    }
                    Err(failure) if failure.is_absent() => return None,
                    Err(failure) => {
                        let why = failure.explain(&self.blame, Doing::Reading, "listing records");
                        return Some((Err(why), None));
                    }
                }
            }
        });
        self.runtime.enter_stream(keys.boxed()).boxed()
    }
}

fn decode(object: &[u8]) -> Result<Bytes, Damage> {
    let (mut decoder, mut whole) = (Decoder::new(), Vec::new());
    decoder.push(object);
    while let Some(bytes) = decoder.next()? {
        whole.extend_from_slice(&bytes);
        if whole.len() > MAX_RECORD {
            return Err(Damage::Long);
        }
    }
    decoder.finish()?;
    Ok(whole.into())
}
