//! The projects that are built: released crates, this repository, or any directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::build_env::clean_command;
use crate::files::{copy_file, copy_tree};
use crate::repo;

/// Version requirements of the usual subjects, so that figures of different days compare.
const USUAL: [(&str, &str); 2] = [("fd-find", "10"), ("eza", "0.23")];

/// A project, its sources at hand and its dependencies fetched.
pub(crate) struct Subject {
    /// Name and version, for tables.
    pub(crate) title: String,
    /// Name as a directory.
    pub(crate) name: String,
    pristine: PathBuf,
}

impl Subject {
    /// Gets the sources that `spec` means into `scratch`, and what they depend on into cargo's
    /// home, so that builds can be offline.
    ///
    /// `spec` is `self` for this repository, a directory, or a package of crates.io as `NAME` or
    /// `NAME@REQUIREMENT`; a package is built with the lock file that it was released with.
    ///
    /// # Errors
    /// When the sources or the dependencies cannot be had.
    pub(crate) fn obtain(spec: &str, scratch: &Path) -> Result<Self> {
        let subject = if spec == "self" {
            Self::from_repository(scratch)?
        } else if Path::new(spec).join("Cargo.toml").is_file() {
            Self::from_directory(Path::new(spec), scratch)?
        } else {
            Self::from_registry(spec, scratch)?
        };
        let mut fetch = cargo(&subject.pristine);
        fetch.args(["fetch", "--quiet"]);
        if subject.pristine.join("Cargo.lock").is_file() {
            fetch.arg("--locked");
        }
        repo::succeed(&mut fetch)?;
        Ok(subject)
    }

    /// Puts a fresh checkout at `to`, which must not exist.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn check_out(&self, to: &Path) -> Result<()> {
        ensure!(!to.exists(), "{} exists", to.display());
        copy_tree(&self.pristine, to, &[])
    }

    /// The files that git tracks or would track, as they are now.
    fn from_repository(scratch: &Path) -> Result<Self> {
        let root = repo::root();
        let pristine = scratch.join("sources/larder");
        for file in repository_files(&root)? {
            // A deleted file that is not yet committed is listed too.
            if root.join(&file).is_file() {
                copy_file(&root.join(&file), &pristine.join(&file))?;
            }
        }
        Ok(Self { title: "this repository".into(), name: "larder".into(), pristine })
    }

    fn from_directory(directory: &Path, scratch: &Path) -> Result<Self> {
        let directory = directory.canonicalize()?;
        let name = directory.file_name().unwrap_or(OsStr::new("project")).to_string_lossy();
        let pristine = scratch.join("sources").join(&*name);
        copy_tree(&directory, &pristine, &["target", ".git"])?;
        Ok(Self { title: name.to_string(), name: name.into_owned(), pristine })
    }

    /// Lets cargo download the package as a dependency of an empty crate, and copies it from where
    /// cargo unpacks it. `cargo metadata` would name the place, but leaves out packages without a
    /// library, as programs mostly are.
    fn from_registry(spec: &str, scratch: &Path) -> Result<Self> {
        let (name, requirement) = spec.split_once('@').unwrap_or_else(|| {
            let usual = USUAL.iter().find(|(usual, _)| *usual == spec);
            (spec, usual.map_or("*", |(_, requirement)| requirement))
        });
        let probe = scratch.join("probe").join(name);
        fs::create_dir_all(&probe)?;
        fs::write(probe.join("lib.rs"), "")?;
        fs::write(probe.join("Cargo.toml"), probe_manifest(name, requirement))?;
        repo::succeed(cargo(&probe).args(["fetch", "--quiet"]))?;
        let output = cargo(&probe).args(["pkgid", "--quiet", name]).output()?;
        ensure!(
            output.status.success(),
            "cargo pkgid: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let id = String::from_utf8(output.stdout)?;
        let (_, version) = id.trim().rsplit_once('@').context("a package id without version")?;
        let pristine = scratch.join("sources").join(name);
        let released = unpacked(&format!("{name}-{version}"))?;
        copy_tree(&released, &pristine, &[".cargo-ok", ".cargo_vcs_info.json"])?;
        Ok(Self { title: format!("{name} {version}"), name: name.to_owned(), pristine })
    }
}

/// Where cargo unpacked a package: `registry/src/<registry>/<name>-<version>` in its home
/// (The Cargo Book, "Cargo Home").
fn unpacked(package: &str) -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| Some(env::home_dir()?.join(".cargo"))).context("no home directory")?;
    let sources = home.join("registry/src");
    for registry in fs::read_dir(&sources).with_context(|| format!("no {}", sources.display()))? {
        let candidate = registry?.path().join(package);
        if candidate.join("Cargo.toml").is_file() {
            return Ok(candidate);
        }
    }
    bail!("cargo fetched {package}, but it is not in {}", sources.display())
}

fn probe_manifest(name: &str, requirement: &str) -> String {
    format!(
        "[package]\nname = \"xtask-probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [lib]\npath = \"lib.rs\"\n[dependencies]\n\"{name}\" = \"{requirement}\"\n[workspace]\n"
    )
}

fn repository_files(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).context("a file name that is not UTF-8")?;
    Ok(listing.split_terminator('\0').map(PathBuf::from).collect())
}

fn cargo(directory: &Path) -> Command {
    clean_command("cargo".as_ref(), directory)
}
