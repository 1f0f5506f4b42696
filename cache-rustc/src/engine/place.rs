//! Where an invocation happens: the named roots that templates leave out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_core::{RootName, Roots};

/// The root of the package's workspace: where cargo starts rustc for its members.
pub(super) const WORKSPACE: &str = "workspace";
/// cargo's target (or build) directory.
pub(super) const TARGET: &str = "target";
/// `CARGO_HOME`: registry sources and git checkouts.
pub(super) const CARGO_HOME: &str = "cargo_home";
/// The toolchain.
pub(super) const SYSROOT: &str = "sysroot";
/// The package, where no other root holds it.
pub(super) const PACKAGE: &str = "package";
/// The user's home directory.
pub(super) const HOME: &str = "home";
/// The cargo home with links resolved.
const CARGO_HOME_REAL: &str = "cargo_home_real";
/// The working directory, where nothing else holds it.
const CWD: &str = "cwd";
/// Where scratch files go, when `TMPDIR` says so.
const TMP: &str = "tmp";

/// The places of one invocation.
#[derive(Debug, Clone)]
pub struct Place {
    /// All roots, for templates.
    pub roots: Roots,
    /// The working directory.
    pub cwd: PathBuf,
    /// The workspace root, where one is known.
    pub workspace: Option<PathBuf>,
    /// The target directory, where one is known.
    pub target: Option<PathBuf>,
    /// `CARGO_HOME`, where one is known.
    pub cargo_home: Option<PathBuf>,
    /// The same with links resolved, where that is what the working directory shows.
    pub cargo_home_real: Option<PathBuf>,
}

impl Place {
    /// Finds the places from what the invocation says.
    ///
    /// - `target`: the nearest directory at or above `out_dir` that cargo has marked with
    ///   `CACHEDIR.TAG` (cargo's `Layout::new`, `paths::create_dir_all_excluded_from_backups_atomic`).
    ///   cargo marks only what it makes itself; otherwise the lock file in the profile's directory
    ///   tells, one level further down, or two below a directory named by `--target`.
    /// - `workspace`: the working directory, since cargo runs rustc there for workspace members
    ///   (cargo's `path_args`), unless that lies in `CARGO_HOME`. For a package that is not a
    ///   member (its source is given by an absolute path) it is the parent of a target directory
    ///   that holds the package, if there is one.
    #[must_use]
    pub fn find(
        cwd: &Path,
        out_dir: &Path,
        input: &Path,
        triple: Option<&str>,
        sysroot: &Path,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Self {
        let home = env("HOME").map(PathBuf::from);
        let cargo_home = env("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| home.as_ref().map(|home| home.join(".cargo")));
        let target = marked_ancestor(out_dir).or_else(|| locked_ancestor(out_dir, triple));
        let workspace = workspace_of(cwd, input, target.as_deref(), cargo_home.as_deref());
        let mut roots = Roots::new();
        let package = env("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let tmp = env("TMPDIR").map(PathBuf::from).filter(|tmp| tmp.as_os_str() != "/tmp");
        let named = [
            (WORKSPACE, workspace.as_deref()),
            (TARGET, target.as_deref()),
            (CARGO_HOME, cargo_home.as_deref()),
            (SYSROOT, Some(sysroot)),
            (TMP, tmp.as_deref()),
            (HOME, home.as_deref()),
        ];
        for (name, path) in named {
            add(&mut roots, name, path);
        }
        if let Some(package) =
            package.filter(|package| !covered(package, &[&workspace, &target, &cargo_home]))
        {
            add(&mut roots, PACKAGE, Some(&package));
        }
        let mut place = Self {
            roots,
            cwd: cwd.to_path_buf(),
            workspace,
            target,
            cargo_home,
            cargo_home_real: None,
        };
        place.add_real_cwd();
        place
    }

    /// The system gives the working directory with links resolved, the arguments may not. What no
    /// root holds by then gets one, so that outputs that carry it are bound to it; and a cargo home
    /// behind a link is the cargo home.
    fn add_real_cwd(&mut self) {
        let cwd = self.cwd.clone();
        if self.roots.iter().any(|(_, root)| cwd.starts_with(OsStr::from_bytes(root))) {
            return;
        }
        let real = self.cargo_home.as_ref().and_then(|home| std::fs::canonicalize(home).ok());
        match real.filter(|real| cwd.starts_with(real)) {
            Some(real) => {
                add(&mut self.roots, CARGO_HOME_REAL, Some(&real));
                self.cargo_home_real = Some(real);
            }
            None => add(&mut self.roots, CWD, Some(&cwd)),
        }
    }

    /// A path as this invocation means it: joined to the working directory, not canonicalised.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        if path.is_absolute() { path.to_path_buf() } else { self.cwd.join(path) }
    }

    /// The template of a path, made absolute first.
    #[must_use]
    pub fn template(&self, path: &Path) -> cache_core::Template {
        self.roots.template(self.absolute(path).as_os_str().as_bytes())
    }

    /// The path a template means here.
    #[must_use]
    pub fn expand(&self, template: &cache_core::Template) -> Option<PathBuf> {
        self.roots.expand(template).map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes)))
    }
}

fn add(roots: &mut Roots, name: &'static str, path: Option<&Path>) {
    if let (Some(path), Ok(name)) = (path, RootName::new(name)) {
        // A path that is no root (relative, `/`, with `..`) is left out: paths below it stay plain.
        let _ = roots.add(name, path.as_os_str().as_bytes());
    }
}

fn covered(path: &Path, by: &[&Option<PathBuf>]) -> bool {
    by.iter().any(|root| root.as_deref().is_some_and(|root| path.starts_with(root)))
}

fn marked_ancestor(out_dir: &Path) -> Option<PathBuf> {
    out_dir.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf)
}

/// cargo keeps a lock file in each profile's directory, `<target>/[<triple>/]<profile>/.cargo-lock`
/// (cargo's `Layout::new`).
fn locked_ancestor(out_dir: &Path, triple: Option<&str>) -> Option<PathBuf> {
    let profile = out_dir.ancestors().find(|dir| dir.join(".cargo-lock").is_file())?;
    let parent = profile.parent()?;
    let named = parent.file_name().is_some_and(|name| triple.is_some_and(|triple| name == triple));
    Some(if named { parent.parent()? } else { parent }.to_path_buf())
}

fn workspace_of(
    cwd: &Path,
    input: &Path,
    target: Option<&Path>,
    cargo_home: Option<&Path>,
) -> Option<PathBuf> {
    if cargo_home.is_some_and(|home| {
        cwd.starts_with(home.join("registry")) || cwd.starts_with(home.join("git"))
    }) {
        return None;
    }
    if input.is_relative() {
        return Some(cwd.to_path_buf());
    }
    target.and_then(Path::parent).filter(|parent| cwd.starts_with(parent)).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(cwd: &Path, out: &Path, input: &str) -> Place {
        Place::find(cwd, out, Path::new(input), None, Path::new("/tool"), &|name| match name {
            "HOME" => Some("/home/u".into()),
            _ => None,
        })
    }

    #[test]
    fn members_have_their_workspace_and_marked_target() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let ws = dir.path().join("w s");
        let deps = ws.join("target/debug/deps");
        std::fs::create_dir_all(&deps)?;
        std::fs::write(ws.join("target/CACHEDIR.TAG"), "")?;
        let place = place(&ws, &deps, "src/lib.rs");
        assert_eq!(place.workspace.as_deref(), Some(ws.as_path()));
        assert_eq!(place.target, Some(ws.join("target")));
        assert_eq!(place.template(&deps).to_string(), "{target}/debug/deps");
        assert_eq!(place.template(Path::new("src/lib.rs")).to_string(), "{workspace}/src/lib.rs");
        Ok(())
    }

    #[test]
    fn a_target_directory_that_cargo_found_there_is_known_by_its_lock() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let deps = dir.path().join("t/some-triple/debug/deps");
        std::fs::create_dir_all(&deps)?;
        std::fs::write(dir.path().join("t/some-triple/debug/.cargo-lock"), "")?;
        assert_eq!(locked_ancestor(&deps, None), Some(dir.path().join("t/some-triple")));
        assert_eq!(locked_ancestor(&deps, Some("some-triple")), Some(dir.path().join("t")));
        Ok(())
    }

    #[test]
    fn registry_packages_have_no_workspace() {
        let src = Path::new("/home/u/.cargo/registry/src/idx/foo-1.0.0");
        let place = place(
            src,
            Path::new("/elsewhere/deps"),
            "/home/u/.cargo/registry/src/idx/foo-1.0.0/src/lib.rs",
        );
        assert_eq!(place.workspace, None);
        assert_eq!(
            place.template(&src.join("src/lib.rs")).to_string(),
            "{cargo_home}/registry/src/idx/foo-1.0.0/src/lib.rs"
        );
    }
}
