//! `cargo xtask bench execute`: builds with an engine (buildbox-casd) on this machine, which has nothing to
//! give: what it costs, what is compiled there, what goes over the line, and whether the bytes are those
//! of a build here.
//!
//! Each build has a store of its own and begins with nothing; all are of one checkout's path, so that
//! their target directories can be compared. Without `CARGO_INCREMENTAL`, since rustc names the object
//! files of incremental compiles at random.

mod compare;
mod log;
mod show;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::source::Edited;
use crate::files::remove_tree;
use crate::larder;
use crate::measure::{Cost, measure};
use crate::servers::Servers;
use crate::subject::Subject;
use crate::tools::Tool;
use compare::Differences;
use log::Unit;
pub(super) use show::{json, print};

/// One build.
pub(super) struct Build {
    what: &'static str,
    cost: Cost,
    /// The compiles.
    units: Vec<Unit>,
    /// What the agent says of the engine, where there is one.
    engine: Option<Value>,
}

/// Which builds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    All,
    /// Here, and racing.
    Race,
    /// Here, and all there.
    There,
}

/// All builds of a subject.
pub(super) struct Results {
    builds: Vec<Build>,
    /// How what was compiled there differs from what was compiled here.
    differences: Option<Differences>,
}

/// Where builds happen.
struct Places {
    root: PathBuf,
    checkout: PathBuf,
    stores: usize,
}

/// Builds `subject` here and with an engine that has nothing yet, racing, `runs` times in turn; then all
/// on an engine that has nothing; the same once more, as if the store had been lost but not what was
/// learned of the crates; and after an edit, with no store and nothing learned, on the same engine.
///
/// # Errors
/// When the engine cannot be had, or a build fails.
pub(super) fn run(
    subject: &Subject,
    tool: &Tool,
    (runs, parts): (usize, Parts),
    scratch: &Path,
) -> Result<Results> {
    let root = scratch.join("execute");
    let checkout = root.join("checkout").join(&subject.name);
    let mut places = Places { root, checkout, stores: 0 };
    let kept = places.root.join("local");
    let mut builds = Vec::new();
    for _ in 0..runs {
        places.check_out(subject)?;
        let here = tool.clone().with_env("CARGO_INCREMENTAL", "0");
        let store = places.store();
        builds.push(places.build("here", &here, &store)?);
        remove_tree(&kept)?;
        std::fs::rename(places.checkout.join("target"), &kept).context("cannot keep the target")?;
        if parts == Parts::There {
            continue;
        }
        let engine = Servers::only_reapi()?;
        places.check_out(subject)?;
        let store = places.store();
        builds.push(places.build("racing", &on(tool, &engine, "race")?, &store)?);
    }
    if parts == Parts::Race {
        return Ok(Results { builds, differences: None });
    }
    let engine = Servers::only_reapi()?;
    let never = on(tool, &engine, "never")?;
    places.check_out(subject)?;
    let store = places.store();
    builds.push(places.build("there", &never, &store)?);
    let differences = Some(compare::trees(&kept, &places.checkout.join("target"))?);
    forget(&store)?;
    places.check_out(subject)?;
    builds.push(places.build("there, pruned", &never, &store)?);
    places.check_out(subject)?;
    Edited::find(&places.checkout, None)?.apply(&places.checkout, Some(1))?;
    // Its place is part of the actions: the tracer lies in it.
    remove_tree(&store)?;
    builds.push(places.build("there, one file edited", &never, &store)?);
    Ok(Results { builds, differences })
}

/// The tool with an engine.
fn on(tool: &Tool, engine: &Servers, local: &str) -> Result<Tool> {
    let address = engine.address("LARDER_TEST_REAPI").context("there is no engine")?;
    let tool = tool.clone().with_env("CARGO_INCREMENTAL", "0");
    Ok(tool.with_env("LARDER_EXECUTE", address).with_env("LARDER_EXECUTE_LOCAL", local))
}

/// Removes what is in a store, but not what was learned beside it.
fn forget(store: &Path) -> Result<()> {
    for entry in std::fs::read_dir(store)? {
        let path = entry?.path();
        if path.file_name() != Some("state-v1".as_ref()) {
            remove_tree(&path)?;
        }
    }
    Ok(())
}

impl Places {
    /// A checkout with nothing built in it.
    fn check_out(&self, subject: &Subject) -> Result<()> {
        remove_tree(&self.checkout)?;
        subject.check_out(&self.checkout)
    }

    /// A place for a new store.
    fn store(&mut self) -> PathBuf {
        self.stores += 1;
        self.root.join(format!("state{}", self.stores)).join("store")
    }

    fn build(&self, what: &'static str, tool: &Tool, store: &Path) -> Result<Build> {
        let events = store.with_extension("log");
        remove_tree(&events)?;
        let binary = tool.larder_binary().context("only larder has engines")?;
        let mut engine = None;
        let mut command = tool.build(&self.checkout, store);
        command.env("LARDER_LOG", &events);
        let stop = || {
            if tool.env().iter().any(|(name, _)| name == "LARDER_EXECUTE") {
                engine = Some(larder::engine(binary, store, tool.env())?);
            }
            tool.stop(store)
        };
        let (cost, _) = measure(&mut command, || tool.start(store), stop)?;
        let (wall, cpu) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
        eprintln!("  {what}: {wall:.2} s wall {cpu:.2} s CPU");
        let units = log::compiles(&events)?;
        Ok(Build { what, cost, units, engine })
    }
}
