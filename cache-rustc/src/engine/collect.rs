//! From the files a run left to an outcome and the blobs it names.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache_core::{Content, Digest, Fact, Outcome, Output, Role, RootName, TextTemplate};
use cache_storage::Placement;

use super::action::{env_fact_of, variant_fact};
use super::depfile;
use super::execute::Run;
use super::observe::reads_home;
use super::place::{HOME, Place};
use super::recipe::{DIAGNOSTICS, is_json};
use super::scan::scan;
use super::streams::{is_artifact, json_escape_bytes};
use super::unit::Unit;
use crate::dep_info::DepInfo;
use crate::env_class::{DISPLAY, READ_BY_C_LIBRARY};

/// A file to be taken into the store.
#[derive(Debug, Clone)]
pub(super) struct Adoption {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Whether the store may share its inode.
    pub placement: Placement,
}

/// An outcome with the files behind it.
#[derive(Debug)]
pub(super) struct Collected {
    /// The outcome.
    pub outcome: Outcome,
    /// The facts that its bytes add: roots they are bound to, variants they depend on.
    pub facts: Vec<Fact>,
    /// The files of its blobs.
    pub adoptions: Vec<Adoption>,
}

/// Gathers the outputs of a successful run.
///
/// # Errors
/// The reason why the result cannot be stored.
pub(super) fn collect(
    unit: &Unit,
    run: &Run,
    info: Option<&DepInfo>,
    facts: &[Fact],
) -> Result<Collected, String> {
    let needles = needles(&unit.place, facts);
    let bytes: Vec<Vec<u8>> = needles.iter().map(|(_, path)| path.clone()).collect();
    let mut bound = vec![false; needles.len()];
    let (mut outputs, mut adoptions) = (Vec::new(), Vec::new());
    for known in &unit.outputs {
        let meta = std::fs::metadata(&known.path)
            .map_err(|error| format!("output-missing: {}: {error}", known.path.display()))?;
        let content = if known.role == Role::DepInfo {
            let info = info.ok_or("dep-info-unreadable")?;
            Content::Text(depfile::template(info, unit).ok_or("dep-info-unreadable")?)
        } else {
            let scan = scan(&known.path, &bytes)
                .map_err(|error| format!("output-unreadable: {}: {error}", known.path.display()))?;
            bound.iter_mut().zip(&scan.found).for_each(|(bound, found)| *bound |= found);
            let placement =
                if unit.may_link(known.role) { Placement::MayLink } else { Placement::Private };
            adoptions.push(Adoption {
                digest: scan.digest,
                size: scan.size,
                path: known.path.clone(),
                placement,
            });
            Content::Blob { digest: scan.digest, size: scan.size }
        };
        let mode = meta.permissions().mode() & 0o777;
        outputs.push(Output {
            role: known.role,
            path: unit.place.template(&known.path),
            content,
            mode,
        });
    }
    let mut facts: Vec<Fact> = needles
        .into_iter()
        .zip(bound)
        .filter(|(_, bound)| *bound)
        .map(|((root, path), _)| Fact::Bound { root, path })
        .collect();
    facts.extend(shown(unit, run));
    let outcome = Outcome {
        exit_code: 0,
        stdout: text(unit, &run.stdout, &mut facts),
        stderr: text(unit, &run.stderr, &mut facts),
        outputs,
        cost_us: run.wall_us,
    };
    Ok(Collected { outcome, facts, adoptions })
}

/// The roots whose bytes in an output bind it. `HOME` counts only when it was read: short paths
/// such as `/root` occur by chance.
pub(super) fn needles(place: &Place, facts: &[Fact]) -> Vec<(RootName, Vec<u8>)> {
    let home = reads_home(facts);
    let counts = |name: &RootName| home || name.as_str() != HOME;
    place
        .roots
        .iter()
        .filter(|(name, _)| counts(name))
        .map(|(name, path)| (name.clone(), path.to_vec()))
        .collect()
}

/// An outcome with diagnostics holds only where they are shown the same way: by the compiler, and
/// in the language of a linker, which reads the locale past the tracer.
fn shown(unit: &Unit, run: &Run) -> Vec<Fact> {
    let silent =
        run.stdout.is_empty() && run.stderr.split_inclusive(|b| *b == b'\n').all(is_artifact);
    if silent {
        return Vec::new();
    }
    let variant = variant_fact(unit, DIAGNOSTICS);
    let locale = READ_BY_C_LIBRARY
        .iter()
        .chain(DISPLAY)
        .filter(|_| unit.args.links())
        .map(|name| env_fact_of(unit, name.as_bytes()));
    variant.into_iter().chain(locale).collect()
}

/// A stream without its place. Where it cannot be told whether the text names a root, the outcome
/// is bound to it.
fn text(unit: &Unit, bytes: &[u8], facts: &mut Vec<Fact>) -> TextTemplate {
    let roots = &unit.place.roots;
    let (text, unsure) = if is_json(&unit.args) {
        TextTemplate::locate(bytes, roots, json_escape_bytes)
    } else {
        TextTemplate::locate(bytes, roots, <[u8]>::to_vec)
    };
    facts.extend(unsure.into_iter().filter_map(|root| {
        let path = roots.get(&root)?.to_vec();
        Some(Fact::Bound { root, path })
    }));
    text
}

/// The dep-info the run wrote, if it was asked for one.
///
/// # Errors
/// When it was and is not readable whole: a partial list of inputs must never be trusted.
pub(super) fn dep_info(unit: &Unit) -> Result<Option<DepInfo>, String> {
    let Some(output) = unit.outputs.iter().find(|output| output.role == Role::DepInfo) else {
        return Ok(None);
    };
    read_dep_info(&output.path).map(Some)
}

fn read_dep_info(path: &Path) -> Result<DepInfo, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("dep-info-unreadable: {error}"))?;
    DepInfo::parse(&bytes).map_err(|error| format!("dep-info-unreadable: {error}"))
}
