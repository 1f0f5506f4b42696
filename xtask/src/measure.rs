//! Wall and CPU time of a command and everything it starts.

use std::fs;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// What something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// User and system time of the command, its descendants, and the servers it used.
    pub(crate) cpu: Duration,
}

/// How long to wait for servers that were told to stop.
const SERVER_PATIENCE: Duration = Duration::from_secs(10);

/// Makes orphaned descendants (servers that put themselves in the background) children of this
/// process, so that their CPU time can be had when they end: `PR_SET_CHILD_SUBREAPER`, prctl(2).
/// Elsewhere than on Linux the time of such servers is missing from the figures.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn adopt_orphans() -> Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true).context("cannot become a subreaper")?;
    Ok(())
}

/// Runs `command` between `start` and `stop`, which begin and end whatever server it needs. Only
/// the command's own wall time counts; the CPU time is that of all three.
///
/// # Errors
/// When the command cannot be started or fails (with its stderr), or `start` or `stop` fails.
pub(crate) fn measure(
    command: &mut Command,
    start: impl FnOnce() -> Result<()>,
    stop: impl FnOnce() -> Result<()>,
) -> Result<(Cost, Output)> {
    let (before, others) = (children_cpu()?, children());
    start()?;
    let began = Instant::now();
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let wall = began.elapsed();
    stop()?;
    reap_orphans(&others);
    let cpu = children_cpu()?.saturating_sub(before);
    succeeded(command, &output)?;
    Ok((Cost { wall, cpu }, output))
}

/// Runs all of `commands` at once; what they took together.
///
/// # Errors
/// When one of them cannot be started or fails (with its stderr).
pub(crate) fn measure_all(commands: &mut [Command]) -> Result<Cost> {
    let before = children_cpu()?;
    let began = Instant::now();
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> =
            commands.iter_mut().map(|command| scope.spawn(|| command.output())).collect();
        running.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let wall = began.elapsed();
    let cpu = children_cpu()?.saturating_sub(before);
    for (command, output) in commands.iter().zip(outputs) {
        let output = output.map_err(|_| anyhow::anyhow!("a thread failed"))?;
        succeeded(command, &output.with_context(|| format!("cannot run {command:?}"))?)?;
    }
    Ok(Cost { wall, cpu })
}

fn succeeded(command: &Command, output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}

/// CPU time of all descendants that have ended and been waited for.
fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage")?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// Waits for adopted orphans to end, but not for ever, and not for those who were there before.
fn reap_orphans(others: &[String]) {
    let began = Instant::now();
    while children().iter().any(|child| !others.contains(child)) {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return,
            Ok(WaitStatus::StillAlive) if began.elapsed() > SERVER_PATIENCE => {
                eprintln!("a background process did not end: its CPU time is not counted");
                return;
            }
            Ok(WaitStatus::StillAlive) | Err(_) => sleep(Duration::from_millis(20)),
            Ok(_) => {}
        }
    }
}

/// The numbers of this process' children (proc(5), `/proc/pid/task/tid/children`); none elsewhere than
/// on Linux.
fn children() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).ok();
    let numbers: Vec<String> = tasks.filter_map(of_task).collect();
    numbers.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect()
}
