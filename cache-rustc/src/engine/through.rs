//! Invocations that are run as they are.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use super::execute::{make_way, pass_streams};
use super::report::{Report, Served};
use super::streams::Sink;
use super::unit::{Request, Through};

/// Becomes the command: same process, same streams, nothing in between. Returns only when it cannot
/// be started.
#[must_use]
pub fn exec(through: &Through, request: &Request) -> std::io::Error {
    make_way(through.outputs.iter().map(PathBuf::as_path));
    command(through, request).exec()
}

/// Runs the command as a child.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn run(
    through: &Through,
    request: &Request,
    sink: &dyn Sink,
    report: &mut Report,
) -> std::io::Result<ExitStatus> {
    note(through, report);
    make_way(through.outputs.iter().map(PathBuf::as_path));
    let mut child = command(through, request)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    pass_streams(&through.remap, &mut child, sink);
    child.wait()
}

/// Fills the report for an invocation that is passed through.
pub fn note(through: &Through, report: &mut Report) {
    report.crate_name.clone_from(&through.crate_name);
    report.unit.clone_from(&through.unit);
    report.kind.clone_from(&through.kind);
    report.served = Served::Through { reason: through.reason.clone() };
}

fn command(through: &Through, request: &Request) -> Command {
    let mut argv = through.argv.iter();
    let mut command =
        Command::new(argv.next().map_or("rustc".as_ref(), |program| program.as_os_str()));
    command.args(argv).current_dir(&request.cwd).env_clear().envs(&request.env);
    command
}
