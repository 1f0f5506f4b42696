//! Running the compiler, its streams passed on as they come.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use super::remap::Remap;
use super::report::micros;
use super::streams::{Sink, localize, pump};
use super::unit::Unit;

/// What a run left in the streams, and how it ended.
#[derive(Debug)]
pub(super) struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, as passed on.
    pub stdout: Vec<u8>,
    /// Standard error, as passed on.
    pub stderr: Vec<u8>,
    /// Microseconds of wall time.
    pub wall_us: u64,
}

impl Run {
    /// What ran from `started` until now.
    pub(super) fn ended(status: ExitStatus, streams: (Vec<u8>, Vec<u8>), started: Instant) -> Self {
        let wall_us = micros(started.elapsed());
        Self { status, stdout: streams.0, stderr: streams.1, wall_us }
    }
}

/// Runs the unit's compiler with `extra` variables in its environment and waits for it.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn run(
    unit: &Unit,
    extra: &[(OsString, OsString)],
    sink: &dyn Sink,
) -> std::io::Result<Run> {
    let (started, mut child) = start(unit, extra)?;
    let streams = pass_streams(&unit.remap, &mut child, sink);
    let status = child.wait()?;
    Ok(Run::ended(status, streams, started))
}

/// Starts the unit's compiler; the time is when.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(
    unit: &Unit,
    extra: &[(OsString, OsString)],
) -> std::io::Result<(Instant, Child)> {
    let started = Instant::now();
    make_way(unit.outputs.iter().map(|output| output.path.as_path()));
    Ok((started, command(unit, extra).spawn()?))
}

/// Removes outputs of earlier runs that are read-only or share an inode: a restored library is a
/// link to the store's file, and rustc refuses to write over a file that is not writable
/// (`rustc_interface::passes`, "is not writeable").
pub(super) fn make_way<'a>(outputs: impl Iterator<Item = &'a Path>) {
    for path in outputs {
        let shared = |meta: &std::fs::Metadata| meta.nlink() > 1 || meta.mode() & 0o222 == 0;
        if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && shared(&meta)) {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn command(unit: &Unit, extra: &[(OsString, OsString)]) -> Command {
    let argv = super::unit::argv(&unit.program, &unit.remap, &unit.linker, &unit.raw_args);
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).current_dir(&unit.place.cwd).env_clear().envs(&unit.env);
    command.envs(extra.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Passes a child's streams on to their end, with this checkout's paths in diagnostics, and gives what
/// was passed on.
pub(super) fn pass_streams(
    remap: &Remap,
    child: &mut Child,
    sink: &dyn Sink,
) -> (Vec<u8>, Vec<u8>) {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let out = scope.spawn(move || {
            out.map_or_else(Vec::new, |out| pump(out, &|bytes| sink.stdout(bytes), &|_| None))
        });
        let err = err.map_or_else(Vec::new, |err| {
            pump(err, &|bytes| sink.stderr(bytes), &|line| localize(line, remap))
        });
        (out.join().unwrap_or_default(), err)
    })
}
