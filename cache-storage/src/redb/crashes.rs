//! What the store makes of a machine that fails under it: writes that fail, and power cuts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::StreamExt;
use futures::executor::block_on;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::{RedbOptions, RedbStore};
use crate::{Expected, Result, Store, StoreError};

/// How the machine fails.
#[derive(Debug, Default)]
struct Machine {
    /// Writes until all fail; counts down.
    writes_left: AtomicI64,
    /// Keeps writes back until they are synced, as a disk may.
    keeps_back: bool,
    /// When the power goes, one in so many of those kept back has reached the disk; 0 for none.
    one_in: u64,
}

impl Machine {
    fn failing_after(writes: i64) -> Arc<Self> {
        Arc::new(Self { writes_left: writes.into(), keeps_back: false, one_in: 0 })
    }

    fn losing_power_after(writes: i64, one_in: u64) -> Arc<Self> {
        Arc::new(Self { writes_left: writes.into(), keeps_back: true, one_in })
    }

    fn has_failed(&self) -> bool {
        self.writes_left.load(Ordering::Relaxed) < 0
    }

    fn step(&self) -> io::Result<()> {
        if self.writes_left.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        self.writes_left.store(-1, Ordering::Relaxed);
        Err(io::Error::other("the machine failed"))
    }
}

/// redb's own backend on a machine that fails.
#[derive(Debug)]
struct Faulty {
    inner: FileBackend,
    machine: Arc<Machine>,
    /// What is not on the disk yet: bytes by offset.
    unsynced: Mutex<BTreeMap<u64, Vec<u8>>>,
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)?;
        for (at, bytes) in &*self.unsynced.lock().unwrap() {
            let (from, to) =
                ((*at).max(offset), (at + bytes.len() as u64).min(offset + out.len() as u64));
            if from < to {
                let range = |base: u64| {
                    usize::try_from(from - base).unwrap()..usize::try_from(to - base).unwrap()
                };
                out[range(offset)].copy_from_slice(&bytes[range(*at)]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.machine.step()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.machine.step()?;
        for (at, bytes) in std::mem::take(&mut *self.unsynced.lock().unwrap()) {
            self.inner.write(at, &bytes)?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.machine.step()?;
        if self.machine.keeps_back {
            self.unsynced.lock().unwrap().insert(offset, data.to_owned());
            return Ok(());
        }
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        for (n, (at, bytes)) in (0..).zip(&*self.unsynced.lock().unwrap()) {
            let one_in = self.machine.one_in;
            if self.machine.has_failed() && one_in > 0 && (at / 4096 + n).is_multiple_of(one_in) {
                self.inner.write(*at, bytes)?;
            }
        }
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

fn open_on(path: &Path, machine: &Arc<Machine>) -> RedbStore {
    let machine = machine.clone();
    let backing = move |file: File| -> Result<Box<dyn StorageBackend>, redb::DatabaseError> {
        let (inner, machine) = (FileBackend::new(file)?, machine.clone());
        Ok(Box::new(Faulty { inner, machine, unsynced: Mutex::default() }))
    };
    RedbStore::open_on(path, &RedbOptions::default(), Box::new(backing)).unwrap()
}

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, RedbOptions::default()).unwrap()
}

fn key(n: u8) -> RecipeKey {
    RecipeKey(Digest::of(&[n]))
}

fn bytes(n: u8) -> Bytes {
    Bytes::from(vec![n; 20_000 + usize::from(n)])
}

fn put(store: &RedbStore, n: u8) -> Result<()> {
    let (blob, digest) = (bytes(n), Digest::of(&bytes(n)));
    let stream = futures::stream::iter([Ok(blob.clone())]).boxed();
    block_on(store.write_blob(&digest, blob.len() as u64, stream))?;
    block_on(store.put_record(&key(n), blob, Expected::Absent)).map(drop)
}

/// Whether unit `n` is there; if so it must be whole.
fn has(store: &RedbStore, n: u8) -> bool {
    let Some(record) = block_on(store.get_record(&key(n))).unwrap() else { return false };
    assert_eq!(record.bytes, bytes(n));
    let mut stream = block_on(store.read_blob(&Digest::of(&bytes(n)))).unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = block_on(stream.next()) {
        whole.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(whole, bytes(n));
    true
}

/// Stores units until the machine fails; how many were reported as stored.
fn store_until_failure(path: &Path, machine: &Arc<Machine>) -> u8 {
    let store = open_on(path, machine);
    let mut stored = 0;
    while stored < 20 {
        match put(&store, stored) {
            Ok(()) => stored += 1,
            Err(StoreError::Conflict) => panic!("nobody else writes"),
            Err(_) => break,
        }
    }
    stored
}

/// After the failure, everything reported as stored is there, and the store works.
fn goes_on(path: &Path, stored: u8, when: &str) {
    let store = open(path);
    for n in 0..stored {
        assert!(has(&store, n), "unit {n} of {stored}, {when}");
    }
    let _ = has(&store, stored);
    put(&store, 200).unwrap();
    assert!(has(&store, 200), "{when}");
    if stored > 0 {
        assert_eq!(store.last_set_aside(), None, "{when}");
    }
}

#[test]
fn a_write_that_fails_loses_nothing_stored_before() {
    let (mut failures, mut most) = (0, 0);
    for writes in (0..150).chain((150..400).step_by(17)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.redb");
        let machine = Machine::failing_after(writes);
        let stored = store_until_failure(&path, &machine);
        failures += u32::from(machine.has_failed());
        most = most.max(stored);
        goes_on(&path, stored, &format!("after {writes} writes"));
    }
    assert!(failures > 100 && most > 5, "{failures} failures, at most {most} units stored");
}

/// Cuts the power at many moments.
fn power_cuts(one_in: u64) {
    let (mut failures, mut most) = (0, 0);
    for writes in (0..150).chain((150..400).step_by(17)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.redb");
        let machine = Machine::losing_power_after(writes, one_in);
        let stored = store_until_failure(&path, &machine);
        failures += u32::from(machine.has_failed());
        most = most.max(stored);
        goes_on(&path, stored, &format!("after {writes} writes"));
    }
    assert!(failures > 100 && most > 5, "{failures} failures, at most {most} units stored");
}

#[test]
fn a_power_cut_that_drops_what_was_not_synced_loses_nothing_stored_before() {
    power_cuts(0);
}

#[test]
fn a_power_cut_that_drops_some_of_what_was_not_synced_loses_nothing_stored_before() {
    power_cuts(2);
    power_cuts(3);
}

#[test]
fn a_store_on_a_machine_that_recovers_needs_no_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let machine = Machine::failing_after(i64::MAX);
    let store = open_on(&path, &machine);
    put(&store, 0).unwrap();
    for writes in 0..40 {
        machine.writes_left.store(writes, Ordering::Relaxed);
        let unit = u8::try_from(writes).unwrap() + 1;
        let failed = put(&store, unit).is_err();
        machine.writes_left.store(i64::MAX, Ordering::Relaxed);
        assert!(has(&store, 0), "after {writes} writes");
        if failed && !has(&store, unit) {
            put(&store, unit).unwrap();
        }
        assert!(has(&store, unit));
    }
    assert_eq!(store.last_set_aside(), None);
}

#[test]
fn a_reader_is_not_disturbed_by_a_machine_that_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    put(&open(&path), 0).unwrap();
    let store = open_on(&path, &Machine::failing_after(0));
    assert!(has(&store, 0));
    assert!(put(&store, 1).is_err());
    assert!(has(&open(&path), 0));
}
