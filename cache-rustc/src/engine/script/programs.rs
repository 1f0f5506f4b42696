//! Programs that a run looked for along `PATH`: which file each name means.
//!
//! The value of `PATH` differs between users and between a terminal and an editor without meaning
//! other programs, so the answers count, not the list.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_core::{Digest, Fact, Hasher};

use super::super::action::{Env, variant_fact};
use super::super::facts::is_program;
use super::super::place::Place;
use super::run::ScriptRun;
use crate::trace::{Entry, Event};

/// What such a variant's name begins with; the program's name follows.
const PREFIX: &str = "program:";

/// A fact for each name that was looked for.
///
/// # Errors
/// `odd-program` for a name that is no Unicode.
pub(super) fn facts(run: &ScriptRun, entries: &[Entry]) -> Result<Vec<Fact>, String> {
    let dirs: BTreeSet<PathBuf> = search(&run.request.env).collect();
    let mut names = BTreeSet::new();
    for path in entries.iter().filter_map(|entry| looked_at(&entry.event)) {
        if path.parent().is_some_and(|dir| dirs.contains(dir)) {
            names.extend(path.file_name());
        }
    }
    let fact = |name: &OsStr| {
        let odd = || format!("odd-program: {}", name.to_string_lossy());
        let name = name.to_str().ok_or_else(odd)?;
        variant_fact(run, &format!("{PREFIX}{name}")).ok_or_else(odd)
    };
    names.into_iter().map(fact).collect()
}

/// The variant of a name: where the first program of that name lies.
pub(super) fn variant(name: &str, place: &Place, env: &Env) -> Option<Digest> {
    let program = name.strip_prefix(PREFIX)?;
    let found = search(env).map(|dir| dir.join(program)).find(|path| is_program(path));
    let mut hasher = Hasher::keyed("larder 2026-11 program v1");
    if let Some(path) = found {
        hasher.field(&place.template(&path).to_bytes());
    }
    Some(hasher.finish())
}

/// The directories of `PATH`; those that are relative depend on who looks and are left out.
fn search(env: &Env) -> impl Iterator<Item = PathBuf> + '_ {
    let path = env.get(OsStr::new("PATH")).map_or(&b""[..], |path| path.as_bytes());
    let dirs = path.split(|b| *b == b':').map(|dir| PathBuf::from(OsStr::from_bytes(dir)));
    dirs.filter(|dir| dir.is_absolute())
}

fn looked_at(event: &Event) -> Option<&Path> {
    match event {
        Event::Exec { path, .. }
        | Event::Stat { path, .. }
        | Event::Checked { path, .. }
        | Event::Opened { path, .. } => Some(path),
        _ => None,
    }
}
