//! The race guard: nothing is stored when an input may have changed while the compiler ran.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cache_core::Digest;

/// Seconds and nanoseconds of a file's time stamp.
type Stamp = (i64, i64);

/// Knows when the run started, on the file system's own clock.
///
/// A file whose content (mtime) and inode (ctime) are both older than the start was not touched
/// since, so what is there now is what the compiler read. (The same tick of the clock counts as
/// older: ticks are at most 10 ms, and a compiler has not read anything by then.) A younger one passes only when its digest
/// was known before the start and is still the same. Of a read-only file with several names only
/// the mtime counts: such are the libraries that share the store's inodes, and linking one
/// elsewhere moves its ctime.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    start: Stamp,
    before: HashMap<&'a Path, &'a Digest>,
}

impl<'a> Guard<'a> {
    /// A guard for a run that starts when `marker` was just made. `before` are digests taken
    /// before the start.
    ///
    /// # Errors
    /// When the marker cannot be looked at.
    pub(super) fn new(marker: &Metadata, before: &'a [(PathBuf, Digest)]) -> Self {
        let before = before.iter().map(|(path, digest)| (path.as_path(), digest)).collect();
        Self { start: (marker.mtime(), marker.mtime_nsec()), before }
    }

    /// Checks one input as it is now.
    ///
    /// # Errors
    /// `input-changed` with the path.
    pub(super) fn check(&self, path: &Path, now: Option<&Digest>) -> Result<(), String> {
        let changed = || format!("input-changed: {}", path.display());
        let meta = std::fs::metadata(path).map_err(|_| changed())?;
        let (mtime, ctime) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
        // A library that shares the store's inode has its ctime moved by whoever links it next.
        let shared = meta.nlink() > 1 && meta.mode() & 0o222 == 0;
        let youngest = if shared { mtime } else { mtime.max(ctime) };
        let known =
            now.is_some_and(|now| self.before.get(path).is_some_and(|before| *before == now));
        if youngest <= self.start || known { Ok(()) } else { Err(changed()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_files_pass_and_younger_ones_do_not() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (old, marker, young) =
            (dir.path().join("old"), dir.path().join("marker"), dir.path().join("young"));
        for path in [&old, &marker, &young] {
            std::fs::write(path, "x")?;
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        let before = vec![(young.clone(), Digest::of(b"x"))];
        let meta = marker.metadata()?;
        assert_eq!(Guard::new(&meta, &[]).check(&old, None), Ok(()));
        assert!(Guard::new(&meta, &[]).check(&young, Some(&Digest::of(b"x"))).is_err());
        assert_eq!(Guard::new(&meta, &before).check(&young, Some(&Digest::of(b"x"))), Ok(()));
        assert!(Guard::new(&meta, &before).check(&young, Some(&Digest::of(b"y"))).is_err());
        Ok(())
    }

    #[test]
    fn a_file_moved_into_place_with_an_old_mtime_is_noticed() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (source, marker) = (dir.path().join("source"), dir.path().join("marker"));
        std::fs::write(dir.path().join("other"), "y")?;
        std::fs::write(&source, "x")?;
        std::thread::sleep(std::time::Duration::from_millis(30));
        std::fs::write(&marker, "")?;
        std::thread::sleep(std::time::Duration::from_millis(30));
        std::fs::rename(dir.path().join("other"), &source)?;
        assert!(Guard::new(&marker.metadata()?, &[]).check(&source, None).is_err());
        Ok(())
    }
}
