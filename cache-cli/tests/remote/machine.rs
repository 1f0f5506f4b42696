//! A machine: a home, a store, an agent of its own.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::harness::{Checkout, Counter, Files, Lab, Run, until};
use crate::project::{PRINTS, project};

/// Variables, by name.
pub(crate) type Vars = [(String, String)];

/// A machine that shares what it builds. Its agent ends with it.
pub(crate) struct Machine {
    lab: Lab,
    counter: Counter,
}

impl Deref for Machine {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Machine {
    /// A machine with nothing on it, whose remote these variables say.
    pub(crate) fn new(vars: &Vars) -> Self {
        let lab = Lab::new();
        let machine = Self { counter: count_compilers(&lab), lab };
        machine.set_env("LARDER_FILL", "on");
        // What is worth it depends on how busy the machine is; a test that is about that says so.
        machine.set_env("LARDER_REMOTE_FETCH", "always");
        // A configuration that is named and not there is a mistake.
        std::fs::write(machine.root.join("larder.toml"), "").expect("a configuration");
        // Should the end of this test be that of this process, too.
        machine.set_env("LARDER_AGENT_IDLE_MS", "120000");
        machine.set_vars(vars);
        machine
    }

    /// Sets variables.
    pub(crate) fn set_vars(&self, vars: &Vars) {
        for (name, value) in vars {
            self.set_env(name, value);
        }
    }

    /// The same with one of them set.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.set_env(name, value);
        self
    }

    /// The same as most are configured: what comes sooner than it is compiled is fetched.
    pub(crate) fn fetching_when_faster(self) -> Self {
        self.with("LARDER_REMOTE_FETCH", "when-faster")
    }

    /// Crate names of the compiles started since the last call, sorted.
    pub(crate) fn compiled(&self) -> Vec<String> {
        self.counter.compiled()
    }

    /// That none was.
    #[track_caller]
    pub(crate) fn compiled_nothing(&self) {
        let compiled = self.compiled();
        assert!(compiled.is_empty(), "compiled {compiled:?}; {:#}", self.status());
    }

    /// Builds [`project`] in a new checkout, which must give what it should.
    #[track_caller]
    pub(crate) fn build(&self, name: &str) -> Checkout<'_> {
        self.build_of(name, &project())
    }

    /// Builds a project that prints the same.
    #[track_caller]
    pub(crate) fn build_of(&self, name: &str, files: &Files) -> Checkout<'_> {
        let checkout = self.checkout(name, files);
        assert_eq!(checkout.build_and_run(), PRINTS, "{}", checkout.last().describe());
        checkout
    }

    /// Uploads all that was stored.
    #[track_caller]
    pub(crate) fn push(&self) -> Run {
        self.larder(&["push", "--wait"]).good()
    }

    /// `larder remote status --json`; starts the agent.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let run = self.larder(&["remote", "status", "--json"]).good();
        serde_json::from_str(&run.stdout).expect("JSON")
    }

    /// A figure of the status.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let status = self.status();
        status[name].as_u64().unwrap_or_else(|| panic!("no {name} in {status:#}"))
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.store().join("state-v1")
    }

    /// What waits to be uploaded.
    pub(crate) fn spooled(&self) -> usize {
        let remotes = std::fs::read_dir(self.state().join("remotes-v1"));
        let dirs = remotes.into_iter().flatten().flatten();
        dirs.map(|dir| count(&dir.path().join("spool"))).sum()
    }

    /// The agents' directories.
    pub(crate) fn agent_dirs(&self) -> Vec<PathBuf> {
        agent_dirs(&self.state())
    }

    /// The numbers of the agents that are alive.
    pub(crate) fn agents(&self) -> Vec<u32> {
        agents(&self.state())
    }

    /// Sends the agents a signal.
    pub(crate) fn signal(&self, signal: &str) {
        send(&self.state(), signal);
    }

    /// Waits until no build waits for being written down.
    #[track_caller]
    pub(crate) fn written_down(&self) {
        let pending = || {
            let names = std::fs::read_dir(self.state().join("builds-v2"));
            names
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().ends_with(".watched"))
        };
        until("the build is written down", || !pending());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.signal("-CONT");
        let mut command = self.lab.command(crate::harness::LARDER);
        let _ = command.args(["agent", "--stop"]).output();
    }
}

/// Makes a lab's cargo use a compiler that counts its starts: at the same place for all machines, since the
/// place counts for what a compiler is.
fn count_compilers(lab: &Lab) -> Counter {
    static SCRIPT: Mutex<()> = Mutex::new(());
    let _one_writes_it = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner);
    lab.count_compilers_of(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("counting-rustc"))
}

fn agent_dirs(state: &Path) -> Vec<PathBuf> {
    let dirs = std::fs::read_dir(state.join("agent-v1")).into_iter().flatten().flatten();
    dirs.map(|dir| dir.path()).collect()
}

fn agents(state: &Path) -> Vec<u32> {
    let number = |dir: PathBuf| -> Option<u32> {
        let number = std::fs::read_to_string(dir.join("lock")).ok()?.trim().parse().ok()?;
        // The number that one left may be that of another process by now.
        let line = std::fs::read(format!("/proc/{number}/cmdline")).ok()?;
        let wanted = dir.to_str()?.as_bytes();
        line.windows(wanted.len()).any(|part| part == wanted).then_some(number)
    };
    agent_dirs(state).into_iter().filter_map(number).collect()
}

fn send(state: &Path, signal: &str) -> usize {
    let agents = agents(state);
    for agent in &agents {
        let _ = Command::new("kill").args([signal, &agent.to_string()]).output();
    }
    agents.len()
}

/// Kills the agents that keep their state there, and says how many.
pub(crate) fn kill_agents(state: &Path) -> usize {
    send(state, "-KILL")
}

fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir).into_iter().flatten().flatten().count()
}
