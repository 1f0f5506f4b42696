//! Variables that a package's build script has set for the package's compiles.
//!
//! Cargo keeps what a build script printed beside its `OUT_DIR`, as `output` (`stdout` in the newer layout
//! of build directories), and sets the variables of its `rustc-env` instructions (the Cargo book,
//! "Outputs of the Build Script").

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::super::unit::Unit;

const PRINTED: [&str; 2] = ["output", "stdout"];
const SETS: [&str; 2] = ["cargo:rustc-env=", "cargo::rustc-env="];
/// A script may print anything, for as long as it likes.
const MOST: u64 = 16 << 20;

/// Their names. What cannot be read has none: it would be learned.
pub(super) fn variables(unit: &Unit) -> BTreeSet<String> {
    let out_dir = unit.env.get(OsStr::new("OUT_DIR")).map(Path::new);
    let beside = out_dir.and_then(Path::parent);
    let files = PRINTED.iter().filter_map(|name| File::open(beside?.join(name)).ok());
    files.flat_map(|file| names(file.take(MOST))).collect()
}

fn names(printed: impl Read) -> Vec<String> {
    let lines = BufReader::new(printed).split(b'\n').map_while(Result::ok);
    let name = |line: Vec<u8>| {
        let line = std::str::from_utf8(&line).ok()?;
        let (name, _) = SETS.iter().find_map(|sets| line.strip_prefix(sets))?.split_once('=')?;
        Some(name.to_owned())
    };
    lines.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_what_a_script_printed() {
        let printed = b"hello\ncargo:rustc-env=A=1\ncargo::rustc-env=B=x=y\nrustc-env=C=1\n\
                        \xff\ncargo:rustc-env=D\n cargo:rustc-env=E=1\ncargo:rustc-env=F=";
        assert_eq!(names(&printed[..]), ["A", "B", "F"]);
    }
}
