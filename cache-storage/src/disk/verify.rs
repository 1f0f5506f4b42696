//! Reading everything again.

use std::collections::HashSet;
use std::path::PathBuf;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey, Record, wire};

use super::DiskStore;
use super::walk::walk;
use crate::{Expected, Result, StoreError, StoredRecord};

/// How far a verification has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of blobs and records read.
    pub done: u64,
    /// Bytes to read in all, as counted at the start.
    pub total: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Blobs read.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs whose bytes are not those of their digest, or could not be read.
    pub corrupt_blobs: Vec<Digest>,
    /// Records read.
    pub records: u64,
    /// Records that are damaged.
    pub bad_records: Vec<RecipeKey>,
    /// Records that name a blob that is not there (any more), with that blob. Such a record is a
    /// miss; an explicit deletion or a set-aside blob leaves it.
    pub dangling: Vec<(RecipeKey, Digest)>,
    /// Things in the buckets that are none of the store's.
    pub foreign: Vec<PathBuf>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.corrupt_blobs.is_empty()
            && self.bad_records.is_empty()
            && self.dangling.is_empty()
            && self.foreign.is_empty()
    }
}

impl DiskStore {
    /// Hashes every blob again, decodes every record and looks for the blobs that it names.
    ///
    /// With `repair`: corrupt blobs and foreign things are set aside, damaged records removed, and
    /// entries whose blobs are missing dropped from their records. Everything that remains is good.
    /// Other processes may go on using the store.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a directory cannot be read; [`StoreError::ReadOnly`] when `repair`
    /// is asked of a store that cannot be written.
    pub fn verify(&self, repair: bool, progress: &mut dyn FnMut(Progress)) -> Result<VerifyReport> {
        if repair {
            self.check_writable()?;
        }
        let mut report = VerifyReport::default();
        let failed = |e| StoreError::read(format!("walking {}", self.root().display()), e);
        let (mut blobs, mut records, mut state) = (Vec::new(), Vec::new(), Progress::default());
        for (bucket, into) in
            [(self.layout.blobs(), &mut blobs), (self.layout.records(), &mut records)]
        {
            walk(&bucket, |found| match found.digest {
                Some(digest) => {
                    state.total += found.meta.len();
                    into.push((digest, found.meta.len()));
                }
                None => report.foreign.push(found.path),
            })
            .map_err(failed)?;
        }
        let mut good = HashSet::with_capacity(blobs.len());
        for (digest, length) in blobs {
            if self.verify_one_blob(&digest, length, repair, &mut report) {
                good.insert(digest);
            }
            state.done += length;
            progress(state);
        }
        for (digest, length) in records {
            self.verify_record(&RecipeKey(digest), &good, repair, &mut report)?;
            state.done += length;
            progress(state);
        }
        if repair {
            for path in &report.foreign {
                self.layout.set_aside(path).map_err(|e| StoreError::write("setting aside", e))?;
            }
        }
        Ok(report)
    }

    /// Whether the blob is there and good.
    fn verify_one_blob(
        &self,
        digest: &Digest,
        length: u64,
        repair: bool,
        report: &mut VerifyReport,
    ) -> bool {
        let result = self.open_blob(digest).and_then(|(mut file, meta)| {
            report.blobs += 1;
            report.blob_bytes += length;
            self.verify_blob(digest, &mut file, &meta, repair)
        });
        match result {
            Ok(()) => true,
            Err(StoreError::BlobAbsent(_)) => false,
            Err(e) => {
                if repair && matches!(e, StoreError::Io { .. }) {
                    // Not readable, so not yet set aside.
                    let _ = self.layout.set_aside(&self.layout.blob(digest));
                }
                report.corrupt_blobs.push(*digest);
                false
            }
        }
    }

    fn verify_record(
        &self,
        key: &RecipeKey,
        good: &HashSet<Digest>,
        repair: bool,
        report: &mut VerifyReport,
    ) -> Result<()> {
        let Some(stored) = self.load_record(key)? else { return Ok(()) };
        report.records += 1;
        let names = wire::refs(&stored.bytes);
        let readable = match (&names, Record::decode(&stored.bytes)) {
            (Ok(_), Ok(record)) => Some(record),
            // Another version's: its envelope names its blobs, its payload is its own.
            (Ok(_), Err(e)) if e.is_foreign() => None,
            _ => {
                report.bad_records.push(*key);
                return if repair { self.remove_record(key) } else { Ok(()) };
            }
        };
        // A blob stored since the walk is there without having been read.
        let is_missing = |name: &Digest| !good.contains(name) && !self.has_sound_blob(name, report);
        let missing: Vec<_> = names
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
            .filter(is_missing)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        report.dangling.extend(missing.iter().map(|name| (*key, *name)));
        match readable {
            Some(record) if repair => self.drop_entries(key, stored, record, &missing),
            _ => Ok(()),
        }
    }

    fn has_sound_blob(&self, digest: &Digest, report: &VerifyReport) -> bool {
        self.has_blob(digest) && !report.corrupt_blobs.contains(digest)
    }

    fn drop_entries(
        &self,
        key: &RecipeKey,
        stored: StoredRecord,
        mut record: Record,
        missing: &[Digest],
    ) -> Result<()> {
        record
            .entries
            .retain(|entry| !entry.outcome.blobs().any(|(name, _)| missing.contains(&name)));
        let result = if record.entries.is_empty() {
            self.remove_record(key)
        } else {
            let bytes = Bytes::from(record.encode());
            self.swap_record(key, &bytes, &Expected::Revision(stored.revision)).map(|_| ())
        };
        match result {
            // Somebody has just stored something better.
            Err(StoreError::Conflict) => Ok(()),
            other => other,
        }
    }
}
