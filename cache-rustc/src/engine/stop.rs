//! Stopping a compiler together with all that it started.

use std::collections::HashMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::unit::Unit;

/// A killed process that is in the kernel goes on until it leaves it.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);

/// Stops a process and all its descendants for good. An orphaned linker would go on writing to an output
/// that has been restored since.
///
/// They are halted first, from the root on, until no new ones are found: none of them can start another or
/// lose its parent meanwhile. Other descendants of this process are not touched.
pub(super) fn tree(root: Pid) {
    let mut halted = vec![root];
    let _ = kill_process(root, Signal::STOP);
    loop {
        let parents = parents();
        let known = |pid: &Pid| halted.contains(pid);
        let new: Vec<Pid> = parents
            .iter()
            .filter(|(pid, parent)| known(parent) && !known(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            let _ = kill_process(pid, Signal::STOP);
            halted.push(pid);
        }
    }
    for pid in &halted {
        let _ = kill_process(*pid, Signal::KILL);
    }
    let began = Instant::now();
    while halted.iter().any(|pid| is_running(*pid)) && began.elapsed() < PATIENCE {
        sleep(PAUSE);
    }
}

/// All processes and their parents (proc(5), `/proc/pid/stat`).
fn parents() -> HashMap<Pid, Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pair = |entry: fs::DirEntry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let (_, parent) = state(pid)?;
        Some((pid, parent?))
    };
    processes.filter_map(pair).collect()
}

/// A process' state and parent.
fn state(pid: Pid) -> Option<(char, Option<Pid>)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next().and_then(|parent| Pid::from_raw(parent.parse().ok()?))))
}

fn is_running(pid: Pid) -> bool {
    state(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Removes the object files of a compiler that was stopped; it removes them itself when it ends well
/// (`rustc_codegen_ssa::back::link`). Their names begin with the unit's.
pub(super) fn clean(unit: &Unit) {
    let Some(hash) = unit.args.extra_filename.as_deref().filter(|hash| hash.len() > 8) else {
        return;
    };
    let start = format!("{}{hash}.", unit.args.crate_name);
    for entry in fs::read_dir(&unit.out_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_object = |name: &str| {
            let parts = [".rcgu.o", ".rcgu.dwo", ".rcgu.bc"];
            name.starts_with(&start) && parts.iter().any(|end| name.ends_with(end))
        };
        if name.to_str().is_some_and(is_object) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
