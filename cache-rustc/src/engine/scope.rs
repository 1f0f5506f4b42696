//! Which paths are inputs at all, for one unit.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::action::Env;
use super::unit::{Unit, os};
use crate::args::SearchKind;

/// What the C library and the loader read for themselves, and the kernel's own file systems.
const SYSTEM: &[&str] = &[
    "/proc",
    "/sys",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/nsswitch.conf",
    "/usr/lib/locale",
    "/usr/share/locale",
    "/usr/lib/gconv",
    "/var/run/nscd",
    "/run/nscd",
];

/// Which paths are inputs at all, for one unit.
pub(super) struct Scope {
    /// Whole trees that are something else: the toolchain (its identity covers it), the system's
    /// own, the incremental directory.
    trees: Vec<PathBuf>,
    /// Directories whose listing and existence are part of a search, not an input.
    pub(super) searched: BTreeSet<PathBuf>,
    /// Directories in which nothing absent is an input: where units' outputs lie side by side.
    pub(super) deps: BTreeSet<PathBuf>,
    outputs: BTreeSet<PathBuf>,
    /// Where outputs go, in each spelling.
    out_dirs: BTreeSet<PathBuf>,
    /// Directories of outputs as they were named, where the system names them otherwise.
    spelled: BTreeSet<(PathBuf, PathBuf)>,
    /// The build script that runs, where one does.
    script: Option<PathBuf>,
    /// This program's own file.
    ourselves: Option<PathBuf>,
    /// Whether the run was on another machine.
    pub(super) elsewhere: bool,
}

/// What a build script's run needs to have told apart.
pub(super) struct ScriptScope<'a> {
    /// The script's file.
    pub script: &'a Path,
    /// `OUT_DIR`.
    pub out_dir: &'a Path,
    /// Where the standard library is, and the compiler's own toolchain.
    pub toolchain: [&'a Path; 2],
    /// The environment.
    pub env: &'a Env,
}

impl Scope {
    /// The scope of a unit; `ours` is the engine's own directory.
    pub(super) fn new(unit: &Unit, ours: &Path) -> Self {
        let (outputs, spelled) = outputs(unit);
        let parents = outputs.iter().filter_map(|path| path.parent());
        let out_dirs: BTreeSet<_> = parents.map(Path::to_path_buf).collect();
        let search = |wanted: fn(SearchKind) -> bool| {
            let searches = unit.args.search_paths.iter().filter(move |search| wanted(search.kind));
            searches.flat_map(|search| spellings(&unit.place.absolute(&search.path)))
        };
        let mut searched: BTreeSet<_> = search(|_| true).collect();
        searched.extend(out_dirs.iter().cloned());
        let mut deps: BTreeSet<_> = search(|kind| kind == SearchKind::Dependency).collect();
        deps.extend(out_dirs.iter().cloned());
        // A linker told to look there too would use what appears.
        for dir in search(|kind| kind != SearchKind::Dependency) {
            deps.remove(&dir);
        }
        Self {
            trees: trees(unit, ours),
            searched,
            deps,
            outputs,
            out_dirs,
            spelled,
            script: None,
            ourselves: None,
            elsewhere: false,
        }
    }

    /// The scope of a unit that another machine compiled: nothing that it wrote is on this one.
    pub(super) fn elsewhere(unit: &Unit, ours: &Path) -> Self {
        Self { elsewhere: true, ..Self::new(unit, ours) }
    }

    /// The scope of a build script's run; `ours` is the engine's own directory. All that it leaves is
    /// to be below `OUT_DIR`, and what it reads there it has made itself.
    pub(super) fn of_script(run: &ScriptScope<'_>, ours: &Path) -> Self {
        let mut trees = toolchain_trees(run.toolchain.map(Path::to_path_buf), run.env, ours);
        trees.push(run.out_dir.to_path_buf());
        trees.extend(std::fs::canonicalize(run.out_dir));
        Self {
            trees,
            searched: BTreeSet::new(),
            deps: BTreeSet::new(),
            outputs: [run.script.to_path_buf()].into(),
            out_dirs: BTreeSet::new(),
            spelled: BTreeSet::new(),
            script: Some(std::fs::canonicalize(run.script).unwrap_or(run.script.to_path_buf())),
            ourselves: std::env::current_exe().ok(),
            elsewhere: false,
        }
    }

    /// Whether a build script runs.
    pub(super) fn runs_a_script(&self) -> bool {
        self.script.is_some()
    }

    /// Whether a program is the build script that runs.
    pub(super) fn is_script(&self, exe: &Path) -> bool {
        self.script.as_deref() == Some(exe)
    }

    /// Whether a program is this one, which a build script starts as its compiler's wrapper.
    pub(super) fn is_ourselves(&self, exe: &Path) -> bool {
        self.ourselves.as_deref() == Some(exe)
    }

    /// Whether a path lies where the outputs go.
    pub(super) fn is_beside_outputs(&self, path: &Path) -> bool {
        self.out_dirs.iter().any(|dir| path.starts_with(dir))
    }

    /// The same path as the other spelling of its directory has it, for paths where outputs go.
    pub(super) fn respell(&self, path: &Path) -> Option<PathBuf> {
        self.spelled.iter().find_map(|(named, real)| {
            let to_real = path.strip_prefix(named).map(|rest| real.join(rest));
            to_real.or_else(|_| path.strip_prefix(real).map(|rest| named.join(rest))).ok()
        })
    }

    /// Whether a path is no input, whatever is done with it.
    pub(super) fn skips(&self, path: &Path) -> bool {
        let name = path.file_name().map(OsStrExt::as_bytes);
        let tracer = name.is_some_and(|name| name.starts_with(b"larder-trace-"));
        // `/dev/shm` is a place like any other.
        let device = path.starts_with("/dev") && !path.starts_with("/dev/shm");
        tracer
            || device
            || self.outputs.contains(path)
            || self.ourselves.as_deref() == Some(path)
            || self.trees.iter().any(|tree| path.starts_with(tree))
    }
}

/// The files rustc writes, as the arguments name them and as the system does; and the directories
/// for which that differs.
fn outputs(unit: &Unit) -> (BTreeSet<PathBuf>, BTreeSet<(PathBuf, PathBuf)>) {
    let named = unit.args.predicted_outputs(&unit.place.cwd).into_iter().map(|output| output.path);
    let real = unit.outputs.iter().map(|output| output.path.clone());
    let parents = |(named, real): (PathBuf, PathBuf)| {
        Some((named.parent()?.to_path_buf(), real.parent()?.to_path_buf()))
    };
    let pairs = named.clone().zip(real.clone()).filter_map(parents);
    let spelled = pairs.filter(|(named, real)| named != real).collect();
    (real.chain(named).collect(), spelled)
}

/// Whole trees that are no inputs.
fn trees(unit: &Unit, ours: &Path) -> Vec<PathBuf> {
    let toolchain = [unit.sysroot.clone(), unit.toolchain.clone()];
    let mut trees = toolchain_trees(toolchain, &unit.env, ours);
    trees.extend(unit.args.incremental.as_ref().map(|dir| unit.place.absolute(dir)));
    trees.extend(unit.programs.iter().cloned());
    trees
}

fn toolchain_trees([sysroot, home]: [PathBuf; 2], env: &Env, ours: &Path) -> Vec<PathBuf> {
    let mut trees: Vec<_> = SYSTEM.iter().map(PathBuf::from).collect();
    trees.push(ours.to_path_buf());
    let real = std::fs::canonicalize(&sysroot).ok();
    trees.extend([Some(sysroot), Some(home), real].into_iter().flatten().map(|dir| own_tree(&dir)));
    let var = |name: &[u8]| env.get(&os(name)).map(PathBuf::from);
    trees.extend(var(b"RUSTUP_HOME").or_else(|| var(b"HOME").map(|home| home.join(".rustup"))));
    trees
}

/// What of a sysroot is the toolchain's own: all of it, unless it is a prefix that it shares with
/// other software (`/usr`), where only rustc's own directory is.
fn own_tree(sysroot: &Path) -> PathBuf {
    let shared = sysroot == Path::new("/usr/local") || sysroot.join("include").is_dir();
    if shared { sysroot.join("lib/rustlib") } else { sysroot.to_path_buf() }
}

/// A directory as it was named, and as the system names it.
fn spellings(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_path_buf()];
    if dir.components().any(|part| part == Component::ParentDir) {
        all.extend(std::fs::canonicalize(dir));
    }
    all
}
