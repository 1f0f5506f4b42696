//! Disk use.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Bytes on disk below these directories, each file once however many hard links it has. Blocks
/// that reflinks share are counted for each file: the file system does not tell them apart here.
pub(super) fn used(roots: &[PathBuf]) -> u64 {
    let mut seen = HashSet::new();
    let mut pending: Vec<PathBuf> = roots.to_vec();
    let mut bytes = 0;
    while let Some(path) = pending.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if seen.insert((meta.dev(), meta.ino())) {
            // st_blocks counts units of 512 bytes, whatever st_blksize says: stat(2).
            bytes += meta.blocks() * 512;
        }
        if meta.is_dir()
            && let Ok(entries) = fs::read_dir(&path)
        {
            pending.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    bytes
}

/// Bytes that this user can still write on the file system of `path`.
pub(super) fn free(path: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(path)
        .with_context(|| format!("cannot tell the free space of {}", path.display()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_count_once() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("a");
        fs::write(&file, vec![1; 100_000]).expect("write");
        let one = used(&[dir.path().into()]);
        assert!(one >= 100_000, "{one}");
        fs::hard_link(&file, dir.path().join("b")).expect("link");
        assert_eq!(used(&[dir.path().into(), dir.path().join("b")]), one);
        fs::copy(&file, dir.path().join("c")).expect("copy");
        assert!(used(&[dir.path().into()]) >= one + 100_000);
    }
}
