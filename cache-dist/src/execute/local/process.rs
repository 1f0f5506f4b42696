//! A command as a process group of its own.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::execute::Action;
use crate::{RemoteError, Result};

/// What a process has left.
pub(super) struct Ended {
    pub(super) exit_code: i32,
    pub(super) stdout: Bytes,
    pub(super) stderr: Bytes,
}

/// Runs the command to its end. When this is dropped, it is killed with all that it has started and
/// that has not left its process group.
pub(super) async fn run(action: &Action, working: &Path) -> Result<Ended> {
    let Some((program, arguments)) = action.arguments.split_first() else {
        return Err(RemoteError::Local("a command has no program".into()));
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(working).env_clear().envs(&action.environment);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let child = command.spawn().map_err(|e| RemoteError::local(program, &e))?;
    let mut group = Group(child);
    let ended = async {
        let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
        let (stdout, stderr, status) = tokio::try_join!(read(stdout), read(stderr), group.0.wait())
            .map_err(|e| RemoteError::local(program, &e))?;
        Ok(Ended { exit_code: exit_code(status), stdout, stderr })
    };
    match action.timeout {
        None => ended.await,
        Some(time) => within(time, ended).await,
    }
}

async fn within(time: Duration, ended: impl Future<Output = Result<Ended>>) -> Result<Ended> {
    match tokio::time::timeout(time, ended).await {
        Ok(result) => result,
        Err(_) => Err(RemoteError::TimedOut(format!("the command ran longer than {time:?}"))),
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes.into())
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

/// A process group that ends with this.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // No number once it was waited for: the group may be somebody else's by then.
        let Some(number) = self.0.id() else { return };
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
