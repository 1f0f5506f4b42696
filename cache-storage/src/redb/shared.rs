//! The one file, shared with other processes: opening it, working on it, and giving it up.
//!
//! A handle for reading is cheap to open and close, and writes nothing. One for writing costs
//! several syncs of the file to open and to close, and waits for other writers; so it is opened by
//! the first write only, and then kept. Reading goes on beside it.
//!
//! redb does not check what it reads; what it makes of damaged bytes may be a panic. So the work
//! runs where a panic is caught, and what the store keeps has checksums of its own. A file found
//! damaged is renamed, and the next write makes a new one. Other processes notice by the file's
//! identity, which is looked at before each piece of work.

use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::{
    Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    WriteTransaction,
};

use super::backing::{MakeBacking, Patient};
use super::trouble::{Fate, Trouble};
use crate::{Result, StoreError};

/// redb's cache of pages: enough for the branches of a large store. Leaves are in the page cache.
const CACHE: usize = 16 << 20;
/// How often a piece of work is begun before it is given up.
const TRIES: u32 = 4;

/// Device and inode.
type Identity = (u64, u64);

/// The open file.
pub(super) struct Handle<Database> {
    identity: Identity,
    database: Database,
}

/// The file open for reading.
pub(super) type Reading = Handle<ReadOnlyDatabase>;
type Writing = Handle<Database>;
type Slot<T> = Mutex<Option<Arc<T>>>;

/// What a change to the file came to.
pub(super) enum Change<T> {
    /// To be kept.
    Commit(T),
    /// Nothing was changed.
    None(T),
}

pub(super) struct Shared {
    path: PathBuf,
    /// Why not, if the file is not to be written.
    read_only: Option<String>,
    patience: Duration,
    backing: MakeBacking,
    reading: Slot<Reading>,
    writing: Slot<Writing>,
    set_aside: Mutex<Option<String>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("path", &self.path)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        path: PathBuf,
        read_only: Option<String>,
        patience: Duration,
        backing: MakeBacking,
    ) -> Self {
        Self {
            path,
            read_only,
            patience,
            backing,
            reading: Mutex::default(),
            writing: Mutex::default(),
            set_aside: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_writable(&self) -> bool {
        self.read_only.is_none()
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        self.read_only.as_ref().map_or(Ok(()), |reason| {
            Err(StoreError::ReadOnly(format!("{}: {reason}", self.path.display())))
        })
    }

    /// The last file that this process has set aside, and why.
    pub(super) fn last_set_aside(&self) -> Option<String> {
        lock(&self.set_aside).clone()
    }

    /// Works on a snapshot of the file; `None` where there is no file.
    pub(super) fn read<T>(
        &self,
        work: impl Fn(&Arc<Reading>, ReadTransaction) -> Result<T, Trouble>,
    ) -> Result<Option<T>> {
        self.attempt(|seen| {
            let Some(handle) = self.reader(seen)? else { return Ok(None) };
            work(&handle, handle.database.begin_read()?).map(Some)
        })
    }

    /// Changes the file, which is made if it is not there. All of the change happens, or none.
    pub(super) fn write<T>(
        &self,
        work: impl Fn(&WriteTransaction) -> Result<Change<T>, Trouble>,
    ) -> Result<T> {
        self.check_writable()?;
        self.attempt(|seen| {
            let transaction = self.writer(seen)?.database.begin_write()?;
            match work(&transaction)? {
                Change::Commit(value) => {
                    transaction.commit()?;
                    Ok(value)
                }
                Change::None(value) => Ok(value),
            }
        })
    }

    /// Damage that was found after the work was done, in a stream.
    pub(super) fn condemn(&self, handle: &Reading, reason: &str) {
        if self.is_writable() {
            let _ = self.give_up(Some(handle.identity), Fate::Corrupt, reason);
        }
    }

    fn attempt<T>(
        &self,
        work: impl Fn(&Cell<Option<Identity>>) -> Result<T, Trouble>,
    ) -> Result<T> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let seen = Cell::new(None);
            match guarded(|| work(&seen)) {
                Ok(value) => return Ok(value),
                Err(Trouble::Failed(error)) => {
                    // Closing releases whatever lock redb may not have been able to.
                    self.forget();
                    return Err(error);
                }
                Err(Trouble::Damaged(fate, reason)) => {
                    self.give_up(seen.get(), fate, &reason)?;
                    last = reason;
                }
                Err(Trouble::Stale(reason)) => {
                    self.forget();
                    last = reason;
                }
                Err(Trouble::Unclean) => {
                    last = "its last writer was killed, and no writer has repaired it yet".into();
                    break;
                }
            }
        }
        let error = io::Error::other(last);
        Err(StoreError::read(format!("using {}", self.path.display()), error))
    }

    fn reader(&self, seen: &Cell<Option<Identity>>) -> Result<Option<Arc<Reading>>, Trouble> {
        let mut slot = lock(&self.reading);
        if let Some(handle) = self.current(&mut slot, seen)? {
            return Ok(Some(handle));
        }
        let open = || match File::open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        let Some(file) = open()? else { return Ok(None) };
        let meta = file.metadata()?;
        seen.set(Some(identity_of(&meta)));
        if meta.len() == 0 {
            return Ok(None); // about to be filled by its maker
        }
        let (identity, database) = match self.open_to_read(file) {
            Err(Trouble::Unclean) if self.is_writable() => {
                // Repairs it, and while it is open says that the file is in order.
                self.writer(seen)?;
                let Some(file) = open()? else { return Ok(None) };
                (identity_of(&file.metadata()?), self.open_to_read(file)?)
            }
            other => (identity_of(&meta), other?),
        };
        Ok(Some(slot.insert(Arc::new(Handle { identity, database })).clone()))
    }

    fn writer(&self, seen: &Cell<Option<Identity>>) -> Result<Arc<Writing>, Trouble> {
        let mut slot = lock(&self.writing);
        if let Some(handle) = self.current(&mut slot, seen)? {
            return Ok(handle);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = match options.open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if let Some(parent) = self.path.parent() {
                    fs::create_dir_all(parent)?;
                }
                options.open(&self.path)?
            }
            other => other?,
        };
        let identity = identity_of(&file.metadata()?);
        seen.set(Some(identity));
        let database = Self::builder().create_with_backend(self.backing_of(file)?)?;
        Ok(slot.insert(Arc::new(Handle { identity, database })).clone())
    }

    /// The handle in a slot; it is dropped if the file is another by now.
    fn current<T>(
        &self,
        slot: &mut Option<Arc<Handle<T>>>,
        seen: &Cell<Option<Identity>>,
    ) -> Result<Option<Arc<Handle<T>>>, Trouble> {
        let there = identity_at(&self.path)?;
        *slot = slot.take().filter(|handle| Some(handle.identity) == there);
        if slot.is_some() {
            seen.set(there);
        }
        Ok(slot.clone())
    }

    fn open_to_read(&self, file: File) -> Result<ReadOnlyDatabase, Trouble> {
        Ok(Self::builder().open_read_only_with_backend(self.backing_of(file)?)?)
    }

    fn builder() -> Builder {
        let mut builder = Builder::new();
        builder.set_concurrency_mode(ConcurrencyMode::MultiWriter).set_cache_size(CACHE);
        builder
    }

    fn backing_of(&self, file: File) -> Result<Patient, Trouble> {
        Ok(Patient { inner: (self.backing)(file)?, longest: self.patience })
    }

    /// Closes this process's handles; the next piece of work opens others.
    pub(super) fn forget(&self) {
        let handles = (lock(&self.reading).take(), lock(&self.writing).take());
        let _ = guarded(|| {
            drop(handles);
            Ok(())
        });
    }

    /// Renames the file to its name and `.corrupt` or `.incompatible`, unless somebody has done so
    /// already. One of each is kept: the latest.
    fn give_up(&self, seen: Option<Identity>, fate: Fate, reason: &str) -> Result<()> {
        self.forget();
        let unusable = |why: String| StoreError::Unusable { path: self.path.clone(), reason: why };
        if !self.is_writable() {
            return Err(unusable(format!("{}: {reason}", fate.suffix())));
        }
        let kept = self.beside(fate.suffix());
        let rename = || -> io::Result<bool> {
            let mut options = OpenOptions::new();
            let turn = options.read(true).append(true).create(true).open(self.beside("lock"))?;
            turn.lock()?;
            let there = identity_at(&self.path)?;
            let same = there.is_some() && there == seen;
            if same {
                fs::rename(&self.path, &kept)?;
            }
            Ok(same)
        };
        match rename() {
            Ok(true) => {
                let notice = format!("{}: {reason}", kept.display());
                *lock(&self.set_aside) = Some(notice);
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(e) => Err(unusable(format!("{reason}; it cannot be set aside: {e}"))),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name: OsString = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(suffix);
        name.into()
    }
}

fn identity_of(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

fn identity_at(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(identity_of(&meta))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What panics has met bytes that cannot be.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Trouble::corrupt(format!("redb panicked: {}", text.unwrap_or("no reason given"))))
    })
}

/// What is locked here is whole even after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
