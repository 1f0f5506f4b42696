//! Running one step after the other, with what each took and a sign of life.

use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::succeed;

/// What a build took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) wall: Duration,
    /// User and system time of cargo and all it started.
    pub(super) cpu: Duration,
}

/// Runs steps; remembers whether the user wants to stop.
#[derive(Debug)]
pub(super) struct Phases {
    interrupted: Arc<AtomicBool>,
    terminal: bool,
}

impl Phases {
    /// From now on, signals that would end this process only end the step, so that the temporary
    /// directory can be removed.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn new() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, interrupted.clone())
                .context("cannot handle signals")?;
        }
        Ok(Self { interrupted, terminal: std::io::stderr().is_terminal() })
    }

    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Does something within this process.
    pub(super) fn step(&self, name: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let began = Instant::now();
        self.show(name, None);
        act()?;
        self.done(name, began.elapsed());
        Ok(())
    }

    /// Runs a build and gives what it took.
    ///
    /// # Errors
    /// When it fails, with what cargo said.
    pub(super) fn time(&self, name: &str, command: &mut Command) -> Result<Cost> {
        let before = children_cpu()?;
        let (wall, _) = self.run(name, command)?;
        Ok(Cost { wall, cpu: children_cpu()?.saturating_sub(before) })
    }

    /// Runs a command and gives its standard error.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub(super) fn output(&self, name: &str, command: &mut Command) -> Result<String> {
        self.run(name, command).map(|(_, said)| said)
    }

    fn run(&self, name: &str, command: &mut Command) -> Result<(Duration, String)> {
        self.check()?;
        let began = Instant::now();
        self.show(name, None);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that on a signal all that cargo started can be ended.
            .process_group(0)
            .spawn()
            .context("cannot run cargo; is it on PATH?")?;
        let id = child.id();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let output = child.wait_with_output();
            let _ = sender.send((output, Instant::now()));
        });
        let (output, ended) = loop {
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok((output, ended)) => break (output, ended),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.show(name, Some(began.elapsed()));
                    if self.interrupted() {
                        terminate(id);
                    }
                }
                Err(error) => bail!("{name}: {error}"),
            }
        };
        let output = output.with_context(|| format!("{name}: cannot wait for cargo"))?;
        let wall = ended - began;
        self.check()?;
        succeed(name, output.status, &said(&output))?;
        self.done(name, wall);
        Ok((wall, String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn check(&self) -> Result<()> {
        if self.interrupted() {
            self.show("", None);
            bail!("interrupted; nothing is left behind");
        }
        Ok(())
    }

    /// Shows what is going on where somebody is looking.
    fn show(&self, name: &str, elapsed: Option<Duration>) {
        if self.terminal {
            let elapsed = elapsed.map(|time| format!("  {} s", time.as_secs())).unwrap_or_default();
            eprint!("\r\x1b[K  {name}{elapsed}");
            let _ = std::io::stderr().flush();
        }
    }

    fn done(&self, name: &str, took: Duration) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
        eprintln!("  {name:<30} {:>10}", crate::text::duration(took));
    }
}

fn said(output: &Output) -> String {
    let all = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Ends cargo and all that it started.
fn terminate(id: u32) {
    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
    }
}

/// CPU time of all descendants that have ended and been waited for.
fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read CPU times")?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
