//! Sources of libraries that define macros.
//!
//! To say where code of a macro comes from, rustc reads the library's source file in which the macro
//! stands, if it is there (`SourceMap::ensure_source_file_source_present`). Which of them it will read
//! cannot be told before, so all are offered. A library's sources are named by its dependency information,
//! which lies beside it; which of them define macros is noted in a small file named after the
//! library: `macros-v2/<digest>` in the state directory, a stamp, and a path a line.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cache_core::Hasher;

use super::super::unit::os;
use crate::dep_info::DepInfo;

/// What a file has that defines a macro.
const DEFINES: &[u8] = b"macro_rules!";

/// The sources with macros of a library (`…/deps/libname-hash`, without extension) that was compiled in
/// this working directory, if its dependency information names them relatively; as it names them, which may
/// be through other directories (`src/../data`). What cannot be read has none.
pub(super) fn sources(stem: &Path, cwd: &Path, state_dir: &Path) -> Vec<PathBuf> {
    let Some(info) = dep_info(stem) else { return Vec::new() };
    let Ok(metadata) = fs::metadata(&info) else { return Vec::new() };
    let stamp =
        format!("{} {}.{}", metadata.size(), metadata.mtime(), metadata.mtime_nsec()).into_bytes();
    let note = place(stem, state_dir);
    if let Some(known) = read(&note, &stamp) {
        return known;
    }
    let named = fs::read(&info).ok().and_then(|bytes| DepInfo::parse(&bytes).ok());
    let named = named.map(|info| info.files).unwrap_or_default();
    let named = named.iter().map(|path| cwd.join(os(path)));
    let defines = |path: &PathBuf| {
        fs::read(path).is_ok_and(|text| memchr::memmem::find(&text, DEFINES).is_some())
    };
    let found: Vec<PathBuf> = named.filter(defines).collect();
    write(&note, &stamp, &found);
    found
}

/// `…/deps/name-hash.d` for `…/deps/libname-hash`.
fn dep_info(stem: &Path) -> Option<PathBuf> {
    let name = stem.file_name()?.as_bytes().strip_prefix(b"lib")?;
    let mut name = OsStr::from_bytes(name).to_os_string();
    name.push(".d");
    Some(stem.with_file_name(name))
}

fn read(note: &Path, stamp: &[u8]) -> Option<Vec<PathBuf>> {
    let text = fs::read(note).ok()?;
    let mut lines = text.split(|byte| *byte == b'\n');
    (lines.next() == Some(stamp)).then_some(())?;
    let lines = lines.filter(|line| !line.is_empty());
    Some(lines.map(|line| PathBuf::from(OsStr::from_bytes(line))).collect())
}

/// Trouble means that the sources are read again.
fn write(note: &Path, stamp: &[u8], found: &[PathBuf]) {
    let mut text = stamp.to_vec();
    for path in found {
        text.push(b'\n');
        text.extend_from_slice(path.as_os_str().as_bytes());
    }
    let _ = note.parent().map_or(Ok(()), fs::create_dir_all);
    let temp = note.with_extension(std::process::id().to_string());
    if fs::write(&temp, text).and_then(|()| fs::rename(&temp, note)).is_err() {
        let _ = fs::remove_file(&temp);
    }
}

fn place(stem: &Path, state_dir: &Path) -> PathBuf {
    let mut hasher = Hasher::keyed("larder 2026-11 macros v2");
    let name = hasher.field(stem.as_os_str().as_bytes()).finish().to_hex();
    state_dir.join("macros-v2").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_with_macros_are_found_and_remembered_until_the_library_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (cwd, state) = (dir.path().join("ws"), dir.path().join("state"));
        fs::create_dir_all(cwd.join("src")).unwrap();
        fs::write(cwd.join("src/lib.rs"), "mod m;\n").unwrap();
        fs::write(cwd.join("src/m.rs"), "macro_rules! m { () => {} }\n").unwrap();
        let (stem, info) = (cwd.join("libone-1"), cwd.join("one-1.d"));
        let found = || sources(&stem, &cwd, &state);
        assert!(found().is_empty(), "nothing is known");
        let files = "src/lib.rs src/../src/m.rs\n\nsrc/lib.rs:\nsrc/../src/m.rs:\n";
        fs::write(&info, format!("libone-1.rlib: {files}")).unwrap();
        assert_eq!(found(), [cwd.join("src/../src/m.rs")]);
        // Not looked at again, ...
        fs::write(cwd.join("src/lib.rs"), "macro_rules! l { () => {} }\n").unwrap();
        assert_eq!(found(), [cwd.join("src/../src/m.rs")]);
        // ... but when the library is another.
        fs::write(&info, format!("libone-1.rmeta: {files}")).unwrap();
        assert_eq!(found(), [cwd.join("src/lib.rs"), cwd.join("src/../src/m.rs")]);
    }
}
