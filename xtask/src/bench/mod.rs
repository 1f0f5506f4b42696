//! `cargo xtask bench`: whole builds, the cost of one hit, edits, several builds at once, remotes, and
//! engines.

mod edits;
mod execute;
mod hit;
mod remote;
mod rounds;
mod six;
mod source;
mod store;
mod table;
mod unit;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, ValueExt};
use serde_json::Value;

use crate::files::Scratch;
use crate::larder;
use crate::measure::adopt_orphans;
use crate::subject::Subject;
use crate::tools::Tool;

/// What the command line asks for.
struct Options {
    what: What,
    subjects: Vec<String>,
    runs: Option<NonZeroUsize>,
    peers: bool,
    larder: Option<PathBuf>,
    json: Option<PathBuf>,
    keep: bool,
    /// How many edits.
    edits: NonZeroUsize,
    /// With an engine: which builds.
    parts: execute::Parts,
    /// The source that is edited, as a path in the subject.
    file: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Builds,
    Hit,
    Edits,
    Six,
    Remote,
    Faults,
    Execute,
}

/// Runs the task with the rest of its command line.
///
/// # Errors
/// On bad usage, or when a build fails.
pub(crate) fn main(mut arguments: lexopt::Parser) -> Result<ExitCode> {
    let mut options = Options {
        what: What::Builds,
        subjects: vec![],
        runs: None,
        peers: true,
        larder: None,
        json: None,
        keep: false,
        edits: NonZeroUsize::new(20).context("20 is not 0")?,
        parts: execute::Parts::All,
        file: None,
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(what) if what == "hit" => options.what = What::Hit,
            Arg::Value(what) if what == "edits" => options.what = What::Edits,
            Arg::Value(what) if what == "store" => return store::main(arguments),
            Arg::Value(what) if what == "six" => options.what = What::Six,
            Arg::Value(what) if what == "remote" => options.what = What::Remote,
            Arg::Value(what) if what == "faults" => options.what = What::Faults,
            Arg::Value(what) if what == "execute" => options.what = What::Execute,
            Arg::Long("edits") => options.edits = arguments.value()?.parse()?,
            Arg::Long("file") => options.file = Some(arguments.value()?.into()),
            Arg::Long("subject") => options.subjects.push(arguments.value()?.string()?),
            Arg::Long("runs") => options.runs = Some(arguments.value()?.parse()?),
            Arg::Long("peers") => {
                options.peers = arguments.value()?.parse_with(|word| match word {
                    "auto" => Ok(true),
                    "none" => Ok(false),
                    _ => Err("auto or none"),
                })?;
            }
            Arg::Long("larder") => options.larder = Some(arguments.value()?.into()),
            Arg::Long("json") => options.json = Some(arguments.value()?.into()),
            Arg::Long("keep") => options.keep = true,
            Arg::Long("race-only") => options.parts = execute::Parts::Race,
            Arg::Long("there-only") => options.parts = execute::Parts::There,
            other => return Err(other.unexpected().into()),
        }
    }
    let binary = larder::binary(options.larder.clone())?;
    if options.what == What::Hit {
        hit::bench(&binary, options.runs.map_or(50, NonZeroUsize::get), options.keep)?;
    } else {
        builds(&options, binary)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn builds(options: &Options, binary: PathBuf) -> Result<()> {
    adopt_orphans()?;
    let mut tools = vec![Tool::plain()?, Tool::larder(binary)?];
    if options.peers && matches!(options.what, What::Builds | What::Remote) {
        // Of the others only sccache shares through S3 without a service of its own.
        let shares = |tool: &Tool| options.what == What::Builds || tool.name == "sccache";
        tools.extend(Tool::peers()?.into_iter().filter(shares));
    }
    let usual = match options.what {
        What::Builds | What::Hit => &["fd-find", "eza", "self"][..],
        What::Edits => &["self"],
        What::Six | What::Faults => &["fd-find"],
        What::Remote => &["eza"],
        What::Execute => &["eza", "self"],
    };
    let usual: Vec<String> = usual.iter().map(|&name| name.to_owned()).collect();
    let subjects = if options.subjects.is_empty() { &usual } else { &options.subjects };
    let mut report = Vec::new();
    for spec in subjects {
        let scratch = match options.what {
            // A sandbox has a `/tmp` of its own, so what is below it here is not seen there.
            What::Execute => Scratch::below(Path::new("/var/tmp"), "bench", options.keep)?,
            _ => Scratch::new("bench", options.keep)?,
        };
        let subject = Subject::obtain(spec, scratch.path())?;
        report.push(measured(options, spec, &subject, &tools, scratch.path())?);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&Value::from(report))?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Measures one subject, prints its table and gives all figures.
fn measured(
    options: &Options,
    spec: &str,
    subject: &Subject,
    tools: &[Tool],
    scratch: &Path,
) -> Result<Value> {
    let runs = options.runs.map_or(3, NonZeroUsize::get);
    let title = &subject.title;
    let [plain, larder, ..] = tools else { bail!("two tools are always there") };
    Ok(match options.what {
        What::Builds | What::Hit => {
            let results = rounds::run(subject, tools, runs, scratch)?;
            table::print(title, &results);
            table::json(title, &results)
        }
        What::Edits => {
            // A library that the programs of its workspace are built on.
            let usual = (spec == "self").then(|| Path::new("cache-rustc/src/engine/restore.rs"));
            let file = options.file.as_deref().or(usual);
            let results = edits::run(subject, [plain, larder], file, options.edits.get(), scratch)?;
            edits::print(title, &results);
            edits::json(title, &results)
        }
        What::Remote | What::Faults => {
            let rows = match options.what {
                What::Remote => remote::run(subject, tools, runs, scratch)?,
                _ => remote::faults(subject, [plain, larder], runs, scratch)?,
            };
            remote::print(title, &rows);
            remote::json(title, &rows)
        }
        What::Execute => {
            let builds = execute::run(
                subject,
                larder,
                (options.runs.map_or(1, NonZeroUsize::get), options.parts),
                scratch,
            )?;
            execute::print(title, &builds);
            execute::json(title, &builds)
        }
        What::Six => {
            let samples = six::run(subject, larder, runs, scratch)?;
            six::print(title, &samples);
            six::json(title, &samples)
        }
    })
}
