//! Disk use as the file system counts it.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

/// `st_blocks` counts in units of 512 bytes whatever the block size is (stat(2)).
const BLOCK: u64 = 512;

/// Bytes of disk that all of `roots` take together, directories included. A file with several hard
/// links is counted once; blocks that reflinked files share are counted for each of them.
///
/// # Errors
/// When a directory that exists cannot be listed.
pub(crate) fn used(roots: &[&Path]) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for root in roots.iter().filter(|root| root.exists()) {
        add(root, &mut seen, &mut bytes)
            .with_context(|| format!("cannot walk {}", root.display()))?;
    }
    Ok(bytes)
}

fn add(path: &Path, seen: &mut HashSet<(u64, u64)>, bytes: &mut u64) -> Result<()> {
    let metadata = path.symlink_metadata()?;
    if !seen.insert((metadata.dev(), metadata.ino())) {
        return Ok(());
    }
    *bytes += metadata.blocks() * BLOCK;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            add(&entry?.path(), seen, bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_link_in_another_root_adds_its_directory_only() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let (a, b) = (scratch.path().join("a"), scratch.path().join("b"));
        fs::create_dir_all(&a)?;
        fs::create_dir_all(&b)?;
        fs::write(a.join("file"), vec![1; 1 << 20])?;
        let alone = used(&[&a])?;
        fs::hard_link(a.join("file"), b.join("file"))?;
        assert!(alone >= 1 << 20, "{alone}");
        assert!(used(&[&a, &b])? < alone + (1 << 16));
        fs::copy(a.join("file"), b.join("copy"))?;
        assert!(used(&[&a, &b])? >= 2 << 20);
        Ok(())
    }
}
