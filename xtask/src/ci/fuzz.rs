//! A bounded run of every fuzz target.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Done;
use crate::repo;

/// The fuzz crate's manifest; it is a workspace of its own.
pub(super) const MANIFEST: &str = "fuzz/Cargo.toml";

/// Seconds for all targets together without libFuzzer.
const SMOKE: u32 = 20;
/// Seconds a target under libFuzzer.
const SECONDS: u32 = 8;

/// Runs every target's checks with the stable compiler, then under libFuzzer with `cargo fuzz`,
/// which is installed if need be. libFuzzer needs a nightly compiler: without one the first part is
/// all there is, and a message says so.
///
/// # Errors
/// When a target fails or cannot be built.
pub(super) fn check() -> Result<Done> {
    if !repo::root().join(MANIFEST).is_file() {
        return Ok(Done::Skipped("there are no fuzz targets".into()));
    }
    let mut smoke = Command::new("cargo");
    smoke.args([
        "run",
        "--release",
        "--locked",
        "--manifest-path",
        MANIFEST,
        "--bin",
        "smoke",
        "--",
    ]);
    repo::succeed(smoke.arg(SMOKE.to_string()).current_dir(repo::root()))?;
    if !works(Command::new("cargo").args(["+nightly", "--version"])) {
        println!("no nightly toolchain, so nothing was run under libFuzzer");
        return Ok(Done::Passed);
    }
    let Some(program) = cargo_fuzz()? else {
        println!("cargo-fuzz cannot be installed, so nothing was run under libFuzzer");
        return Ok(Done::Passed);
    };
    under_libfuzzer(&program)?;
    Ok(Done::Passed)
}

fn under_libfuzzer(program: &Path) -> Result<()> {
    let output = fuzz(program, "list").output().context("cannot run cargo fuzz")?;
    ensure!(
        output.status.success(),
        "cargo fuzz list: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8(output.stdout)?;
    // The stable runner of the first part is a binary of the same crate.
    let targets = listing.split_whitespace().filter(|name| *name != "smoke");
    let mut count = 0;
    for target in targets {
        println!("--- {target}, {SECONDS} s");
        // New inputs go to the first directory; both are read.
        let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
        fs::create_dir_all(repo::root().join(&corpus))?;
        let mut run = fuzz(program, "run");
        run.args([target, &corpus, &seeds, "--", "-print_final_stats=1", "-verbosity=0"]);
        repo::succeed(run.arg(format!("-max_total_time={SECONDS}")))?;
        count += 1;
    }
    ensure!(count > 0, "cargo fuzz finds no target");
    Ok(())
}

/// `cargo fuzz COMMAND` under nightly. The program itself is started, with the variable by which
/// rustup chooses a toolchain, because a copy outside of `PATH` is no subcommand of cargo.
fn fuzz(program: &Path, command: &str) -> Command {
    let mut run = Command::new(program);
    run.args(["fuzz", command, "--fuzz-dir", "fuzz"]).current_dir(repo::root());
    run.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("CARGO").env_remove("LD_LIBRARY_PATH");
    run
}

/// `cargo-fuzz` from `PATH`, or from the target directory, installed there at need.
fn cargo_fuzz() -> Result<Option<PathBuf>> {
    if works(Command::new("cargo-fuzz").args(["fuzz", "--version"])) {
        return Ok(Some("cargo-fuzz".into()));
    }
    let root = repo::target_directory()?.join("tools");
    let program = root.join("bin/cargo-fuzz");
    if !program.is_file() {
        let mut install = Command::new("cargo");
        install.args(["install", "cargo-fuzz", "--locked", "--quiet", "--root"]).arg(&root);
        if !install.status().is_ok_and(|status| status.success()) {
            return Ok(None);
        }
    }
    Ok(Some(program))
}

fn works(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
