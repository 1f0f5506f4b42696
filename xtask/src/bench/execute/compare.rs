//! Two target directories, byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// How two target directories differ.
#[derive(Default)]
pub(super) struct Differences {
    /// Files that both have with the same bytes.
    pub(super) same: usize,
    /// What compilers and build scripts made, and differs or is there only once.
    pub(super) made: Vec<PathBuf>,
    /// The same of cargo's own notes below `.fingerprint`, and of its lock and information files: times,
    /// and numbers made from times.
    pub(super) notes: Vec<PathBuf>,
}

/// Compares two target directories.
///
/// # Errors
/// When something cannot be read.
pub(super) fn trees(here: &Path, there: &Path) -> Result<Differences> {
    let (here, there) = (files(here)?, files(there)?);
    let mut differences = Differences::default();
    let mut names: Vec<&PathBuf> = here.keys().chain(there.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let same = match (here.get(name), there.get(name)) {
            (Some(here), Some(there)) => read(here)? == read(there)?,
            _ => false,
        };
        if same {
            differences.same += 1;
        } else if is_note(name) {
            differences.notes.push(name.clone());
        } else {
            differences.made.push(name.clone());
        }
    }
    Ok(differences)
}

fn is_note(name: &Path) -> bool {
    let file = name.file_name().unwrap_or_default();
    name.components().any(|part| part.as_os_str() == ".fingerprint")
        || file == "invoked.timestamp"
        || file == ".rustc_info.json"
}

/// All files, by their paths in the directory.
fn files(directory: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut files = BTreeMap::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(next) = left.pop() {
        let entries = fs::read_dir(&next).with_context(|| next.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                files.insert(path.strip_prefix(directory)?.to_path_buf(), path);
            }
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_cargos_notes_apart() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        for (tree, library) in [(&a, "1"), (&b, "2")] {
            fs::create_dir_all(tree.join("debug/.fingerprint/x"))?;
            fs::write(tree.join("debug/same"), "x")?;
            fs::write(tree.join("debug/lib"), library)?;
            fs::write(tree.join("debug/.fingerprint/x/dep"), library)?;
        }
        fs::write(b.join("debug/more"), "")?;
        let differences = trees(&a, &b)?;
        assert_eq!(differences.same, 1);
        assert_eq!(differences.made, [Path::new("debug/lib"), Path::new("debug/more")]);
        assert_eq!(differences.notes, [Path::new("debug/.fingerprint/x/dep")]);
        Ok(())
    }
}
