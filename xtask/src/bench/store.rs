//! `cargo xtask bench store`: which layout of a store is faster, files or one redb file.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use lexopt::{Arg, ValueExt};

use crate::repo;

/// Runs the benchmark program of `cache-storage` in each `--dir` (the target directory if there is
/// none), `--runs` times.
///
/// # Errors
/// On bad usage, or when the program cannot be built or fails.
pub(super) fn main(mut arguments: lexopt::Parser) -> Result<ExitCode> {
    let (mut runs, mut dirs) = (30, Vec::<PathBuf>::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("runs") => runs = arguments.value()?.parse::<std::num::NonZeroU32>()?.get(),
            Arg::Long("dir") => dirs.push(std::path::absolute(arguments.value()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    if dirs.is_empty() {
        dirs.push(repo::target_directory()?);
    }
    for dir in dirs {
        let mut bench = Command::new("cargo");
        bench.args(["bench", "-p", "cache-storage", "--features", "redb", "--bench", "store"]);
        bench.args(["--", "--runs", &runs.to_string(), "--dir"]).arg(dir);
        repo::succeed(bench.current_dir(repo::root()))?;
    }
    Ok(ExitCode::SUCCESS)
}
