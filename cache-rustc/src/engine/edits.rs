//! Which edits of an incrementally compiled crate are stored.
//!
//! Who edits a crate compiles it every few seconds or minutes, and hardly ever comes back to one of
//! those states. Storing each would cost more than all else that the wrapper does on such a miss,
//! and fill the disk. So of one unit in one target directory only the first [`STORED`] edits within
//! [`WINDOW`] are stored: one goes to another branch and back, and both states are there. The others
//! are compiled without the tracer, and what depends on them is in the same case.
//!
//! An edit is a miss of a unit with `-C incremental` whose dep-info is already there: cargo leaves
//! it where it is. A first build in a target directory is always stored, so a clean checkout of any
//! state (on a build server, in another worktree) fills the store.
//!
//! The times are in a fixed table, `edits-v1` in the state directory: [`SLOTS`] slots of 32 bytes,
//! three little-endian `u64` each: a tag of the dep-info's path, and two times in seconds since
//! 1970, newest first; eight bytes are unused. All processes read and write it without a lock. A slot
//! that another unit has taken, or that is torn, means that one edit more or less is stored.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cache_core::{Hasher, Role};

use super::unit::Unit;

/// How many edits are stored within a [`WINDOW`].
const STORED: usize = 2;
/// In seconds. A longer pause begins something new.
const WINDOW: u64 = 30 * 60;
const SLOTS: u64 = 4096;
const SLOT: usize = 32;

/// An edit of a unit, with what is known of earlier ones.
#[derive(Debug)]
pub(super) struct Edit {
    table: PathBuf,
    tag: u64,
    /// When the last ones were stored, newest first.
    stored: [u64; STORED],
    now: u64,
}

impl Edit {
    /// The edit that a miss of this unit is, if it is one. To be called before compiling.
    pub(super) fn of(unit: &Unit, state_dir: &Path) -> Option<Self> {
        unit.args.incremental.as_ref()?;
        let dep_info = unit.outputs.iter().find(|output| output.role == Role::DepInfo)?;
        dep_info.path.is_file().then_some(())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(Self::read(&state_dir.join("edits-v1"), &dep_info.path, now))
    }

    fn read(table: &Path, dep_info: &Path, now: u64) -> Self {
        let mut hasher = Hasher::keyed("larder 2026-11 edits v1");
        let digest = hasher.field(dep_info.as_os_str().as_bytes()).finish();
        let tag = u64_at(digest.as_bytes(), 0);
        let mut slot = [0; SLOT];
        let read = File::open(table).and_then(|file| file.read_exact_at(&mut slot, place(tag)));
        let known = read.is_ok() && u64_at(&slot, 0) == tag;
        let stored = if known { [u64_at(&slot, 1), u64_at(&slot, 2)] } else { [0; STORED] };
        Self { table: table.to_path_buf(), tag, stored, now }
    }

    /// Whether enough of its kind were stored lately. A clock that was set back is no reason.
    pub(super) fn is_one_of_many(&self) -> bool {
        let lately = |then: &u64| self.now.checked_sub(*then).is_some_and(|past| past < WINDOW);
        self.stored.iter().all(lately)
    }

    /// Notes that it was stored. Trouble means that one more will be.
    pub(super) fn note_stored(&self) {
        let mut slot = [0; SLOT];
        for (at, value) in [self.tag, self.now, self.stored[0]].iter().enumerate() {
            slot[at * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
        let _ = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.table)
            .and_then(|file| file.write_all_at(&slot, place(self.tag)));
    }
}

/// Whether a miss of this unit would be one edit of many, so not stored.
#[must_use]
pub(super) fn is_loop(unit: &Unit, state_dir: &Path) -> bool {
    Edit::of(unit, state_dir).is_some_and(|edit| edit.is_one_of_many())
}

fn place(tag: u64) -> u64 {
    tag % SLOTS * SLOT as u64
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at * 8..][..8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_edits_are_stored_and_again_after_a_pause() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let table = dir.path().join("edits-v1");
        let edit = |name: &str, now: u64| Edit::read(&table, Path::new(name), now);
        let start = 1_000_000;
        for now in [start, start + 60] {
            let edit = edit("/t/debug/deps/a-1.d", now);
            assert!(!edit.is_one_of_many());
            edit.note_stored();
        }
        assert!(edit("/t/debug/deps/a-1.d", start + 61).is_one_of_many());
        assert!(edit("/t/debug/deps/a-1.d", start + WINDOW - 1).is_one_of_many());
        assert!(!edit("/t/debug/deps/a-2.d", start + 61).is_one_of_many(), "another unit");
        assert!(!edit("/t/debug/deps/a-1.d", start - 5).is_one_of_many(), "a clock set back");
        let later = edit("/t/debug/deps/a-1.d", start + WINDOW);
        assert!(!later.is_one_of_many(), "the first is long ago");
        later.note_stored();
        assert!(edit("/t/debug/deps/a-1.d", start + WINDOW + 1).is_one_of_many());
        assert!(table.metadata()?.len() <= SLOTS * SLOT as u64);
        Ok(())
    }

    #[test]
    fn without_a_table_everything_is_stored() {
        let edit = Edit::read(Path::new("/dev/null/edits-v1"), Path::new("/t/a.d"), 1 << 31);
        edit.note_stored();
        assert!(!edit.is_one_of_many());
    }
}
