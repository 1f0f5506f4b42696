//! Paths and variables by what a run did with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_core::{Fact, NodeKind};

use super::action::{Action, Env};
use super::facts::{World, is_absent, is_program, kind_of, listing_of};
use super::guard::Guard;
use super::scope::Scope;
use super::tools::reads_by_name;
use crate::env_class::{self, Class, Reader};
use crate::trace::{Entry, Errno, Event, FileKind, OpenFlags, Peer, ValueMark};

/// Permission denied (errno(3)).
const EACCES: Errno = Errno(13);

/// What was done with what, in the process tree of one run.
#[derive(Default)]
pub(super) struct Sights {
    /// Files whose content was read.
    pub(super) read: BTreeSet<PathBuf>,
    /// Shared objects that were loaded and are not the system's or the toolchain's.
    pub(super) loaded: BTreeSet<PathBuf>,
    /// Variables that were read and count.
    pub(super) env: BTreeSet<OsString>,
    /// Variables that a build script read to find programs or a place for scratch files; they count
    /// where its outputs carry them.
    pub(super) about_tools: BTreeSet<OsString>,
    listed: BTreeSet<PathBuf>,
    absent: BTreeSet<PathBuf>,
    present: BTreeMap<PathBuf, NodeKind>,
    links: BTreeSet<PathBuf>,
    /// What the run itself made; reading it again is no input.
    own: BTreeSet<PathBuf>,
    /// Processes that run a program from outside the toolchain: a linker, or what a macro started.
    tools: BTreeSet<u32>,
    /// Processes that run the toolchain's own code only: no proc macro has been loaded.
    own_code: BTreeSet<u32>,
    /// Processes that have run foreign code: a proc macro, a build script.
    foreign_code: BTreeSet<u32>,
    /// Processes that run this program itself, which passes everything on.
    ourselves: BTreeSet<u32>,
    /// Files that were executed.
    programs: BTreeSet<PathBuf>,
    /// What a process is about to become; whether it did is told by what it does next.
    starting: BTreeMap<u32, PathBuf>,
    /// A program ran that takes its environment as a whole.
    pub(super) by_environ: bool,
    /// A file that is there and could not be used: permissions are no fact.
    refused: Option<PathBuf>,
}

impl Sights {
    /// Takes in one event, in order.
    ///
    /// # Errors
    /// The reason why the run cannot be stored.
    pub(super) fn take(&mut self, entry: &Entry, env: &Env, scope: &Scope) -> Result<(), String> {
        let (pid, event) = (entry.pid, &entry.event);
        if let Some(path) = self.starting.remove(&pid) {
            self.started(&path, event, scope);
        }
        if let Event::Started { exe, .. } = event {
            self.begin(pid, exe, scope);
            return Ok(());
        }
        if self.ourselves.contains(&pid) && !matches!(event, Event::Exec { .. }) {
            return Ok(());
        }
        match event {
            Event::Exec { path, .. } => {
                self.starting.insert(pid, path.clone());
            }
            // A tool's libraries are part of it. The compiler's own are in its identity or the
            // system's.
            Event::Loaded { path } if self.tools.contains(&pid) => self.read(path, scope),
            Event::EnvRead { name, value } => self.variable(pid, name, *value, env, scope),
            Event::Connected { peer, .. } => return contact(peer, scope),
            Event::Opened { path, flags, result } => {
                return self.opened(path, *flags, *result, scope);
            }
            Event::Renamed { from, to } => {
                self.remove(from, scope)?;
                return self.write(to, scope);
            }
            Event::Removed { path } => return self.remove(path, scope),
            Event::HardLinked { from, to } => {
                self.read(from, scope);
                return self.write(to, scope);
            }
            Event::Symlinked { path, .. } | Event::DirMade { path } | Event::Truncated { path } => {
                return self.write(path, scope);
            }
            Event::Walked { path } if !self.ignores(path, scope) => {
                return Err(format!("walked-tree: {}", path.display()));
            }
            _ => self.look(pid, event, scope),
        }
        Ok(())
    }

    /// What kind of program a process has become.
    fn begin(&mut self, pid: u32, exe: &Path, scope: &Scope) {
        for kind in [&mut self.tools, &mut self.own_code, &mut self.ourselves] {
            kind.remove(&pid);
        }
        if scope.is_ourselves(exe) {
            self.ourselves.insert(pid);
        } else if scope.is_script(exe) {
            self.foreign_code.insert(pid);
        } else if scope.skips(exe) {
            self.own_code.insert(pid);
        } else {
            self.tools.insert(pid);
            self.by_environ |= !reads_by_name(exe);
        }
    }

    /// A shell tries one directory of `PATH` after the other, so a program that is not there is part
    /// of the search.
    fn started(&mut self, path: &Path, next: &Event, scope: &Scope) {
        match next {
            Event::ExecFailed { errno } => self.missed(path, *errno, scope),
            _ => self.executed(path, scope),
        }
    }

    /// Its content counts, and that it may be executed.
    fn executed(&mut self, path: &Path, scope: &Scope) {
        self.read(path, scope);
        if !self.ignores(path, scope) {
            self.programs.insert(path.to_path_buf());
        }
    }

    /// Takes in what no later event told more about.
    pub(super) fn settle(&mut self, scope: &Scope) {
        for path in std::mem::take(&mut self.starting).into_values() {
            self.executed(&path, scope);
        }
    }

    /// Scratch files are gone when the run ends; whatever else is still there was meant to stay,
    /// and a hit would not bring it back. What is here after a run elsewhere is of somebody else, such
    /// as the compiler that races it.
    ///
    /// # Errors
    /// `wrote-elsewhere` or `permission` with the path.
    pub(super) fn check_writes(&self, scope: &Scope) -> Result<(), String> {
        let stays = |path: &&PathBuf| {
            let kind = std::fs::symlink_metadata(path).map(|meta| meta.file_type());
            let ours = scope.skips(path) || scope.searched.contains(*path);
            !ours && kind.is_ok_and(|kind| kind.is_file() || kind.is_dir() || kind.is_symlink())
        };
        match self.own.iter().find(|path| !scope.elsewhere && stays(path)) {
            Some(path) => Err(format!("wrote-elsewhere: {}", path.display())),
            None => Ok(()),
        }?;
        match &self.refused {
            Some(path) => Err(format!("permission: {}", path.display())),
            None => Ok(()),
        }
    }

    /// Events that only look.
    fn look(&mut self, pid: u32, event: &Event, scope: &Scope) {
        match event {
            Event::Stat { path, result: Ok(kind), .. } => self.stat(path, *kind, scope),
            Event::Checked { path, result: Ok(()) } => {
                let kind = kind_of(path).unwrap_or(NodeKind::Other);
                self.present(path, kind, scope);
            }
            Event::Listed { path, result: Ok(()) }
                if !self.ignores(path, scope) && !scope.searched.contains(path) =>
            {
                self.listed.insert(path.clone());
            }
            Event::LinkRead { path, result: Ok(_) } => self.link(path, scope),
            Event::Resolved { path, result: Ok(real) } if real != path => {
                path.ancestors().for_each(|path| self.link(path, scope));
            }
            Event::Stat { path, result: Err(errno), .. }
            | Event::Checked { path, result: Err(errno) }
            | Event::Listed { path, result: Err(errno) }
            | Event::LinkRead { path, result: Err(errno) }
            | Event::Resolved { path, result: Err(errno) } => self.missed(path, *errno, scope),
            Event::DlOpen { path } => {
                if path.is_absolute() && !scope.skips(path) {
                    self.own_code.remove(&pid);
                    self.foreign_code.insert(pid);
                }
                if path.is_absolute() && is_absent(path) {
                    self.missed(path, Errno(2), scope);
                }
            }
            Event::Loaded { path } if !is_system_library(path) && !self.ignores(path, scope) => {
                self.loaded.insert(path.clone());
                self.read(path, scope);
            }
            _ => {}
        }
    }

    fn opened(
        &mut self,
        path: &Path,
        flags: OpenFlags,
        result: Result<(), Errno>,
        scope: &Scope,
    ) -> Result<(), String> {
        if let Err(errno) = result {
            self.missed(path, errno, scope);
            return Ok(());
        }
        if kind_of(path) == Some(NodeKind::Other) {
            return Ok(()); // a pipe (the jobserver's), a terminal: no file content
        }
        if flags.reads() && !flags.truncates() && !flags.exclusive() {
            self.read(path, scope);
        }
        // A nameless temporary file names its directory, which is not written by that.
        if flags.writes() && !path.is_dir() { self.write(path, scope) } else { Ok(()) }
    }

    fn read(&mut self, path: &Path, scope: &Scope) {
        if !self.ignores(path, scope) {
            self.read.insert(path.to_path_buf());
        }
    }

    fn stat(&mut self, path: &Path, kind: FileKind, scope: &Scope) {
        match kind {
            FileKind::Regular => self.present(path, NodeKind::File, scope),
            FileKind::Directory => self.present(path, NodeKind::Dir, scope),
            FileKind::Other => self.present(path, NodeKind::Other, scope),
            FileKind::Symlink => self.link(path, scope),
        }
    }

    fn present(&mut self, path: &Path, kind: NodeKind, scope: &Scope) {
        if !self.ignores(path, scope) && !scope.searched.contains(path) {
            self.present.insert(path.to_path_buf(), kind);
        }
    }

    fn link(&mut self, path: &Path, scope: &Scope) {
        if !self.ignores(path, scope) && path.is_symlink() {
            self.links.insert(path.to_path_buf());
        }
    }

    fn missed(&mut self, path: &Path, errno: Errno, scope: &Scope) {
        let searched = path.parent().is_some_and(|dir| scope.deps.contains(dir));
        if !path.is_absolute() || searched || self.ignores(path, scope) {
            return;
        }
        if errno.is_absent() {
            self.absent.insert(path.to_path_buf());
        } else if errno == EACCES && path.is_file() {
            self.refused = Some(path.to_path_buf());
        }
    }

    /// Scratch may be removed, and what rustc clears out of the way beside its outputs; anything
    /// else was somebody's, and a hit would not remove it.
    fn remove(&mut self, path: &Path, scope: &Scope) -> Result<(), String> {
        if scope.skips(path) || self.is_own(path) || scope.is_beside_outputs(path) {
            return self.write(path, scope);
        }
        Err(format!("removed-elsewhere: {}", path.display()))
    }

    /// A read before the write means that what was read is gone.
    fn write(&mut self, path: &Path, scope: &Scope) -> Result<(), String> {
        if scope.skips(path) {
            return Ok(());
        }
        if self.read.contains(path) && !self.is_own(path) && !scope.is_beside_outputs(path) {
            return Err(format!("wrote-input: {}", path.display()));
        }
        self.absent.remove(path);
        self.own.extend(scope.respell(path));
        self.own.insert(path.to_path_buf());
        Ok(())
    }

    /// A value that this process set itself follows from its other inputs.
    fn variable(
        &mut self,
        pid: u32,
        name: &OsStr,
        seen: Option<ValueMark>,
        env: &Env,
        scope: &Scope,
    ) {
        // Between fork and exec a process runs its parent's code, and which parent's is not known.
        let own = self.own_code.contains(&pid) || self.foreign_code.is_empty();
        let reader = if own { Reader::Toolchain } else { Reader::Other };
        let tool = self.tools.contains(&pid);
        if (own || tool) && env_class::is_for_tools(name) || tool && env_class::is_for_display(name)
        {
            return;
        }
        if scope.runs_a_script() && env_class::is_for_tools(name) {
            self.about_tools.insert(name.to_os_string());
            return;
        }
        let given = env.get(name);
        let set_by_itself = seen.is_some_and(|seen| given.is_none_or(|given| !seen.matches(given)));
        if !set_by_itself && env_class::classify_read(name, reader) == Class::Observed {
            self.env.insert(name.to_os_string());
        }
    }

    /// Paths that were not there.
    pub(super) fn absent_paths(&self) -> impl Iterator<Item = &Path> {
        self.absent.iter().map(PathBuf::as_path).filter(|path| !self.is_own(path))
    }

    /// Paths that were there and not read.
    pub(super) fn present_paths(&self) -> impl Iterator<Item = (&Path, NodeKind)> {
        let other = |path: &&PathBuf| !self.read.contains(*path) && !self.is_own(path);
        let present = self.present.iter().map(|(path, kind)| (path, *kind));
        present.filter(move |(path, _)| other(path)).map(|(path, kind)| (path.as_path(), kind))
    }

    /// Directories that were listed.
    pub(super) fn listed_paths(&self) -> impl Iterator<Item = &Path> {
        self.listed.iter().map(PathBuf::as_path)
    }

    /// What was written.
    pub(super) fn written_paths(&self) -> impl Iterator<Item = &Path> {
        self.own.iter().map(PathBuf::as_path)
    }

    fn ignores(&self, path: &Path, scope: &Scope) -> bool {
        scope.skips(path) || self.is_own(path)
    }

    fn is_own(&self, path: &Path) -> bool {
        !self.own.is_empty() && path.ancestors().any(|path| self.own.contains(path))
    }

    /// Everything but the variables as facts, taken from the file system as it is now.
    ///
    /// # Errors
    /// `input-changed` with the path.
    pub(super) fn facts(
        &self,
        action: &dyn Action,
        world: &World<'_>,
        guard: &Guard<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<(), String> {
        let template = |path: &Path| action.place().template(path);
        let changed = |path: &Path| format!("input-changed: {}", path.display());
        for path in &self.read {
            match kind_of(path) {
                Some(NodeKind::File | NodeKind::Program) => {
                    let digest = world.digest(path).ok_or_else(|| changed(path))?;
                    guard.check(path, Some(&digest))?;
                    facts.push(Fact::File { path: template(path), digest });
                }
                Some(kind @ NodeKind::Dir) => {
                    facts.push(Fact::Present { path: template(path), kind });
                }
                Some(NodeKind::Other) => {}
                None => return Err(changed(path)),
            }
        }
        for path in &self.listed {
            guard.check(path, None)?;
            let listing = listing_of(path).map_err(|_| changed(path))?;
            facts.push(Fact::Dir { path: template(path), listing });
        }
        for path in self.absent.iter().filter(|path| !self.is_own(path)) {
            if !is_absent(path) {
                return Err(changed(path));
            }
            facts.push(Fact::Absent { path: template(path) });
        }
        for (path, kind) in
            self.present.iter().filter(|(path, _)| !self.read.contains(*path) && !self.is_own(path))
        {
            facts.push(Fact::Present { path: template(path), kind: *kind });
        }
        for path in self.programs.iter().filter(|path| is_program(path)) {
            facts.push(Fact::Present { path: template(path), kind: NodeKind::Program });
        }
        for path in &self.links {
            let target = std::fs::read_link(path).map_err(|_| changed(path))?;
            facts.push(Fact::Link {
                path: template(path),
                target: action.place().roots.template(target.as_os_str().as_bytes()),
            });
        }
        Ok(())
    }
}

/// Sockets in trees that are no inputs (the name service cache) are part of the machine; anything
/// else may answer differently next time.
fn contact(peer: &Peer, scope: &Scope) -> Result<(), String> {
    match peer {
        Peer::Unix(path) if scope.skips(path) => Ok(()),
        other => Err(format!("network: {other:?}")),
    }
}

/// Libraries of the system's own directories, which the loader finds for the tools: part of the
/// machine, not of the crate.
fn is_system_library(path: &Path) -> bool {
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"]
        .iter()
        .any(|dir| path.starts_with(dir))
}
