//! A store that breaks the contract in one chosen way.

mod files;

use std::fs;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cache_core::{Digest, RecipeKey};
use cache_storage::{
    BlobFiles, BlobStream, Capabilities, DiskStore, Expected, RecordKeyStream, Result, Revision,
    SizedBlob, Store, StoreError, StoredRecord,
};
use futures::StreamExt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    InventsRecords,
    AbsentBlobIsAnIoError,
    HidesItsFiles,
    AcceptsWritesSilently,
    CutsRecords,
    CreatesOverExisting,
    IgnoresRevisions,
    ReplaceCreates,
    KeepsDeletedRecords,
    FailsToDeleteTheAbsent,
    ListsNothing,
    ListsTwice,
    ListsThoughUnlisted,
    CutsBlobs,
    RefusesEmptyBlobs,
    DropsOddPieces,
    ChecksNoDigest,
    ChecksNoLength,
    StreamErrorEndsTheBlob,
    FailsToRewrite,
    ContainsInReverse,
    ContainsAThousand,
    TellsWrongSizes,
    StoresAsItComes,
    LosesWhatWasReadInPart,
    KeepsDeletedBlobs,
    BlobsAreRecords,
    CutsOffReaders,
    RacyRecords,
    TornRecords,
    TornBlobs,
    ListingFailsUnderWrites,
    RacyBlobWrites,
    LinksPrivate,
    KeepsOldMtime,
    WritableLinks,
    PlacesWrongBytes,
    RefusesToReplace,
    TruncatesOnAbsent,
    LeavesTemporaries,
    AdoptsByMoving,
    AdoptsUnchecked,
    PinsAnything,
    MemoByName,
}

use Fault as F;

/// Each fault with checks that must find it.
pub(crate) const FAULTS: &[(Fault, &[&str])] = &[
    (F::InventsRecords, &["absent_record_is_none"]),
    (F::AbsentBlobIsAnIoError, &["absent_blob_is_absent"]),
    (F::HidesItsFiles, &["files_are_as_declared"]),
    (F::AcceptsWritesSilently, &["read_only_store_refuses_writes"]),
    (F::CutsRecords, &["record_comes_back_as_written"]),
    (
        F::CreatesOverExisting,
        &["creating_conflicts_with_what_is_there", "one_of_many_creators_wins"],
    ),
    (F::IgnoresRevisions, &["replacing_needs_the_current_revision", "one_of_many_replacers_wins"]),
    (F::ReplaceCreates, &["replacing_what_is_absent_conflicts"]),
    (F::KeepsDeletedRecords, &["deleted_record_is_absent", "list_has_what_was_written"]),
    (F::FailsToDeleteTheAbsent, &["deleted_record_is_absent", "deleted_blob_is_absent"]),
    (F::ListsNothing, &["list_has_what_was_written"]),
    (F::ListsTwice, &["list_has_what_was_written"]),
    (F::ListsThoughUnlisted, &["unlisted_store_says_so"]),
    (F::CutsBlobs, &["blob_comes_back_as_written"]),
    (F::RefusesEmptyBlobs, &["empty_blob_is_a_blob"]),
    (F::DropsOddPieces, &["big_blob_in_odd_pieces"]),
    (F::ChecksNoDigest, &["wrong_digest_is_refused"]),
    (F::ChecksNoLength, &["wrong_length_is_refused"]),
    (F::StreamErrorEndsTheBlob, &["failing_stream_stores_nothing"]),
    (F::FailsToRewrite, &["writing_a_blob_again_succeeds", "many_writers_of_one_blob_succeed"]),
    (F::ContainsInReverse, &["contains_answers_in_order"]),
    (F::ContainsAThousand, &["contains_takes_any_number"]),
    (F::TellsWrongSizes, &["size_is_told_right_or_not_at_all"]),
    (F::StoresAsItComes, &["dropped_write_stores_nothing"]),
    (F::LosesWhatWasReadInPart, &["readers_go_at_their_own_pace"]),
    (F::KeepsDeletedBlobs, &["deleted_blob_is_absent", "writing_a_blob_again_succeeds"]),
    (F::BlobsAreRecords, &["records_and_blobs_do_not_mix"]),
    (F::CutsOffReaders, &["deleting_does_not_disturb_readers"]),
    (
        F::RacyRecords,
        &["one_of_many_creators_wins", "one_of_many_replacers_wins", "appending_loses_nothing"],
    ),
    (F::TornRecords, &["readers_never_see_parts_of_a_record"]),
    (F::TornBlobs, &["readers_never_see_parts_of_a_blob"]),
    (F::ListingFailsUnderWrites, &["listing_goes_on_during_writes"]),
    (F::RacyBlobWrites, &["many_writers_of_one_blob_succeed"]),
    (F::LinksPrivate, &["private_file_has_an_inode_of_its_own", "private_file_can_be_edited"]),
    (F::KeepsOldMtime, &["private_file_is_stamped_now"]),
    (F::WritableLinks, &["linked_file_has_the_bytes"]),
    (F::PlacesWrongBytes, &["linked_file_has_the_bytes", "private_file_has_an_inode_of_its_own"]),
    (F::RefusesToReplace, &["placing_replaces_what_is_there"]),
    (F::TruncatesOnAbsent, &["placing_what_is_absent_changes_nothing"]),
    (F::LeavesTemporaries, &["placing_leaves_nothing_else"]),
    (F::AdoptsByMoving, &["adopted_file_is_a_blob"]),
    (F::AdoptsUnchecked, &["adopting_wrong_bytes_is_refused"]),
    (F::PinsAnything, &["pin_needs_a_record"]),
    (F::MemoByName, &["digest_of_a_file_follows_its_content"]),
];

#[derive(Debug)]
pub(crate) struct Broken {
    inner: DiskStore,
    fault: Fault,
    writing: AtomicUsize,
    memo: std::sync::Mutex<Option<Digest>>,
}

impl Broken {
    pub(crate) fn new(inner: DiskStore, fault: Fault) -> Self {
        Self { inner, fault, writing: AtomicUsize::new(0), memo: std::sync::Mutex::new(None) }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    async fn current(&self, key: &RecipeKey) -> Result<Expected> {
        let stored = self.inner.get_record(key).await?;
        Ok(stored.map_or(Expected::Absent, |stored| Expected::Revision(stored.revision)))
    }

    /// Writes whatever the state is.
    async fn force(&self, key: &RecipeKey, bytes: &Bytes) -> Result<Revision> {
        loop {
            let expected = self.current(key).await?;
            match self.inner.put_record(key, bytes.clone(), expected).await {
                Err(StoreError::Conflict) => {}
                other => return other,
            }
        }
    }

    async fn store_whole(&self, bytes: Bytes) -> Result<()> {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.inner.write_blob(&digest, size, futures::stream::iter([Ok(bytes)]).boxed()).await
    }

    /// Puts bytes under a digest that is not theirs, behind the store's back.
    fn plant(&self, digest: &Digest, bytes: &[u8]) {
        let path = self.blob_path(digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn blob_path(&self, digest: &Digest) -> std::path::PathBuf {
        let hex = digest.to_hex();
        self.inner.root().join("blobs-v1").join(&hex[..2]).join(&hex[2..])
    }
}

/// A file that does not outlive a reader.
struct RemovedWhenDropped(Option<std::path::PathBuf>);

impl Drop for RemovedWhenDropped {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            fs::remove_file(path).unwrap();
        }
    }
}

fn broken() -> StoreError {
    StoreError::Io { context: "broken".into(), source: io::Error::other("on purpose") }
}

async fn gather(mut bytes: BlobStream<'_>) -> (BytesMut, Result<()>) {
    let mut whole = BytesMut::new();
    while let Some(piece) = bytes.next().await {
        match piece {
            Ok(piece) => whole.extend_from_slice(&piece),
            Err(e) => return (whole, Err(e)),
        }
    }
    (whole, Ok(()))
}

#[async_trait]
impl Store for Broken {
    fn capabilities(&self) -> Capabilities {
        let write = !self.is(F::AcceptsWritesSilently);
        let unlisted = self.is(F::ListsThoughUnlisted);
        self.inner.capabilities().with_write(write).with_unlisted(unlisted)
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        let found = self.inner.get_record(key).await?;
        let revision = || Revision(Bytes::from_static(b"r"));
        Ok(match (self.fault, found) {
            (F::InventsRecords, None) => {
                Some(StoredRecord { bytes: Bytes::new(), revision: revision() })
            }
            (F::CutsRecords, Some(found)) => {
                let bytes = found.bytes.slice(..found.bytes.len().min(1000));
                Some(StoredRecord { bytes, ..found })
            }
            (F::BlobsAreRecords, None) if self.inner.contains_blobs(&[key.0]).await? == [true] => {
                Some(StoredRecord { bytes: Bytes::new(), revision: revision() })
            }
            (F::TornRecords, Some(found)) if self.writing.load(Ordering::SeqCst) > 0 => {
                let bytes = found.bytes.slice(..found.bytes.len() / 2);
                Some(StoredRecord { bytes, ..found })
            }
            (_, found) => found,
        })
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        match (self.fault, &expected) {
            (F::AcceptsWritesSilently, _) => Ok(Revision(Bytes::new())),
            (F::CreatesOverExisting, Expected::Absent) => self.force(key, &bytes).await,
            (F::IgnoresRevisions, Expected::Revision(_)) => self.force(key, &bytes).await,
            (F::ReplaceCreates, Expected::Revision(_))
                if self.current(key).await? == Expected::Absent =>
            {
                self.inner.put_record(key, bytes, Expected::Absent).await
            }
            (F::RacyRecords, _) => {
                if self.current(key).await? != expected {
                    return Err(StoreError::Conflict);
                }
                std::thread::sleep(Duration::from_millis(5));
                self.force(key, &bytes).await
            }
            (F::TornRecords | F::ListingFailsUnderWrites, _) => {
                self.writing.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                let result = self.inner.put_record(key, bytes, expected).await;
                self.writing.fetch_sub(1, Ordering::SeqCst);
                result
            }
            _ => self.inner.put_record(key, bytes, expected).await,
        }
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        let keys = self.inner.list_records().await?;
        Ok(match self.fault {
            F::ListsNothing => futures::stream::empty().boxed(),
            F::ListsTwice => keys.chain(self.inner.list_records().await?).boxed(),
            F::ListingFailsUnderWrites if self.writing.load(Ordering::SeqCst) > 0 => {
                futures::stream::iter([Err(broken())]).boxed()
            }
            _ => keys,
        })
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        match self.fault {
            F::KeepsDeletedRecords | F::AcceptsWritesSilently => Ok(()),
            F::FailsToDeleteTheAbsent if self.current(key).await? == Expected::Absent => {
                Err(broken())
            }
            _ => self.inner.delete_record(key).await,
        }
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        let mut there = self.inner.contains_blobs(digests).await?;
        if self.is(F::ContainsInReverse) {
            there.reverse();
        }
        if self.is(F::TornBlobs) && self.writing.load(Ordering::SeqCst) > 0 {
            there.fill(true);
        }
        if self.is(F::ContainsAThousand) {
            there.truncate(1000);
        }
        Ok(there)
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        if self.is(F::AbsentBlobIsAnIoError) {
            return self.inner.read_blob(digest).await.map_err(|_| broken());
        }
        let stream = self.inner.read_blob(digest).await?;
        Ok(match self.fault {
            F::CutsBlobs => stream.take(0).boxed(),
            F::CutsOffReaders => {
                let path = self.blob_path(digest);
                stream.take_while(move |_| std::future::ready(path.exists())).boxed()
            }
            F::LosesWhatWasReadInPart => {
                let unread = RemovedWhenDropped(Some(self.blob_path(digest)));
                let ended =
                    |(mut stream, mut unread): (BlobStream<'static>, RemovedWhenDropped)| async {
                        let item = stream.next().await;
                        if item.is_none() {
                            unread.0 = None;
                        }
                        item.map(|item| (item, (stream, unread)))
                    };
                let whole: Vec<_> = stream.collect().await;
                let whole = futures::stream::iter(whole).boxed();
                futures::stream::unfold((whole, unread), ended).boxed()
            }
            _ => stream,
        })
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let size = self.is(F::TellsWrongSizes).then_some(12);
        Ok(SizedBlob { size, bytes: self.read_blob(digest).await? })
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        match self.fault {
            F::AcceptsWritesSilently => Ok(()),
            F::RefusesEmptyBlobs if size == 0 => Err(StoreError::Refused("empty".into())),
            F::DropsOddPieces => {
                let odd = bytes.filter(|piece| {
                    std::future::ready(!piece.as_ref().is_ok_and(|piece| piece.len() == 7))
                });
                self.inner.write_blob(digest, size, odd.boxed()).await
            }
            F::StoresAsItComes => {
                let (mut bytes, mut whole) = (bytes, BytesMut::new());
                while let Some(piece) = bytes.next().await {
                    whole.extend_from_slice(&piece?);
                    self.plant(digest, &whole);
                }
                Ok(())
            }
            F::ChecksNoDigest => {
                let (whole, result) = gather(bytes).await;
                result?;
                self.plant(digest, &whole);
                Ok(())
            }
            F::ChecksNoLength => {
                let (whole, result) = gather(bytes).await;
                result?;
                self.store_whole(whole.freeze()).await
            }
            F::StreamErrorEndsTheBlob => {
                let (whole, _) = gather(bytes).await;
                self.store_whole(whole.freeze()).await
            }
            F::FailsToRewrite if self.inner.contains_blobs(&[*digest]).await? == [true] => {
                Err(broken())
            }
            F::TornBlobs => {
                self.writing.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                let result = self.inner.write_blob(digest, size, bytes).await;
                self.writing.fetch_sub(1, Ordering::SeqCst);
                result
            }
            F::RacyBlobWrites => {
                let others = self.writing.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                let result = self.inner.write_blob(digest, size, bytes).await;
                self.writing.fetch_sub(1, Ordering::SeqCst);
                if others > 0 { Err(broken()) } else { result }
            }
            _ => self.inner.write_blob(digest, size, bytes).await,
        }
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        match self.fault {
            F::KeepsDeletedBlobs | F::AcceptsWritesSilently => Ok(()),
            F::FailsToDeleteTheAbsent
                if self.inner.contains_blobs(&[*digest]).await? == [false] =>
            {
                Err(broken())
            }
            _ => self.inner.delete_blob(digest).await,
        }
    }

    fn files(&self) -> Option<&dyn BlobFiles> {
        (!self.is(F::HidesItsFiles)).then_some(self)
    }
}
