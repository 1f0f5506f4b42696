//! The files that a compile may read, as far as they can be told before it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::unit::Unit;
use super::closure;
use super::learned::Learned;
use crate::args::SearchKind;

/// A tree with more files than this is no package.
const MOST: usize = 4096;

/// Files and directories.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) directories: BTreeSet<PathBuf>,
    /// Files that are not sent, since nothing looked at them the last time.
    pub(super) pruned: BTreeSet<PathBuf>,
}

/// What a unit may read: its package, what its build script made, the libraries it needs, what its
/// arguments name, and what it turned out to need before.
///
/// # Errors
/// Why that cannot be told.
pub(super) fn of(unit: &Unit, learned: &Learned, state_dir: &Path) -> Result<Inputs, String> {
    let mut inputs = Inputs::default();
    let root = unit.place.absolute(&unit.args.input);
    let variable = |name: &str| unit.env.get(OsStr::new(name)).map(PathBuf::from);
    match variable("CARGO_MANIFEST_DIR") {
        Some(package) => inputs.tree(unit, &package)?,
        None => inputs.tree(unit, root.parent().ok_or("no-source-directory")?)?,
    }
    inputs.files.insert(root);
    if let Some(out_dir) = variable("OUT_DIR").filter(|dir| dir.is_dir()) {
        inputs.tree(unit, &out_dir)?;
    }
    closure::libraries(unit, state_dir, &mut inputs);
    let named = unit.args.named_inputs.iter().map(|named| unit.place.absolute(&named.path));
    inputs.files.extend(named.chain(unit.args.argfiles.iter().cloned()).filter(|p| p.is_file()));
    if unit.args.links() || unit.args.bundles_native_libs() {
        for search in &unit.args.search_paths {
            let dir = unit.place.absolute(&search.path);
            let counts = matches!(search.kind, SearchKind::Native | SearchKind::All);
            if counts && dir.is_dir() && !is_system(&dir) {
                inputs.tree(unit, &dir)?;
            }
        }
    }
    inputs.prune(unit, learned);
    inputs.files.extend(learned.files.iter().filter(|path| path.is_file()).cloned());
    inputs.directories.insert(unit.place.cwd.clone());
    inputs.directories.extend(unit.args.incremental.iter().map(|dir| unit.place.absolute(dir)));
    let searched = unit.args.search_paths.iter().map(|search| unit.place.absolute(&search.path));
    inputs.directories.extend(searched.filter(|dir| dir.is_dir() && !is_system(dir)));
    Ok(inputs)
}

/// Directories that every machine has its own of.
pub(super) fn is_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys", "/dev", "/opt"]
        .iter()
        .any(|dir| path.starts_with(dir))
}

impl Inputs {
    /// Leaves out what nothing looked at the last time, but for what the arguments name. Directories
    /// stay: what is looked for in them shows, and paths may lead through them (`src/../data`).
    fn prune(&mut self, unit: &Unit, learned: &Learned) {
        if learned.unread.is_empty() {
            return;
        }
        let root = unit.place.absolute(&unit.args.input);
        let named = |path: &PathBuf| *path == root || unit.externs.iter().any(|(e, _)| e == path);
        let spared = |path: &PathBuf| learned.spares(unit, path) && !named(path);
        let (pruned, files) = std::mem::take(&mut self.files).into_iter().partition(spared);
        (self.pruned, self.files) = (pruned, files);
        let parents = self.pruned.iter().filter_map(|path| path.parent());
        self.directories.extend(parents.map(Path::to_path_buf));
    }

    /// Adds all files below a directory, but for target directories and what git keeps.
    fn tree(&mut self, unit: &Unit, dir: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("inputs: {}: {error}", dir.display());
        self.directories.insert(dir.to_path_buf());
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if path.is_dir() {
                let other = entry.file_name() == ".git"
                    || unit.place.target.as_ref() == Some(&path)
                    || path.join("CACHEDIR.TAG").is_file();
                if !other && !path.is_symlink() {
                    self.tree(unit, &path)?;
                }
            } else if path.is_file() {
                self.files.insert(path);
            }
            if self.files.len() > MOST {
                return Err(format!("inputs: more than {MOST} files in {}", dir.display()));
            }
        }
        Ok(())
    }
}
