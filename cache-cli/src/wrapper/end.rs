//! Ending as the compiler ended.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};

/// Ends this process with the same exit code or by the same signal.
pub(super) fn like(status: ExitStatus) -> ExitCode {
    if let Some(code) = status.code() {
        std::process::exit(code);
    }
    let signal = status.signal().unwrap_or(0);
    if let Some(signal) = Signal::from_named_raw(signal) {
        // The compiler has left its core dump, if any; ours would overwrite it.
        let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
        let _ = setrlimit(Resource::Core, none);
        let _ = kill_process(getpid(), signal);
    }
    // A signal that this process ignores: the code a shell would give.
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
