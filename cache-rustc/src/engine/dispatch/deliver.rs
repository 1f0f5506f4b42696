//! Putting in place what came back.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;

use cache_core::Role;

use super::super::execute::{Run, make_way};
use super::super::streams::{Sink, localize, pump};
use super::super::unit::Unit;
use super::Executed;

/// Moves the outputs to where the compiler would have written them, then passes the streams on with
/// this checkout's paths, as if it had just run since `started`. `mode` is that of a file that this
/// process makes.
///
/// # Errors
/// What the file system says; nothing was passed on then.
pub(super) fn deliver(
    unit: &Unit,
    executed: &Executed,
    mode: u32,
    started: Instant,
    sink: &dyn Sink,
) -> io::Result<Run> {
    for (at, output) in unit.outputs.iter().enumerate() {
        let Some(from) = executed.outputs.get(&at) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // Who may read a file may execute it, if it is a program.
        let execute = if output.role == Role::Executable { (mode & 0o444) >> 2 } else { 0 };
        fs::set_permissions(from, fs::Permissions::from_mode((mode | execute) & 0o777))?;
        make_way(std::iter::once(output.path.as_path()));
        put(from, &output.path)?;
    }
    let out = pump(&executed.stdout[..], &|bytes| sink.stdout(bytes), &|_| None);
    let remap = &unit.remap;
    let err =
        pump(&executed.stderr[..], &|bytes| sink.stderr(bytes), &|line| localize(line, remap));
    Ok(Run::ended(ExitStatus::from_raw(0), (out, err), started))
}

fn put(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let beside = to.with_file_name(format!(".larder-{}", std::process::id()));
            let copied = fs::copy(from, &beside).and_then(|_| fs::rename(&beside, to));
            if copied.is_err() {
                let _ = fs::remove_file(&beside);
            }
            copied
        }
        done => done,
    }
}
