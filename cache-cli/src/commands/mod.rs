//! The commands that people use.

mod agent;
mod config;
mod doctor;
mod execute;
mod gc;
mod key;
mod push;
mod remote;
mod setup;
mod stats;
mod verify;
pub(crate) mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use cache_rustc::linker::Linker;

use crate::config::other_linker;
use crate::trial;

/// A compile cache for Rust.
///
/// cargo starts larder in front of rustc (`RUSTC_WRAPPER`, or `larder setup`); the commands below are
/// for people.
#[derive(Debug, Parser)]
#[command(name = "larder", bin_name = "larder", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build a project with and without larder, in temporary copies, and compare
    Try {
        /// Compare linkers instead: the usual one with wild, mold or lld
        #[arg(long, value_name = "LINKER", value_parser = linker)]
        linker: Option<Linker>,
        /// The project's directory
        #[arg(default_value = ".")]
        path: PathBuf,
        /// What to run instead of `cargo build`, such as `-- check` or `-- --release`
        #[arg(last = true)]
        cargo_args: Vec<OsString>,
    },
    /// Let cargo use larder for all builds of this user
    Setup(setup::Setup),
    /// Show hits, misses and what they saved
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Set the counters to zero
        #[arg(long)]
        zero: bool,
    },
    /// Tell why a crate was compiled, restored or not cached
    Why {
        /// The crate's name
        #[arg(value_name = "CRATE")]
        name: String,
    },
    /// Check the configuration, the store and what larder needs here
    Doctor,
    /// Remove what has not been used for longest
    Gc {
        /// Down to this size, such as 5GiB, instead of the configured one
        #[arg(long)]
        size: Option<String>,
    },
    /// Check everything in the store against its digest
    Verify {
        /// Remove what is damaged
        #[arg(long)]
        repair: bool,
    },
    /// Make or show a key that signs what is stored
    #[command(subcommand)]
    Key(key::Key),
    /// Look at the remote, or remove what is old there
    #[command(subcommand)]
    Remote(remote::Remote),
    /// Try the engine that units are compiled on, or look at it
    #[command(subcommand)]
    Execute(execute::Execute),
    /// Upload now what builds have left to be uploaded
    Push {
        /// Wait until it is done; fails if something is left
        #[arg(long)]
        wait: bool,
    },
    /// The process in the background
    #[command(hide = true)]
    Agent(agent::Agent),
    /// Show each setting and where it came from
    Config,
}

/// Runs the command that the arguments name. Usage errors exit with 2, others with 1.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Try { linker, path, cargo_args } => {
            trial::run(&path, linker, &cargo_args).map(|()| true)
        }
        Command::Setup(setup) => setup::run(&setup),
        Command::Stats { json, zero } => stats::run(json, zero),
        Command::Why { name } => why::run(&name),
        Command::Doctor => doctor::run(),
        Command::Gc { size } => gc::run(size.as_deref()),
        Command::Verify { repair } => verify::run(repair),
        Command::Key(key) => key::run(key),
        Command::Remote(remote) => remote::run(remote),
        Command::Execute(execute) => execute::run(execute),
        Command::Push { wait } => push::run(wait),
        Command::Agent(agent) => return agent::run(&agent),
        Command::Config => Ok(config::run()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("larder: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn linker(value: &str) -> Result<Linker, String> {
    other_linker(value).map_err(|unusable| format!("{}; {}", unusable.message, unusable.fix))
}
