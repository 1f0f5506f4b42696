//! The file under redb: redb's own backend, with an end to every wait.
//!
//! redb waits for another process's lock without limit. A process that was stopped while it
//! wrote would then stop every build on the machine.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

/// Pauses between tries for a lock: from the first up to the last, each twice the one before.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(2);

/// Makes what redb reads and writes of an open file.
pub(super) type MakeBacking =
    Box<dyn Fn(File) -> Result<Box<dyn StorageBackend>, DatabaseError> + Send + Sync>;

/// redb's own backend for files.
pub(super) fn plain_file(file: File) -> Result<Box<dyn StorageBackend>, DatabaseError> {
    Ok(Box::new(FileBackend::new(file)?))
}

/// A backend whose locks are waited for no longer than `longest`.
pub(super) struct Patient {
    pub(super) inner: Box<dyn StorageBackend>,
    pub(super) longest: Duration,
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patient").field("longest", &self.longest).finish_non_exhaustive()
    }
}

impl Patient {
    fn wait(
        &self,
        mut attempt: impl FnMut() -> Result<bool, BackendError>,
    ) -> Result<(), BackendError> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        while !attempt()? {
            if began.elapsed() >= self.longest {
                let text = format!("another process has it locked for {:?}", self.longest);
                return Err(BackendError::Io(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            std::thread::sleep(pause);
            pause = LAST_PAUSE.min(pause * 2);
        }
        Ok(())
    }
}

impl StorageBackend for Patient {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
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

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.wait(|| self.inner.try_lock_range(start, end))
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.wait(|| self.inner.try_lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
