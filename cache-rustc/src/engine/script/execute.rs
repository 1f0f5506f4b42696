//! Running a build script, observing it and storing what it left.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

use cache_core::{Fact, Outcome, TextTemplate};

use super::super::Engine;
use super::super::action::{Action, env_fact_of, variant_fact};
use super::super::collect::{Collected, needles};
use super::super::facts::World;
use super::super::guard::Guard;
use super::super::miss;
use super::super::observe::see;
use super::super::report::{Laps, Miss, Report, Served};
use super::super::scope::{Scope, ScriptScope};
use super::super::scratch::Scratch;
use super::super::sights::Sights;
use super::super::streams::Sink;
use super::environ::{self, SESSIONLESS};
use super::run::ScriptRun;
use super::search::Search;
use super::streams::{self, Kept};
use super::{leftovers, programs, refused, tree};
use crate::trace;

/// Runs a script without observing it.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn plain(run: &ScriptRun, sink: &dyn Sink) -> std::io::Result<ExitStatus> {
    let mut child = command(run).spawn()?;
    streams::pass(&mut child, sink);
    child.wait()
}

/// Runs a script and stores what it left, if that may be.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn execute(
    run: &ScriptRun,
    why: Miss,
    engine: &Engine,
    sink: &dyn Sink,
    report: &mut Report,
) -> std::io::Result<ExitStatus> {
    let mut laps = Laps::start();
    let scratch = Scratch::new(engine, Some(&run.request.script), run.env());
    let mut command = command(run);
    if let Ok(scratch) = &scratch {
        scratch.map_prefixes(&run.remap);
        command.envs(scratch.env());
        // A compiler that the script asks something is observed with it, not served by itself.
        command.env("LARDER", "off");
    }
    let mut child = command.spawn()?;
    let kept = streams::pass(&mut child, sink);
    let status = child.wait()?;
    report.spans.run_us = laps.lap();
    let not_stored = if status.success() {
        let ended = Ended { streams: kept, wall_us: report.spans.run_us };
        scratch.and_then(|scratch| keep(run, ended, scratch, engine, report)).err()
    } else {
        Some("failed".to_owned())
    };
    if let Some(reason) = &not_stored {
        refused::note(&engine.options().state_dir, &run.key, reason);
    }
    report.spans.store_us = laps.lap();
    report.served = Served::Miss { why, not_stored };
    Ok(status)
}

fn command(run: &ScriptRun) -> Command {
    let request = &run.request;
    let mut command = Command::new(&request.script);
    command.arg0(&request.name).args(&request.args).current_dir(&request.cwd);
    command.env_clear().envs(&request.env);
    command.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A run that ended well.
struct Ended {
    streams: (Kept, Kept),
    wall_us: u64,
}

fn keep(
    run: &ScriptRun,
    ended: Ended,
    mut scratch: Scratch,
    engine: &Engine,
    report: &mut Report,
) -> Result<(), String> {
    let trace = scratch.trace()?.ok_or("no-tracer")?;
    let (Some(stdout), Some(stderr)) = ended.streams else {
        return Err("output-too-large".into());
    };
    let [sysroot, home] = &run.toolchain;
    let parts = ScriptScope {
        script: &run.request.script,
        out_dir: &run.out_dir,
        toolchain: [sysroot, home],
        env: run.env(),
    };
    let scope = Scope::of_script(&parts, &engine.options().state_dir);
    let sights = see(&trace, run.env(), &scope)?;

    let started = scratch.started()?;
    let blobs = engine.blobs();
    let mut facts: Vec<Fact> = sights
        .env
        .iter()
        .filter(|name| !environ::is_wrapper(name))
        .map(|name| env_fact_of(run, name.as_bytes()))
        .collect();
    sights.facts(run, &World::new(run, &blobs), &Guard::new(&started, &[]), &mut facts)?;
    facts.extend(programs::facts(run, &trace.entries)?);
    facts.extend(leftovers::fact(run, &trace.entries));
    let reads_all =
        sights.by_environ || trace::iterates_environ(&run.request.script).unwrap_or(true);
    let mut collected = collect(run, &sights, reads_all, &facts, [&stdout, &stderr])?;
    collected.outcome.cost_us = ended.wall_us;
    miss::store(engine, &run.recipe, collected, facts, report)
}

/// Gathers what a run left, and the facts that its bytes add.
fn collect(
    run: &ScriptRun,
    sights: &Sights,
    reads_all: bool,
    facts: &[Fact],
    streams: [&[u8]; 2],
) -> Result<Collected, String> {
    let mut roots = needles(&run.place, facts);
    if reads_all {
        roots = run.place.roots.iter().map(|(name, path)| (name.clone(), path.to_vec())).collect();
    }
    let session = environ::session(run.env()).map(|(name, _)| name).filter(|_| reads_all);
    let search = Search::new(run, roots, sights.about_tools.iter().chain(session), run.env());
    let tree = tree::read(&run.place, &run.out_dir, &search)?;

    let mut more = Vec::new();
    let mut text = |bytes: &[u8]| {
        let (text, unsure) = TextTemplate::locate(bytes, &run.place.roots, <[u8]>::to_vec);
        more.extend(unsure);
        text
    };
    let (stdout, stderr) = (text(streams[0]), text(streams[1]));
    more.extend(tree.unsure);
    let bound = search.roots.iter().zip(&tree.found).filter(|(_, found)| **found);
    more.extend(bound.map(|((name, _), _)| name.clone()));
    let mut facts: Vec<Fact> = more
        .into_iter()
        .filter_map(|root| {
            let path = run.place.roots.get(&root)?.to_vec();
            Some(Fact::Bound { root, path })
        })
        .collect();

    let mut found = tree.found;
    for text in streams {
        let values = found.iter_mut().skip(search.roots.len()).zip(search.values_in(text));
        values.for_each(|(all, here)| *all |= here);
    }
    facts.extend(search.names(&found).map(|name| env_fact_of(run, name)));
    if reads_all {
        // What of the session's is carried is a fact of its own, just above.
        facts.extend(variant_fact(run, SESSIONLESS));
    }
    let outcome = Outcome { exit_code: 0, stdout, stderr, outputs: tree.outputs, cost_us: 0 };
    Ok(Collected { outcome, facts, adoptions: tree.adoptions })
}
