//! `cargo xtask bench`: whole builds, and the cost of one hit.

mod hit;
mod rounds;
mod table;
mod unit;

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use lexopt::{Arg, ValueExt};
use serde_json::Value;

use crate::files::Scratch;
use crate::larder;
use crate::measure::adopt_orphans;
use crate::subject::Subject;
use crate::tools::Tool;

/// What the command line asks for.
struct Options {
    subjects: Vec<String>,
    runs: Option<NonZeroUsize>,
    peers: bool,
    larder: Option<PathBuf>,
    json: Option<PathBuf>,
    keep: bool,
}

/// Runs the task with the rest of its command line.
///
/// # Errors
/// On bad usage, or when a build fails.
pub(crate) fn main(mut arguments: lexopt::Parser) -> Result<ExitCode> {
    let mut options = Options {
        subjects: vec![],
        runs: None,
        peers: true,
        larder: None,
        json: None,
        keep: false,
    };
    let mut one_hit = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(what) if what == "hit" => one_hit = true,
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
            other => return Err(other.unexpected().into()),
        }
    }
    let binary = larder::binary(options.larder.clone())?;
    if one_hit {
        hit::bench(&binary, options.runs.map_or(50, NonZeroUsize::get), options.keep)?;
    } else {
        builds(&options, binary)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn builds(options: &Options, binary: PathBuf) -> Result<()> {
    adopt_orphans()?;
    let mut tools = vec![Tool::plain()?, Tool::larder(binary)?];
    if options.peers {
        tools.extend(Tool::peers()?);
    }
    let usual = ["fd-find", "eza", "self"].map(str::to_owned);
    let subjects = if options.subjects.is_empty() { &usual[..] } else { &options.subjects };
    let mut report = Vec::new();
    for spec in subjects {
        let scratch = Scratch::new("bench", options.keep)?;
        let subject = Subject::obtain(spec, scratch.path())?;
        let results = rounds::run(
            &subject,
            &tools,
            options.runs.map_or(3, NonZeroUsize::get),
            scratch.path(),
        )?;
        table::print(&subject.title, &results);
        report.push(table::json(&subject.title, &results));
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&Value::from(report))?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
