//! The usage counter: about how much the store holds, without walking it.
//!
//! `usage-v1`: bytes in the store, the level before which no eviction is due, and when the last one
//! was (seconds since 1970), each 8 bytes little-endian. Lossy: a killed process loses what it had
//! not yet added, deletions by hand are not seen. Every collection sets it right, and one is due
//! at least daily.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI64, Ordering};

use super::layout::{Layout, since_epoch};
use super::lock::Lock;

/// What a file of this length takes on disk, about.
pub(super) fn on_disk(length: u64) -> u64 {
    length.next_multiple_of(4096)
}

/// What the counter says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// Bytes in the store, about.
    pub(super) bytes: u64,
    /// No eviction before this: the last one could not get lower.
    pub(super) quiet_until: u64,
    /// When the last collection was, in seconds since 1970.
    pub(super) collected: u64,
}

/// Changes of this process that are not in the file yet.
#[derive(Debug, Default)]
pub(super) struct Counter {
    pending: AtomicI64,
}

impl Counter {
    pub(super) fn added(&self, length: u64) {
        self.change(i64::try_from(on_disk(length)).unwrap_or(i64::MAX));
    }

    pub(super) fn removed(&self, length: u64) {
        self.change(-i64::try_from(on_disk(length)).unwrap_or(i64::MAX));
    }

    fn change(&self, by: i64) {
        self.pending.fetch_add(by, Ordering::Relaxed);
    }

    /// Adds what is pending to the file; on any trouble it is lost.
    pub(super) fn flush(&self, layout: &Layout) {
        let pending = self.pending.swap(0, Ordering::Relaxed);
        if pending == 0 {
            return;
        }
        let Ok(_lock) = Lock::Usage.exclusive(layout) else { return };
        let Some(file) = open(layout) else { return };
        let mut level = read(&file);
        level.bytes = level.bytes.saturating_add_signed(pending);
        write(&file, level);
    }

    /// What the file says.
    pub(super) fn level(layout: &Layout) -> Level {
        File::open(layout.usage()).map_or(Level::default(), |file| read(&file))
    }

    /// Sets the file right.
    pub(super) fn set(layout: &Layout, level: Level) {
        let Ok(_lock) = Lock::Usage.exclusive(layout) else { return };
        if let Some(file) = open(layout) {
            write(&file, level);
        }
    }
}

fn open(layout: &Layout) -> Option<File> {
    let path = layout.usage();
    if path.is_dir() {
        layout.set_aside(&path).ok()?;
    }
    let open =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    layout.making(&path, open).ok()
}

/// A counter that is not there, or is too short, is that of a new store.
fn read(file: &File) -> Level {
    let mut bytes = [0; 24];
    if file.read_exact_at(&mut bytes, 0).is_err() {
        return Level { collected: since_epoch().as_secs(), ..Level::default() };
    }
    let mut numbers = bytes.chunks_exact(8).map(|number| {
        let mut value = [0; 8];
        value.copy_from_slice(number);
        u64::from_le_bytes(value)
    });
    let mut next = || numbers.next().unwrap_or_default();
    Level { bytes: next(), quiet_until: next(), collected: next() }
}

fn write(file: &File, level: Level) {
    let mut bytes = [0; 24];
    let numbers = [level.bytes, level.quiet_until, level.collected];
    for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes());
    }
    let _ = file.write_all_at(&bytes, 0);
}
