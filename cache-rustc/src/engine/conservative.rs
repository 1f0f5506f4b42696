//! What is assumed of a run that was not traced.
//!
//! rustc's own dep-info is complete for what rustc reads, but not for what proc macros read. So a
//! unit that can load a proc macro depends on its whole environment and on every file of its
//! package. Without dep-info nothing is known, and nothing is stored.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_core::Fact;

use super::action::{env_fact_of, variant_fact};
use super::facts::{World, is_absent, listing_of};
use super::guard::Guard;
use super::recipe::ENVIRON;
use super::unit::{Unit, os};
use crate::args::SearchKind;
use crate::dep_info::DepInfo;

/// A package with more files than this is not stored without a tracer.
const MAX_FILES: usize = 4096;

/// The facts of an untraced run.
///
/// # Errors
/// The reason why it cannot be stored.
pub(super) fn observe(
    unit: &Unit,
    info: Option<&DepInfo>,
    world: &World<'_>,
    guard: &Guard<'_>,
) -> Result<Vec<Fact>, String> {
    let info = info.ok_or("no-tracer: no dep-info")?;
    if unit.args.links() {
        return Err("no-tracer: links".into());
    }
    if unit.program.len() > 1 {
        // What the program in front of the compiler reads (clippy's configuration, say) is not in
        // the compiler's dep-info.
        return Err("no-tracer: a wrapper in front of the compiler".into());
    }
    let mut facts = Vec::new();
    for dep in &info.env {
        facts.push(env_fact_of(unit, &dep.name));
    }
    let mut files: BTreeSet<PathBuf> =
        info.files.iter().map(|path| unit.place.absolute(Path::new(&os(path)))).collect();
    facts.extend(
        files
            .iter()
            .filter_map(|path| other_module_file(path))
            .filter(|path| is_absent(path))
            .map(|path| Fact::Absent { path: unit.place.template(&path) }),
    );
    if may_load_macros(unit) {
        facts.extend(variant_fact(unit, ENVIRON));
        let package = unit
            .env
            .get(&os(b"CARGO_MANIFEST_DIR"))
            .ok_or("no-tracer: proc macros and no CARGO_MANIFEST_DIR")?;
        walk(Path::new(package), unit, &mut files, &mut facts)?;
    }
    for path in &files {
        let digest =
            world.digest(path).ok_or_else(|| format!("input-changed: {}", path.display()))?;
        guard.check(path, Some(&digest))?;
        facts.push(Fact::File { path: unit.place.template(path), digest });
    }
    Ok(facts)
}

/// Macros come from a direct dependency or through any library's re-export, so any shared object
/// in a dependency directory counts.
fn may_load_macros(unit: &Unit) -> bool {
    let is_object = |path: &Path| {
        path.extension()
            .is_some_and(|extension| matches!(extension.as_bytes(), b"so" | b"dylib" | b"dll"))
    };
    let holds_object = |dir: PathBuf| {
        std::fs::read_dir(dir).map_or(true, |mut entries| {
            entries.any(|entry| entry.map_or(true, |entry| is_object(&entry.path())))
        })
    };
    unit.externs.iter().any(|(path, _)| is_object(path))
        || unit
            .args
            .search_paths
            .iter()
            .filter(|search| search.kind == SearchKind::Dependency)
            .any(|search| holds_object(unit.place.absolute(&search.path)))
}

fn walk(
    dir: &Path,
    unit: &Unit,
    files: &mut BTreeSet<PathBuf>,
    facts: &mut Vec<Fact>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("no-tracer: {}: {error}", dir.display());
    facts.push(Fact::Dir {
        path: unit.place.template(dir),
        listing: listing_of(dir).map_err(failed)?,
    });
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let skipped = unit.place.target.as_ref() == Some(&path) || entry.file_name() == ".git";
        if skipped {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            walk(&path, unit, files, facts)?;
        } else if path.is_file() {
            files.insert(path);
        }
        if files.len() > MAX_FILES {
            return Err("no-tracer: package too large".into());
        }
    }
    Ok(())
}

/// The other place a module may be: `a.rs` for `a/mod.rs` and back (Rust reference, "Module source
/// filenames").
fn other_module_file(path: &Path) -> Option<PathBuf> {
    if path.file_name()? == "mod.rs" {
        Some(path.parent()?.with_extension("rs"))
    } else if path.extension()? == "rs" {
        Some(path.with_extension("").join("mod.rs"))
    } else {
        None
    }
}
