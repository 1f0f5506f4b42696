//! Tasks of this project, run as `cargo xtask TASK` (Unix only):
//!
//! - `bench`: whole builds through larder next to plain cargo and whatever other caches are found;
//! - `bench hit`: the cost of one hit, as a whole process;
//! - `bench edits`: the cost of an edit, next to plain cargo;
//! - `bench six`: several checkouts built at once;
//! - `bench remote`: builds that share an S3 server, over a fast and an ordinary link;
//! - `bench faults`: builds next to slow and broken remotes;
//! - `bench execute`: builds with an engine on this machine;
//! - `bench store`: which layout of a store is faster;
//! - `count`: which compilers a fully cached build still starts;
//! - `simulate`: what the scheduling policy does to recorded builds on engines of many workers;
//! - `servers`: a command next to real storage servers;
//! - `ci`: everything that `.ci/run` checks.
#![forbid(unsafe_code)]

mod bench;
mod build_env;
mod ci;
mod count;
mod disk;
mod figures;
mod files;
mod larder;
mod measure;
mod readme;
mod repo;
mod servers;
mod shim;
mod subject;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage:
  cargo xtask bench [--subject fd-find|eza|self|NAME@VERSION|PATH]... [--runs 3]
                    [--peers auto|none] [--larder FILE] [--json FILE] [--keep]
  cargo xtask bench hit [--runs 50] [--larder FILE] [--keep]
  cargo xtask bench edits [--subject self] [--file SOURCE] [--edits 20] [--json FILE]
  cargo xtask bench six [--subject fd-find]... [--runs 3] [--json FILE]
  cargo xtask bench remote [--subject eza]... [--runs 3] [--json FILE]
  cargo xtask bench faults [--subject fd-find]... [--runs 3] [--json FILE]
  cargo xtask bench execute [--subject eza]... [--runs 1] [--race-only|--there-only] [--json FILE]
  cargo xtask bench store [--runs 30] [--dir DIRECTORY]...
  cargo xtask count [--subject fd-find] [--larder FILE] [--keep]
  cargo xtask simulate
  cargo xtask servers -- COMMAND
  cargo xtask ci [STEP]...      (all steps, or those named; --list names them)

Other caches (sccache, kache, mbx) are measured too when they are on PATH or in the
directory that LARDER_BENCH_PEERS names.";

fn main() -> ExitCode {
    if let Some(code) = shim::run_if_called_as_one() {
        return code;
    }
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            if error.is::<lexopt::Error>() {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> anyhow::Result<ExitCode> {
    let mut arguments = lexopt::Parser::from_env();
    match arguments.next()? {
        Some(lexopt::Arg::Value(task)) if task == "bench" => bench::main(arguments),
        Some(lexopt::Arg::Value(task)) if task == "count" => count::main(arguments),
        Some(lexopt::Arg::Value(task)) if task == "simulate" => simulate(),
        Some(lexopt::Arg::Value(task)) if task == "servers" => servers::main(arguments),
        Some(lexopt::Arg::Value(task)) if task == "ci" => ci::main(arguments),
        Some(lexopt::Arg::Long("help") | lexopt::Arg::Short('h')) => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => Err(other.unexpected().into()),
        None => Err(lexopt::Error::Custom("no task given".into()).into()),
    }
}

/// The simulation is an example of `cache-dist`, so that its model is next to the policy that it tries.
fn simulate() -> anyhow::Result<ExitCode> {
    let mut command = std::process::Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--locked", "--package", "cache-dist"]);
    repo::succeed(command.args(["--example", "simulate"]).current_dir(repo::root()))?;
    Ok(ExitCode::SUCCESS)
}
