//! Finding a linker, and the arguments that make the driver take it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::Digest;

use super::Linker;

/// The name that every driver knows for a linker.
const KNOWN: &str = "bfd";

/// Where linkers are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// `PATH`.
    pub path: Option<&'a OsStr>,
    /// The working directory, for relative directories in `PATH`.
    pub cwd: &'a Path,
    /// The toolchain's directory.
    pub home: &'a Path,
    /// The compiler's own target.
    pub host: &'a str,
    /// The engine's own directory ([`Options`](crate::engine::Options)), in which drivers are to find
    /// linkers under names they know.
    pub state_dir: &'a Path,
}

/// A linker that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub linker: Linker,
    /// The program.
    pub program: PathBuf,
    /// Whether it is a part of the toolchain.
    pub is_toolchains: bool,
    /// The arguments for rustc, to be put before the user's own.
    pub args: Vec<OsString>,
}

/// Why a linker cannot be used. Links then go to the one that rustc and its driver take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// It is not installed.
    #[error("there is no program {program} in PATH")]
    Program {
        /// The name that was looked for.
        program: &'static str,
    },
    /// The driver cannot be given a way to it.
    #[error("{} cannot be made: {source}", path.display())]
    Name {
        /// The link that should lead to it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// rustc takes text only.
    #[error("{} is no text in UTF-8, which rustc's arguments must be", path.display())]
    NoText {
        /// The directory.
        path: PathBuf,
    },
}

/// Finds a linker and makes the arguments with which the driver takes it. Starts no process; costs a
/// `stat` for each directory of `PATH` up to the linker's, and reads one symbolic link.
///
/// # Errors
/// [`Missing`]: the unit is then to be linked as if no linker had been chosen.
pub fn choose(linker: Linker, tools: &Tools<'_>) -> Result<Chosen, Missing> {
    if linker == Linker::Lld
        && let Some(found) = toolchains_lld(tools)?
    {
        return Ok(found);
    }
    let program =
        find(linker.program(), tools).ok_or(Missing::Program { program: linker.program() })?;
    let known = if linker == Linker::Lld { "lld" } else { KNOWN };
    let dir = named(&program, known, &tools.state_dir.join("linkers-v1"))?;
    let mut args = told(known, dir)?;
    if matches!(linker, Linker::Wild | Linker::Mold) {
        // They leave a process behind that cleans up after the link; whether it is still there when
        // the compiler ends would decide whether all of the link was observed.
        args.push("-Clink-arg=-Wl,--no-fork".into());
    }
    Ok(Chosen { linker, program, is_toolchains: false, args })
}

/// The lld that rustup's toolchains bring, in a directory made for drivers (`gcc-ld`; rustc's
/// `rustc_codegen_ssa::back::link`, `add_lld_args`).
fn toolchains_lld(tools: &Tools<'_>) -> Result<Option<Chosen>, Missing> {
    let dir = tools.home.join("lib/rustlib").join(tools.host).join("bin/gcc-ld");
    let program = dir.join("ld.lld");
    if !is_program(&program) {
        return Ok(None);
    }
    let args = told("lld", dir)?;
    Ok(Some(Chosen { linker: Linker::Lld, program, is_toolchains: true, args }))
}

/// The arguments with which the driver takes the linker that it knows by a name, from a directory.
fn told(known: &str, dir: PathBuf) -> Result<Vec<OsString>, Missing> {
    let Some(text) = dir.to_str() else { return Err(Missing::NoText { path: dir }) };
    Ok(vec![format!("-Clink-arg=-fuse-ld={known}").into(), format!("-Clink-arg=-B{text}").into()])
}

fn find(program: &str, tools: &Tools<'_>) -> Option<PathBuf> {
    let dirs = std::env::split_paths(tools.path?);
    dirs.map(|dir| tools.cwd.join(dir).join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A directory in which a program has the name that the driver looks for; each program has its own.
fn named(program: &Path, known: &str, names: &Path) -> Result<PathBuf, Missing> {
    let of = Digest::of(program.as_os_str().as_bytes()).to_hex();
    let dir = names.join(of.get(..16).unwrap_or(&of));
    let name = dir.join(format!("ld.{known}"));
    if !leads_to(&name, program)
        && let Err(source) = make(&dir, &name, program)
        // Another process may have been faster.
        && !leads_to(&name, program)
    {
        return Err(Missing::Name { path: name, source });
    }
    Ok(dir)
}

fn leads_to(name: &Path, program: &Path) -> bool {
    std::fs::read_link(name).is_ok_and(|target| target == program)
}

/// Makes the link whole or not at all: processes of other builds may be using it.
fn make(dir: &Path, name: &Path, program: &Path) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    std::fs::create_dir_all(dir)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temp = dir.join(format!("new-{}-{count}", std::process::id()));
    symlink(program, &temp)?;
    std::fs::rename(&temp, name).inspect_err(|_| drop(std::fs::remove_file(&temp)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().expect("temp dir") }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn program(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
            std::fs::write(&path, "").expect("write");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
            path
        }

        fn choose(&self, linker: Linker) -> Result<Chosen, Missing> {
            let path = std::env::join_paths([self.path("early"), "late".into()]).expect("PATH");
            choose(
                linker,
                &Tools {
                    path: Some(&path),
                    cwd: self.dir.path(),
                    home: &self.path("home"),
                    host: "h",
                    state_dir: &self.path("state"),
                },
            )
        }
    }

    #[test]
    fn the_first_program_in_path_is_taken_under_a_name_that_drivers_know() {
        let place = Place::new();
        place.program("early/mold", 0o644);
        let mold = place.program("late/mold", 0o755);
        let chosen = place.choose(Linker::Mold).expect("found");
        assert_eq!(chosen.program, mold);
        let args: Vec<_> = chosen.args.iter().map(|arg| arg.to_str().expect("text")).collect();
        let [name, dir, "-Clink-arg=-Wl,--no-fork"] = args[..] else { panic!("{args:?}") };
        assert_eq!(name, "-Clink-arg=-fuse-ld=bfd");
        let dir = Path::new(dir.strip_prefix("-Clink-arg=-B").expect("a directory"));
        assert_eq!(std::fs::read_link(dir.join("ld.bfd")).expect("a link"), mold);
        assert_eq!(std::fs::read_dir(dir).expect("listed").count(), 1);

        let early = place.program("early/mold", 0o755);
        let other = place.choose(Linker::Mold).expect("found");
        assert_eq!(other.program, early);
        assert_ne!(other.args, chosen.args, "each program has a directory of its own");
        std::fs::remove_file(&early).expect("remove");
        assert_eq!(place.choose(Linker::Mold).expect("found"), chosen);
    }

    #[test]
    fn a_spoilt_name_is_made_again() {
        let place = Place::new();
        let wild = place.program("late/wild", 0o755);
        let chosen = place.choose(Linker::Wild).expect("found");
        let names = std::fs::read_dir(place.path("state/linkers-v1")).expect("listed").flatten();
        let name = names.map(|dir| dir.path().join("ld.bfd")).next().expect("one");
        std::fs::remove_file(&name).expect("remove");
        std::fs::write(&name, "rubbish").expect("write");
        assert_eq!(place.choose(Linker::Wild).expect("found"), chosen);
        assert_eq!(std::fs::read_link(&name).expect("a link"), wild);
    }

    #[test]
    fn the_toolchains_own_lld_comes_first() {
        let place = Place::new();
        let system = place.program("late/ld.lld", 0o755);
        let chosen = place.choose(Linker::Lld).expect("found");
        assert_eq!((&chosen.program, chosen.is_toolchains), (&system, false));
        assert_eq!(chosen.args[0], "-Clink-arg=-fuse-ld=lld");
        let own = place.program("home/lib/rustlib/h/bin/gcc-ld/ld.lld", 0o755);
        let chosen = place.choose(Linker::Lld).expect("found");
        assert_eq!((&chosen.program, chosen.is_toolchains), (&own, true));
        let dir = own.parent().expect("a parent").display();
        assert_eq!(chosen.args[1], *format!("-Clink-arg=-B{dir}"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let place = Place::new();
        let said = place.choose(Linker::Lld).expect_err("nothing there").to_string();
        assert_eq!(said, "there is no program ld.lld in PATH");
        place.program("late/mold", 0o755);
        place.program("state", 0o644);
        let said = place.choose(Linker::Mold).expect_err("no directory").to_string();
        assert!(said.contains("cannot be made"), "{said}");
    }
}
