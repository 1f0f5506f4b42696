//! The list of checks.

use std::process::Command;

use anyhow::Result;

use super::Done;
use super::{fuzz, package, sizes};
use crate::servers::Servers;
use crate::{readme, repo};

/// One check.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) run: fn() -> Result<Done>,
}

/// All checks, cheapest first, so that a run that will fail does so early.
pub(super) const STEPS: &[Step] = &[
    Step { name: "fmt", what: "every workspace is formatted", run: fmt },
    Step { name: "sizes", what: "no Rust file over 800 lines", run: sizes::check },
    Step { name: "clippy", what: "no warning in any target", run: clippy },
    Step { name: "doc", what: "the documentation builds without warnings", run: doc },
    Step { name: "test", what: "the README's test command, next to real servers", run: test },
    Step { name: "redb", what: "the store in one redb file", run: redb },
    Step { name: "example", what: "the example workspace's own tests", run: example },
    Step { name: "try", what: "the README's first command", run: try_it },
    Step { name: "package", what: "every crate can be packaged", run: package::check },
    Step { name: "fuzz", what: "every fuzz target, for a bounded time", run: fuzz::check },
];

const EXAMPLE: &str = "examples/workspace/Cargo.toml";

fn fmt() -> Result<Done> {
    for manifest in ["Cargo.toml", EXAMPLE, fuzz::MANIFEST] {
        if repo::root().join(manifest).is_file() {
            cargo(&["fmt", "--all", "--check", "--manifest-path", manifest])?;
        }
    }
    Ok(Done::Passed)
}

fn clippy() -> Result<Done> {
    let what = ["clippy", "--workspace", "--all-targets", "--all-features", "--locked"];
    cargo(&[&what[..], &["--", "-D", "warnings"]].concat())
}

fn doc() -> Result<Done> {
    let mut command = Command::new("cargo");
    command.args(["doc", "--workspace", "--no-deps", "--all-features", "--locked"]);
    command.current_dir(repo::root());
    repo::succeed(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Done::Passed)
}

fn test() -> Result<Done> {
    let servers = Servers::start()?;
    let mut command = from_readme("Test")?;
    servers.name(&mut command);
    // One run is to show all that fails.
    repo::succeed(command.arg("--no-fail-fast").env("LARDER_REQUIRE_SERVERS", "1"))?;
    Ok(Done::Passed)
}

fn redb() -> Result<Done> {
    let what = ["test", "--package", "cache-storage", "--features", "redb", "--locked"];
    cargo(&[&what[..], &["--lib", "--test", "redb"]].concat())
}

fn example() -> Result<Done> {
    cargo(&["test", "--locked", "--manifest-path", EXAMPLE])
}

fn try_it() -> Result<Done> {
    repo::succeed(&mut from_readme("Try it")?)?;
    Ok(Done::Passed)
}

/// The command under a heading, shown as it is going to run.
fn from_readme(heading: &str) -> Result<Command> {
    let words = readme::command(heading)?;
    println!("$ {}", words.join(" "));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(repo::root());
    Ok(command)
}

fn cargo(arguments: &[&str]) -> Result<Done> {
    repo::succeed(Command::new("cargo").args(arguments).current_dir(repo::root()))?;
    Ok(Done::Passed)
}
