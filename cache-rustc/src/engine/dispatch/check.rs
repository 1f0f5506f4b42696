//! Whether what came back is what a compile here would have made.
//!
//! The trace of the compile names everything that it saw, under the names that it has here. Each of
//! these things must be what is here: sent along, or a file of the system that was found to be the
//! same. Whatever the trace leaves open is a reason to compile here.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use cache_core::{Fact, Role};

use super::super::Engine;
use super::super::facts::{World, is_absent, kind_of};
use super::super::guard::Guard;
use super::super::observe;
use super::super::scope::Scope;
use super::super::scratch::Scratch;
use super::super::sights::Sights;
use super::super::unit::{Unit, os};
use super::inputs::is_system;
use super::learned::Lacked;
use super::{Executed, Job};
use crate::dep_info::DepInfo;
use crate::trace::{Event, Trace, imports_environ};

/// What came back and may be used.
#[derive(Debug)]
pub(in super::super) struct Checked {
    /// Where it is.
    pub(super) executed: Executed,
    /// The dependency information.
    pub(in super::super) info: Option<DepInfo>,
    /// What it depends on.
    pub(in super::super) facts: Vec<Fact>,
    /// Files that were sent and that nothing looked at.
    pub(super) unread: BTreeSet<PathBuf>,
}

/// Why something may not be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// With these it may.
    Lacks(Lacked),
    /// A stable word, with a detail after a colon.
    No(String),
}

impl From<String> for Doubt {
    fn from(why: String) -> Self {
        Self::No(why)
    }
}

/// A job, what came of it, and where it belongs.
pub(super) struct Check<'a> {
    pub(super) unit: &'a Unit,
    pub(super) job: &'a Job,
    pub(super) engine: &'a Engine,
    /// Begun before the job was sent.
    pub(super) scratch: &'a Scratch,
}

impl Check<'_> {
    /// Checks it.
    ///
    /// # Errors
    /// Why it may not be used.
    pub(super) fn check(&self, executed: Executed) -> Result<Checked, Doubt> {
        let log = executed.trace.as_deref().ok_or_else(|| no("untraced"))?;
        let trace = Trace::parse(log).map_err(|error| Doubt::No(format!("trace: {error}")))?;
        let ours = &self.engine.options().state_dir;
        let scope = Scope::elsewhere(self.unit, ours);
        let mut env = self.unit.env.clone();
        env.extend(executed.env.iter().map(|(name, value)| (name.into(), value.into())));
        let sights = observe::see(&trace, &env, &scope)?;
        let lacked = self.lacked(&trace, &sights, &executed)?;
        if !lacked.is_empty() {
            return Err(Doubt::Lacks(lacked));
        }
        if executed.exit_code != 0 && !self.job.pruned.is_empty() {
            // What a library needs of others is not asked for by name.
            return Err(Doubt::Lacks(Lacked { pruned: true, ..Lacked::default() }));
        }
        if executed.exit_code != 0 {
            return Err(Doubt::No(format!("failed: exit code {}", executed.exit_code)));
        }
        for (at, output) in self.unit.outputs.iter().enumerate() {
            if !executed.outputs.contains_key(&at) {
                return Err(Doubt::No(format!("output-missing: {}", output.path.display())));
            }
        }
        if executed.tied {
            return Err(no("tied"));
        }
        if names_std(&executed.stderr) {
            return Err(no("std-diagnostic"));
        }
        self.check_environ(&sights)?;
        self.check_listings(&sights)?;
        self.check_writes(&sights, &executed)?;
        let info = self.dep_info(&executed)?;
        let blobs = self.engine.blobs();
        let world = World::new(self.unit, &blobs);
        let started = self.scratch.started()?;
        let guard = Guard::new(&started, &self.unit.externs);
        let facts =
            observe::observe(self.unit, &env, &trace, info.as_ref(), &world, &guard, &scope)?;
        let unread = self.unread(&trace, &sights, info.as_ref());
        Ok(Checked { executed, info, facts, unread })
    }

    /// Files that were sent and that nothing looked at, nor at the names in their directory.
    fn unread(&self, trace: &Trace, sights: &Sights, info: Option<&DepInfo>) -> BTreeSet<PathBuf> {
        let sources = info.iter().flat_map(|info| &info.files);
        let sources = sources.map(|path| self.unit.place.absolute(Path::new(&os(path))));
        let seen: BTreeSet<PathBuf> =
            (trace.events().filter_map(Event::path).map(Path::to_path_buf))
                .chain(sights.read.iter().chain(&sights.loaded).cloned())
                .chain(sources)
                .map(|path| lexically_plain(&path))
                .collect();
        let listed: Vec<&Path> = sights.listed_paths().collect();
        let unread = self.job.files.iter().filter(|path| {
            !seen.contains(*path) && !listed.iter().any(|dir| path.starts_with(dir))
        });
        unread.cloned().collect()
    }

    /// What was not there, or may have been another.
    fn lacked(&self, trace: &Trace, sights: &Sights, executed: &Executed) -> Result<Lacked, Doubt> {
        let mut lacked = Lacked::default();
        for event in trace.events() {
            if let Event::EnvRead { name, value: None } = event
                && sights.env.contains(name)
                && self.unit.env.contains_key(name)
            {
                lacked.env.insert(name.to_str().ok_or_else(|| no("not-unicode"))?.to_owned());
            }
        }
        for path in sights.absent_paths().filter(|path| !is_absent(path)) {
            if is_system(path) || !path.is_file() {
                return Err(Doubt::No(format!("absent-there: {}", path.display())));
            }
            lacked.files.insert(lexically_plain(path));
        }
        for (path, kind) in sights.present_paths() {
            if kind_of(path) != Some(kind) {
                return Err(Doubt::No(format!("present-there: {}", path.display())));
            }
        }
        let unknown = |path: &&PathBuf| !self.is_provided(path) && !executed.system.contains(*path);
        for path in sights.read.iter().filter(unknown) {
            if kind_of(path).is_none() || self.job.system.contains(path) {
                return Err(Doubt::No(format!("system-differs: {}", path.display())));
            }
            lacked.system.insert(path.clone());
        }
        Ok(lacked)
    }

    /// Whether a path was sent along, or is nothing that has content.
    fn is_provided(&self, path: &Path) -> bool {
        let plain = lexically_plain(path);
        self.job.files.contains(&plain)
            || path == self.job.tracer
            || kind_of(path).is_some_and(|kind| {
                !matches!(kind, cache_core::NodeKind::File | cache_core::NodeKind::Program)
            })
    }

    /// Nobody knows the whole environment there.
    fn check_environ(&self, sights: &Sights) -> Result<(), Doubt> {
        let reads_all = |object: &PathBuf| imports_environ(object).unwrap_or(true);
        if sights.by_environ || sights.loaded.iter().any(reads_all) {
            return Err(no("environ"));
        }
        Ok(())
    }

    /// A directory that was listed has to have the same names here.
    fn check_listings(&self, sights: &Sights) -> Result<(), Doubt> {
        for dir in sights.listed_paths() {
            let doubt = || Doubt::No(format!("listed: {}", dir.display()));
            let all = self.job.files.iter().chain(&self.job.directories).chain(&self.job.outputs);
            let below = all.filter_map(|path| path.strip_prefix(dir).ok()?.components().next());
            let there: BTreeSet<_> = below
                .filter_map(|part| match part {
                    Component::Normal(name) => Some(name.to_os_string()),
                    _ => None,
                })
                .collect();
            let entries = std::fs::read_dir(dir).map_err(|_| doubt())?;
            let here: BTreeSet<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            if here != there && self.job.pruned.iter().any(|path| path.starts_with(dir)) {
                let files = self.job.pruned.iter().filter(|path| path.starts_with(dir)).cloned();
                return Err(Doubt::Lacks(Lacked { files: files.collect(), ..Lacked::default() }));
            }
            if here != there {
                return Err(doubt());
            }
        }
        Ok(())
    }

    /// What was written must have come back, or be scratch.
    fn check_writes(&self, sights: &Sights, executed: &Executed) -> Result<(), Doubt> {
        let incremental = self.unit.args.incremental.as_ref();
        let incremental = incremental.map(|dir| self.unit.place.absolute(dir));
        let scratch = [Some(PathBuf::from("/tmp")), incremental, Some(self.job.out_dir.clone())];
        let is_scratch = |path: &Path| scratch.iter().flatten().any(|dir| path.starts_with(dir));
        if let Some(path) = sights.written_paths().find(|path| !is_scratch(path)) {
            return Err(Doubt::No(format!("wrote-elsewhere: {}", path.display())));
        }
        let known: BTreeSet<&[u8]> = (self.job.files.iter().chain(&self.job.outputs))
            .chain(&self.job.directories)
            .filter_map(|path| path.strip_prefix(&self.job.out_dir).ok()?.components().next())
            .map(|part| part.as_os_str().as_bytes())
            .collect();
        match executed.left.iter().find(|name| !known.contains(name.as_slice())) {
            Some(name) => Err(Doubt::No(format!("left: {}", String::from_utf8_lossy(name)))),
            None => Ok(()),
        }
    }

    fn dep_info(&self, executed: &Executed) -> Result<Option<DepInfo>, Doubt> {
        let at = self.unit.outputs.iter().position(|output| output.role == Role::DepInfo);
        let Some(path) = at.and_then(|at| executed.outputs.get(&at)) else { return Ok(None) };
        let failed = |error: &dyn std::fmt::Display| Doubt::No(format!("dep-info: {error}"));
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        let info = DepInfo::parse(&bytes).map_err(|error| failed(&error))?;
        let mut lacked = Lacked::default();
        for dep in info.env.iter().filter(|dep| dep.value.is_none()) {
            if self.unit.env.contains_key(&os(&dep.name)) {
                lacked.env.insert(String::from_utf8_lossy(&dep.name).into_owned());
            }
        }
        if lacked.is_empty() { Ok(Some(info)) } else { Err(Doubt::Lacks(lacked)) }
    }
}

/// Whether a diagnostic points into the standard library, whose sources are shown where they are.
fn names_std(stderr: &[u8]) -> bool {
    let names = |name: &[u8]| memchr::memmem::find(stderr, name).is_some();
    names(b"/rustc/") || names(b"/rustlib/src/rust/")
}

fn no(why: &str) -> Doubt {
    Doubt::No(why.to_owned())
}

/// The path without `.` and `..`, for trees that have no links to directories in them.
pub(super) fn lexically_plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}
