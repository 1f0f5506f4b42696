//! Files that a person can read in one sitting.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Done;
use crate::repo;

/// No file may have more lines.
const LIMIT: usize = 800;
/// Most files should have fewer; the others are listed.
const LONG: usize = 300;

/// Lists the tracked Rust files over 300 lines and fails if one has more than 800.
///
/// # Errors
/// When there is such a file, or the files cannot be listed or read.
pub(super) fn check() -> Result<Done> {
    let root = repo::root();
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(&root)
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8_lossy(&output.stdout);
    let files: Vec<&str> =
        listing.split_terminator('\0').filter(|file| root.join(file).is_file()).collect();
    ensure!(!files.is_empty(), "no Rust file is tracked");
    let mut long = Vec::new();
    for file in &files {
        let lines = fs::read(root.join(file))?.iter().filter(|byte| **byte == b'\n').count();
        if lines > LONG {
            long.push((lines, *file));
        }
    }
    long.sort_unstable_by(|a, b| b.cmp(a));
    println!("{} files, {} of them over {LONG} lines", files.len(), long.len());
    for (lines, file) in &long {
        println!("{lines:5} {file}");
    }
    let over = long.iter().filter(|(lines, _)| *lines > LIMIT).count();
    ensure!(over == 0, "{over} files have more than {LIMIT} lines");
    Ok(Done::Passed)
}
