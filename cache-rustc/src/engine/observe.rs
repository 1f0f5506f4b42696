//! From a trace and dep-info to the facts an outcome depends on.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cache_core::Fact;

use super::action::{Env, env_fact_of, variant_fact};
use super::facts::World;
use super::guard::Guard;
use super::recipe::ENVIRON;
use super::scope::Scope;
use super::sights::Sights;
use super::unit::{Unit, os};
use crate::dep_info::DepInfo;
use crate::trace::{self, Trace};

/// What a run read, or why its result must not be stored.
pub(super) type Observed = Result<Vec<Fact>, String>;

/// Combines trace and dep-info of a run with these variables. Every fact is taken from the file system as it is now, and the
/// guard refuses what may have changed while the compiler ran.
///
/// # Errors
/// A stable reason, with a detail after a colon.
pub(super) fn observe(
    unit: &Unit,
    env: &Env,
    trace: &Trace,
    info: Option<&DepInfo>,
    world: &World<'_>,
    guard: &Guard<'_>,
    scope: &Scope,
) -> Observed {
    let mut sights = see(trace, env, scope)?;
    let mut facts = Vec::new();
    if let Some(info) = info {
        add_dep_info(unit, info, &mut sights, &mut facts)?;
    }
    if sights.by_environ
        || sights.loaded.iter().any(|object| trace::imports_environ(object).unwrap_or(true))
    {
        facts.extend(variant_fact(unit, ENVIRON));
    }
    for name in &sights.env {
        facts.push(env_fact_of(unit, name.as_bytes()));
    }
    sights.facts(unit, world, guard, &mut facts)?;
    Ok(facts)
}

/// Takes in a whole trace.
///
/// # Errors
/// The reason why the run cannot be stored.
pub(super) fn see(trace: &Trace, env: &Env, scope: &Scope) -> Result<Sights, String> {
    if let Some(escape) = trace.escaped.first() {
        return Err(format!("escaped-tracer: {} {:?}", escape.path.display(), escape.reason));
    }
    let mut sights = Sights::default();
    for entry in &trace.entries {
        sights.take(entry, env, scope)?;
    }
    sights.settle(scope);
    sights.check_writes(scope)?;
    Ok(sights)
}

/// Whether a fact says that `HOME` was read, so outputs may carry it.
#[must_use]
pub(super) fn reads_home(facts: &[Fact]) -> bool {
    facts.iter().any(|fact| match fact {
        Fact::Env { name, .. } => name == b"HOME",
        Fact::Variant { name, .. } => name == ENVIRON,
        _ => false,
    })
}

fn add_dep_info(
    unit: &Unit,
    info: &DepInfo,
    sights: &mut Sights,
    facts: &mut Vec<Fact>,
) -> Result<(), String> {
    for path in &info.files {
        sights.read.insert(unit.place.absolute(Path::new(&os(path))));
    }
    let named = unit.args.named_inputs.iter().filter(|named| !named.link_only);
    sights
        .read
        .extend(named.map(|named| unit.place.absolute(&named.path)).filter(|path| path.is_file()));
    for dep in &info.env {
        let value = unit.env.get(&os(&dep.name)).map(|value| value.as_bytes());
        if dep.value.as_deref() != value {
            // A name with `=` in it, a value that is no Unicode, or one the compiler set itself.
            return Err(format!("env-dep-unclear: {}", String::from_utf8_lossy(&dep.name)));
        }
        facts.push(env_fact_of(unit, &dep.name));
    }
    Ok(())
}
