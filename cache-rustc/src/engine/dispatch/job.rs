//! A unit as a job for another machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::super::unit::{self, Unit, os};
use super::declared;
use super::inputs;
use super::learned::Learned;
use super::{Job, Toolchain, stand};
use crate::args::Target;
use crate::env_class::{self, Class, READ_BY_C_LIBRARY};
use crate::trace::Tracer;

/// Variables that are sent along wherever they are set: where programs are, and what the loader
/// looks at.
const ALWAYS: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// Makes the job of a unit.
///
/// # Errors
/// Why it cannot be one.
pub(super) fn of(
    unit: &Unit,
    learned: &Learned,
    state_dir: &Path,
    scratch: PathBuf,
) -> Result<Job, String> {
    let [_] = unit.program.as_slice() else { return Err("inner-wrapper".into()) };
    let rustc = unit.programs.last().ok_or("no-compiler")?;
    if unit.args.toolchain.is_some() {
        return Err("toolchain-argument".into());
    }
    if unit.env.contains_key(OsStr::new("LD_PRELOAD")) {
        return Err("LD_PRELOAD".into());
    }
    let tracer = Tracer::available(state_dir).map_err(|error| format!("no-tracer: {error}"))?;
    tracer.can_trace(rustc).map_err(|error| format!("no-tracer: {error}"))?;
    let host = unit.host.clone();
    let target = match &unit.args.target {
        None => host.clone(),
        Some(Target::Triple(triple)) => triple.clone(),
        Some(Target::Spec(_)) => return Err("target-spec".into()),
    };
    let program = [rustc.clone().into_os_string()];
    let argv = unit::argv(&program, &unit.remap, &unit.linker, &unit.raw_args);
    let inputs = inputs::of(unit, learned, state_dir)?;
    let job = Job {
        unit: unit.name(),
        argv: argv.into_iter().map(text).collect::<Result<_, _>>()?,
        env: environment(unit, learned)?,
        cwd: unit.place.cwd.clone(),
        roots: unit.place.roots.iter().map(|(_, root)| os(root).into()).collect(),
        files: inputs.files,
        directories: inputs.directories,
        pruned: inputs.pruned,
        toolchain: Toolchain {
            home: unit.toolchain.clone(),
            rustc: rustc.clone(),
            host,
            target,
            links: unit.args.links(),
        },
        system: learned.system.clone(),
        outputs: unit.outputs.iter().map(|output| output.path.clone()).collect(),
        out_dir: unit.out_dir.clone(),
        tracer: tracer.object().to_path_buf(),
        scratch,
        cost_us: learned.cost_us,
        stand: stand::of(unit),
        always: false,
        races: false,
    };
    job.check()?;
    Ok(job)
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|_| "not-unicode".into())
}

/// What cargo or the package's build script sets, what the compiler's identity knows, and what turned
/// out to be read. All else stays here: it may be secret, and a result would differ by it for nothing.
fn environment(unit: &Unit, learned: &Learned) -> Result<BTreeMap<String, String>, String> {
    let declared = declared::variables(unit);
    let is_known = |name: &str| learned.env.contains(name) || declared.contains(name);
    let goes = |name: &OsStr| {
        env_class::set_by_cargo(name)
            || env_class::classify(name) == Class::Identity
            || ALWAYS.iter().any(|always| name == *always)
            || unit.args.links() && READ_BY_C_LIBRARY.iter().any(|known| name == *known)
            || name.to_str().is_some_and(is_known)
    };
    let sent = unit.env.iter().filter(|(name, _)| goes(name));
    sent.map(|(name, value)| Ok((text(name.clone())?, text(value.clone())?))).collect()
}

impl Job {
    /// Refuses paths that cannot be said.
    fn check(&self) -> Result<(), String> {
        let singles = [&self.cwd, &self.out_dir, &self.tracer, &self.scratch];
        let toolchain = [&self.toolchain.home, &self.toolchain.rustc];
        let sets: [&BTreeSet<PathBuf>; 3] = [&self.roots, &self.files, &self.directories];
        let all = singles.into_iter().chain(toolchain).chain(sets.into_iter().flatten());
        let plain = |path: &Path| {
            let text = path.to_str()?;
            let odd = text.split('/').any(|part| matches!(part, "." | ".."));
            (path.is_absolute() && !odd && !text.contains(['\n', '\0'])).then_some(())
        };
        for path in all.chain(&self.outputs) {
            plain(path).ok_or_else(|| format!("path: {}", path.display()))?;
        }
        Ok(())
    }
}
