//! Running the compiler without the cache.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use cache_rustc::engine::{Sink, StdStreams};

use super::end;
use super::sink::Passed;

/// The exit code of env(1) and of shells for a program that cannot be started.
const NOT_STARTED: u8 = 127;

/// Becomes the compiler.
pub(super) fn exec(argv: &[OsString]) -> ExitCode {
    let error = command(argv).exec();
    not_started(argv, &error)
}

/// Runs the compiler after this program failed midway: the lines that were already passed on are
/// not printed again.
pub(super) fn rest(argv: &[OsString], passed: &Passed) -> ExitCode {
    let (out, err) = passed.lines();
    if out == 0 && err == 0 {
        return exec(argv);
    }
    let mut command = command(argv);
    let mut child = match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return not_started(argv, &error),
    };
    let streams = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        if let Some(stdout) = streams.0 {
            scope.spawn(move || after(stdout, out, &|line| StdStreams.stdout(line)));
        }
        if let Some(stderr) = streams.1 {
            after(stderr, err, &|line| StdStreams.stderr(line));
        }
    });
    match child.wait() {
        Ok(status) => end::like(status),
        Err(error) => not_started(argv, &error),
    }
}

fn command(argv: &[OsString]) -> Command {
    let mut argv = argv.iter();
    let mut command = Command::new(argv.next().map_or("rustc".as_ref(), OsString::as_os_str));
    command.args(argv);
    command
}

/// Passes on what comes after the first `skip` lines.
fn after(stream: impl Read, skip: u64, to: &dyn Fn(&[u8])) {
    let mut stream = BufReader::new(stream);
    let (mut line, mut number) = (Vec::new(), 0);
    while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if number >= skip {
            to(&line);
        }
        number += 1;
        line.clear();
    }
}

/// The one message of this program in wrapper mode: there is no compiler whose message it could
/// spoil, and cargo's own would name the wrapper, which was found.
pub(super) fn not_started(argv: &[OsString], error: &std::io::Error) -> ExitCode {
    let program = argv.first().map(|program| program.to_string_lossy()).unwrap_or_default();
    StdStreams.stderr(format!("larder: cannot run {program}: {error}\n").as_bytes());
    ExitCode::from(NOT_STARTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn lines_that_were_passed_on_are_skipped() {
        let got = Mutex::new(Vec::new());
        after(&b"one\ntwo\nthree"[..], 2, &|line| {
            got.lock().expect("lock").extend_from_slice(line);
        });
        assert_eq!(got.into_inner().expect("lock"), b"three");
    }
}
