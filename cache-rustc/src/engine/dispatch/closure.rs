//! What a library needs of others: noted as units are served, since nothing else tells.
//!
//! A compile reads its direct dependencies, which its arguments name, and theirs, which it finds by
//! itself in a directory of hundreds of files. So each unit's own list is kept in a small file named
//! after its output: `deps-v1/<digest>` in the state directory, one path without extension a line.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use cache_core::Hasher;

use super::super::unit::Unit;
use super::check::lexically_plain;
use super::inputs::Inputs;
use super::macros;
use crate::args::SearchKind;

/// Notes what a unit needs. Trouble means that too much is taken to be needed.
pub(in super::super) fn note(unit: &Unit, state_dir: &Path) {
    let mut text = Vec::new();
    for (path, _) in &unit.externs {
        text.extend_from_slice(stem(path).as_os_str().as_bytes());
        text.push(b'\n');
    }
    let stems: BTreeSet<_> = unit.outputs.iter().map(|output| stem(&output.path)).collect();
    for own in stems.iter().filter(|own| is_library(own)) {
        let path = place(state_dir, own);
        if std::fs::read(&path).is_ok_and(|known| known == text) {
            continue;
        }
        let written = || {
            let dir = path.parent()?;
            std::fs::create_dir_all(dir).ok()?;
            let temp = dir.join(format!(".{}-{}", std::process::id(), text.len()));
            std::fs::write(&temp, &text).ok()?;
            std::fs::rename(&temp, &path).ok()
        };
        written();
    }
}

fn is_library(stem: &Path) -> bool {
    stem.file_name().is_some_and(|name| name.as_bytes().starts_with(b"lib"))
}

fn stem(path: &Path) -> PathBuf {
    path.with_extension("")
}

fn place(state_dir: &Path, stem: &Path) -> PathBuf {
    let mut hasher = Hasher::keyed("larder 2026-11 deps v1");
    let name = hasher.field(stem.as_os_str().as_bytes()).finish().to_hex();
    state_dir.join("deps-v1").join(name)
}

/// Adds the libraries that a unit may read: those that its arguments name, with all that they need, and
/// their sources that define macros. For what nothing is known of, whatever lies in the directories that are searched.
pub(super) fn libraries(unit: &Unit, state_dir: &Path, inputs: &mut Inputs) {
    let mut stems = BTreeSet::new();
    let mut next: Vec<PathBuf> = unit.externs.iter().map(|(path, _)| stem(path)).collect();
    let files = &mut inputs.files;
    files.extend(unit.externs.iter().map(|(path, _)| path.clone()));
    while let Some(stem) = next.pop() {
        if !stems.insert(stem.clone()) {
            continue;
        }
        match std::fs::read(place(state_dir, &stem)) {
            Ok(text) => {
                let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                next.extend(lines.map(|line| PathBuf::from(OsStr::from_bytes(line))));
            }
            Err(_) => {
                files.extend(everything(unit));
                break;
            }
        }
    }
    let links = unit.args.links();
    files.extend(stems.iter().flat_map(|stem| forms(stem, links)));
    let cwd = &unit.place.cwd;
    let sources = stems.iter().flat_map(|stem| macros::sources(stem, cwd, state_dir));
    for path in sources.filter(|path| path.is_file()) {
        files.insert(lexically_plain(&path));
        inputs.directories.extend(through(&path));
    }
}

/// The directories that a path leads into and out of again.
fn through(path: &Path) -> impl Iterator<Item = PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let out: Vec<_> = (1..parts.len()).filter(|at| parts[*at] == Component::ParentDir).collect();
    out.into_iter().map(move |at| lexically_plain(&parts[..at].iter().collect::<PathBuf>()))
}

/// The files of a library. Only a link reads a library of which there is metadata.
fn forms(stem: &Path, links: bool) -> Vec<PathBuf> {
    let form = |extension: &str| {
        let mut path = stem.as_os_str().to_os_string();
        path.push(extension);
        Some(PathBuf::from(path)).filter(|path| path.is_file())
    };
    let object = form(".so");
    let metadata = form(".rmeta");
    let library = form(".rlib").filter(|_| links || metadata.is_none());
    [object, metadata, library].into_iter().flatten().collect()
}

fn everything(unit: &Unit) -> BTreeSet<PathBuf> {
    let searched = unit.args.search_paths.iter();
    let searched = searched.filter(|search| search.kind == SearchKind::Dependency);
    let entries = searched.flat_map(|search| {
        std::fs::read_dir(unit.place.absolute(&search.path)).into_iter().flatten().flatten()
    });
    let stems: BTreeSet<PathBuf> =
        entries.map(|entry| stem(&entry.path())).filter(|stem| is_library(stem)).collect();
    stems.iter().flat_map(|stem| forms(stem, unit.args.links())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_through_the_directories_that_it_leaves() {
        let led = |path: &str| through(Path::new(path)).collect::<Vec<_>>();
        assert_eq!(led("/p/src/../data/m.rs"), [Path::new("/p/src")]);
        assert_eq!(led("/p/a/b/../../m.rs"), [Path::new("/p/a/b"), Path::new("/p/a")]);
        assert!(led("/p/src/m.rs").is_empty());
    }
}
