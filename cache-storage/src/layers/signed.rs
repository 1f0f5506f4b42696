//! Only records that somebody trusted has signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::wire::{DecodeError, SignedRecord, open_signed, seal_signed};
use cache_core::{Digest, Hasher, RecipeKey};

use super::{PublicKey, SecretKey};
use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};

/// What is signed is this domain's digest of the record's key and bytes, so that a record is not
/// one of another key, and a signature not one of anything else.
const CONTEXT: &str = "larder 2026-11 signed record v1";

/// Who is trusted, and who writes.
#[derive(Clone, Debug, Default)]
pub struct SignedOptions {
    /// Whose records exist.
    pub trusted: Vec<PublicKey>,
    /// Signs what is written, and is trusted. Without it nothing can be written.
    pub signer: Option<SecretKey>,
}

/// Records that were not served, by why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ignored {
    /// Not signed at all.
    pub unsigned: u64,
    /// Signed by a key that is not trusted.
    pub foreign: u64,
    /// With a signature that is not of its key, this record and this place; or damaged.
    pub forged: u64,
}

/// Puts each record that is written into an envelope with a signature
/// ([`cache_core::wire::seal_signed`]), and takes those that are read out of it again, if one of the
/// trusted keys made the signature. All other records do not exist: they are absent to readers, are
/// counted, and a writer replaces them.
///
/// So whoever can write to a bucket, but has none of the keys, can take records away but bring none:
/// a record names its blobs by digest, and so vouches for their bytes too (blobs need
/// [`Verified`](super::Verified) for this). An old record of a trusted key can be put back in the
/// place of a newer one of the same recipe; it is right all the same.
///
/// Two groups that do not trust each other should not share a place: they would replace each
/// other's records for ever. Listing gives the keys of records that do not exist for this reader as
/// well; deleting deletes whatever is there.
#[derive(Debug)]
pub struct Signed {
    inner: Arc<dyn Store>,
    options: SignedOptions,
    unsigned: AtomicU64,
    foreign: AtomicU64,
    forged: AtomicU64,
}

impl Signed {
    /// `inner`, for readers that trust these keys.
    pub fn new(inner: Arc<dyn Store>, mut options: SignedOptions) -> Self {
        options.trusted.extend(options.signer.as_ref().map(SecretKey::public));
        let [unsigned, foreign, forged] = [0; 3].map(AtomicU64::new);
        Self { inner, options, unsigned, foreign, forged }
    }

    /// How many records were there and did not exist.
    #[must_use]
    pub fn ignored(&self) -> Ignored {
        let [unsigned, foreign, forged] = [&self.unsigned, &self.foreign, &self.forged]
            .map(|count| count.load(Ordering::Relaxed));
        Ignored { unsigned, foreign, forged }
    }

    fn signer(&self) -> Result<&SecretKey> {
        let absent = || StoreError::ReadOnly("there is no key to sign records with".into());
        self.options.signer.as_ref().ok_or_else(absent)
    }

    /// The record inside, if it is by somebody trusted; else which counter says why not.
    fn open(&self, key: &RecipeKey, bytes: &Bytes) -> Result<Bytes, &AtomicU64> {
        let signed = open_signed(bytes).map_err(|error| match error {
            DecodeError::Magic | DecodeError::Kind { .. } => &self.unsigned,
            _ => &self.forged,
        })?;
        let by = |trusted: &&PublicKey| *trusted.as_bytes() == signed.key;
        let signer = self.options.trusted.iter().find(by).ok_or(&self.foreign)?;
        if !signer.has_signed(&digest_of(key, signed.record), &signed.signature) {
            return Err(&self.forged);
        }
        Ok(bytes.slice_ref(signed.record))
    }

    /// Replaces a record that does not exist for us. `None` when another writer was faster.
    async fn replace(&self, key: &RecipeKey, sealed: &Bytes) -> Result<Option<Revision>> {
        let Some(found) = self.inner.get_record(key).await? else { return Ok(None) };
        if self.open(key, &found.bytes).is_ok() {
            return Err(StoreError::Conflict);
        }
        let expected = Expected::Revision(found.revision);
        match self.inner.put_record(key, sealed.clone(), expected).await {
            Err(StoreError::Conflict) => Ok(None),
            other => other.map(Some),
        }
    }
}

fn digest_of(key: &RecipeKey, record: &[u8]) -> Digest {
    Hasher::keyed(CONTEXT).field(key.0.as_bytes()).field(record).finish()
}

#[async_trait]
impl Store for Signed {
    fn capabilities(&self) -> Capabilities {
        let can = self.inner.capabilities();
        can.with_write(can.write && self.options.signer.is_some()).with_files(false)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let Some(StoredRecord { bytes, revision }) = self.inner.get_record(key).await? else {
            return Ok(None);
        };
        match self.open(key, &bytes) {
            Ok(bytes) => Ok(Some(StoredRecord { bytes, revision })),
            Err(count) => {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        let signer = self.signer()?;
        let signature = signer.sign(&digest_of(key, &bytes));
        let signed = SignedRecord { key: *signer.public().as_bytes(), signature, record: &bytes };
        let sealed = Bytes::from(seal_signed(&signed));
        if let Expected::Revision(_) = expected {
            return self.inner.put_record(key, sealed, expected).await;
        }
        for _ in 0..8 {
            match self.inner.put_record(key, sealed.clone(), Expected::Absent).await {
                Err(StoreError::Conflict) => {}
                other => return other,
            }
            if let Some(revision) = self.replace(key, &sealed).await? {
                return Ok(revision);
            }
        }
        Err(StoreError::Conflict)
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        self.inner.list_records().await
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.signer()?;
        self.inner.delete_record(key).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.inner.contains_blobs(digests).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        self.inner.read_blob(digest).await
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        self.inner.read_sized_blob(digest).await
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        self.signer()?;
        self.inner.write_blob(digest, size, bytes).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.signer()?;
        self.inner.delete_blob(digest).await
    }
}

#[cfg(test)]
mod tests {
    use cache_core::{Content, Entry, Observation, Outcome, Output, Recipe, Role, Template, wire};
    use futures::executor::block_on;

    use super::super::tests::key;
    use super::*;
    use crate::{MemoryStore, append_entry};

    fn signer(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn writer(inner: &Arc<MemoryStore>, seed: u8) -> Signed {
        let options = SignedOptions { trusted: Vec::new(), signer: Some(signer(seed)) };
        Signed::new(inner.clone(), options)
    }

    fn reader(inner: &Arc<MemoryStore>, seed: u8) -> Signed {
        let options = SignedOptions { trusted: vec![signer(seed).public()], signer: None };
        Signed::new(inner.clone(), options)
    }

    fn put(store: &dyn Store, name: &str, bytes: &'static [u8]) -> Result<Revision> {
        block_on(store.put_record(&key(name), Bytes::from_static(bytes), Expected::Absent))
    }

    fn get(store: &dyn Store, name: &str) -> Option<Bytes> {
        block_on(store.get_record(&key(name))).unwrap().map(|record| record.bytes)
    }

    #[test]
    fn only_records_of_trusted_keys_exist() {
        let inner = Arc::new(MemoryStore::new());
        put(&writer(&inner, 1), "ours", b"ours").unwrap();
        put(&writer(&inner, 2), "theirs", b"theirs").unwrap();
        put(&*inner, "nobody's", b"nobody's").unwrap();
        let reader = reader(&inner, 1);
        assert_eq!(get(&reader, "ours").unwrap(), "ours");
        assert!(get(&reader, "theirs").is_none());
        assert!(get(&reader, "nobody's").is_none());
        assert_eq!(reader.ignored(), Ignored { unsigned: 1, foreign: 1, forged: 0 });
        assert!(!reader.capabilities().write);
        assert!(matches!(put(&reader, "more", b""), Err(StoreError::ReadOnly(_))));
    }

    #[test]
    fn a_record_in_another_place_or_changed_is_forged() {
        let inner = Arc::new(MemoryStore::new());
        put(&writer(&inner, 1), "ours", b"ours").unwrap();
        let sealed = get(&*inner, "ours").unwrap();
        let reader = reader(&inner, 1);
        block_on(inner.put_record(&key("moved"), sealed.clone(), Expected::Absent)).unwrap();
        assert!(get(&reader, "moved").is_none());
        let signed = open_signed(&sealed).unwrap();
        let forged = [
            SignedRecord { record: b"changed", ..signed },
            SignedRecord { signature: [0; 64], ..signed },
        ];
        for (n, forged) in forged.into_iter().enumerate() {
            let name = format!("forged {n}");
            let bytes = Bytes::from(seal_signed(&forged));
            block_on(inner.put_record(&key(&name), bytes, Expected::Absent)).unwrap();
            assert!(get(&reader, &name).is_none());
        }
        let cut = sealed.slice(..sealed.len() - 1);
        block_on(inner.put_record(&key("cut"), cut, Expected::Absent)).unwrap();
        assert!(get(&reader, "cut").is_none());
        assert_eq!(reader.ignored(), Ignored { unsigned: 0, foreign: 0, forged: 4 });
    }

    #[test]
    fn a_writer_replaces_what_does_not_exist_for_it_and_nothing_else() {
        let inner = Arc::new(MemoryStore::new());
        put(&*inner, "unsigned", b"old").unwrap();
        put(&writer(&inner, 2), "foreign", b"old").unwrap();
        let writer = writer(&inner, 1);
        for name in ["unsigned", "foreign"] {
            put(&writer, name, b"new").unwrap();
            assert_eq!(get(&writer, name).unwrap(), "new");
            assert!(matches!(put(&writer, name, b"newer"), Err(StoreError::Conflict)));
        }
    }

    #[test]
    fn a_garbage_collector_finds_the_blobs_of_a_signed_record() {
        let inner = Arc::new(MemoryStore::new());
        let mut recipe = Recipe::new();
        recipe.push("name", "any");
        let blob = (Digest::of(b"out"), 3);
        let outputs = vec![Output {
            role: Role::Other,
            path: Template::Plain(b"out".to_vec()),
            content: Content::Blob { digest: blob.0, size: blob.1 },
            mode: 0o644,
        }];
        let outcome = Outcome { outputs, ..Outcome::default() };
        let entry = Entry { observation: Observation::default(), outcome, created: 1 };
        let writer = writer(&inner, 1);
        block_on(append_entry(&writer, &recipe, entry.clone())).unwrap();
        let stored = block_on(inner.get_record(&recipe.key())).unwrap().unwrap();
        assert_eq!(wire::refs(&stored.bytes).unwrap(), [blob]);
        let read = block_on(writer.get_record(&recipe.key())).unwrap().unwrap();
        assert_eq!(cache_core::Record::decode(&read.bytes).unwrap().entries, [entry]);
    }
}
