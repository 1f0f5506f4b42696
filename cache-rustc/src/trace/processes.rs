//! Who was traced and who escaped: every start of a program is told twice, by the process that starts it
//! ([`Event::Exec`]) and by the started program itself ([`Event::Started`]).

use super::event::{Entry, Event};
use super::parts::Injection;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

/// A program that ran under the tracer. A process that replaces its program appears once for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub parent: u32,
    /// The program.
    pub exe: PathBuf,
}

/// Something that went on unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escape {
    /// The process that started it, or that did it.
    pub pid: u32,
    /// The program; empty for [`EscapeReason::Hidden`].
    pub path: PathBuf,
    /// Why it was not seen.
    pub reason: EscapeReason,
}

/// Why something was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EscapeReason {
    /// The program cannot carry the tracer, or has another one.
    NotInjected(Injection),
    /// The program was started with the tracer but did not report (set-user-id, killed at once, …).
    NeverReported,
    /// The program was still running when the trace was read.
    StillRunning,
    /// A traced process used a call behind which nothing can be seen.
    Hidden(String),
}

/// A start that was announced and waits for its report.
struct Announced {
    by: u32,
    path: PathBuf,
}

/// The reports that nobody announced yet, by process: their parents.
type Unclaimed = HashMap<u32, Vec<u32>>;

/// Matches announcements and reports, in log order.
///
/// A process replacing itself announces first. A parent that spawns announces when it knows the child's
/// number, which may be after the child reported. `popen` never learns the number: any report of a child of
/// that parent will do. The first report is the root's, which nobody announces.
pub(super) fn account(entries: &[Entry]) -> (Vec<Process>, Vec<Escape>) {
    let mut processes = Vec::new();
    let mut escaped = Vec::new();
    let mut waiting: HashMap<u32, Announced> = HashMap::new();
    let mut unclaimed = Unclaimed::new();
    let mut anonymous = Vec::new();
    for Entry { pid, event } in entries {
        match event {
            Event::Started { parent, exe } => {
                if !processes.is_empty() && waiting.remove(pid).is_none() {
                    unclaimed.entry(*pid).or_default().push(*parent);
                }
                processes.push(Process { pid: *pid, parent: *parent, exe: exe.clone() });
            }
            Event::Exec { path, process, injected: Injection::Traced } => {
                let start = Announced { by: *pid, path: path.clone() };
                match process {
                    None => anonymous.push(start),
                    Some(child) if child != pid && claim(&mut unclaimed, *child) => {}
                    Some(child) => {
                        escaped.extend(waiting.insert(*child, start).map(never_reported));
                    }
                }
            }
            Event::Exec { path, process: _, injected } => {
                let reason = EscapeReason::NotInjected(*injected);
                escaped.push(Escape { pid: *pid, path: path.clone(), reason });
            }
            Event::ExecFailed { .. } => {
                // Takes back this process' own last announcement.
                if waiting.get(pid).is_some_and(|start| start.by == *pid) {
                    waiting.remove(pid);
                } else if let Some(at) = escaped.iter().rposition(|e| e.pid == *pid) {
                    escaped.remove(at);
                }
            }
            Event::Blind { call } => {
                escaped.push(Escape {
                    pid: *pid,
                    path: PathBuf::new(),
                    reason: EscapeReason::Hidden(call.clone()),
                });
            }
            _ => {}
        }
    }
    escaped.extend(waiting.into_values().map(never_reported));
    escaped.extend(
        anonymous.into_iter().filter(|s| !claim_child(&mut unclaimed, s.by)).map(never_reported),
    );
    (processes, escaped)
}

/// Processes of the trace that live on, as `/proc` has them: one whose number was given to another program
/// since is not taken for it.
pub(super) fn still_running(entries: &[Entry], processes: &[Process]) -> Vec<Escape> {
    let pids: BTreeSet<u32> = entries.iter().map(|entry| entry.pid).collect();
    let alive = |pid: &u32| {
        let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let ours = processes.iter().any(|p| p.exe == path);
        ours.then_some(Escape { pid: *pid, path, reason: EscapeReason::StillRunning })
    };
    pids.iter().filter_map(alive).collect()
}

fn never_reported(start: Announced) -> Escape {
    Escape { pid: start.by, path: start.path, reason: EscapeReason::NeverReported }
}

/// Takes one report of `pid`, if there is one.
fn claim(unclaimed: &mut Unclaimed, pid: u32) -> bool {
    unclaimed.get_mut(&pid).is_some_and(|parents| parents.pop().is_some())
}

/// Takes one report of any child of `parent`.
fn claim_child(unclaimed: &mut Unclaimed, parent: u32) -> bool {
    unclaimed.values_mut().any(|parents| {
        let found = parents.iter().position(|p| *p == parent);
        found.map(|at| parents.remove(at)).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::super::parts::Errno;
    use super::*;

    fn start(pid: u32, parent: u32) -> Entry {
        Entry { pid, event: Event::Started { parent, exe: "/bin/x".into() } }
    }
    fn exec(pid: u32, process: Option<u32>, injected: Injection) -> Entry {
        Entry { pid, event: Event::Exec { path: "/bin/y".into(), process, injected } }
    }
    fn failed(pid: u32) -> Entry {
        Entry { pid, event: Event::ExecFailed { errno: Errno(2) } }
    }
    fn escapes(entries: &[Entry]) -> Vec<EscapeReason> {
        account(entries).1.into_iter().map(|e| e.reason).collect()
    }
    use Injection::{Static, Traced};

    #[test]
    fn who_reports_has_not_escaped() {
        let replaced = [start(1, 0), exec(1, Some(1), Traced), start(1, 0)];
        let forked = [start(1, 0), exec(2, Some(2), Traced), start(2, 1)];
        let late = [start(1, 0), start(2, 1), exec(1, Some(2), Traced)];
        let unnumbered = [start(1, 0), exec(1, None, Traced), start(2, 1)];
        for (log, processes) in [(&replaced, 2), (&forked, 2), (&late, 2), (&unnumbered, 2)] {
            assert_eq!(escapes(log), []);
            assert_eq!(account(log).0.len(), processes);
        }
    }

    #[test]
    fn who_does_not_report_has_escaped() {
        let never = vec![EscapeReason::NeverReported];
        assert_eq!(escapes(&[start(1, 0), exec(1, Some(1), Traced)]), never);
        assert_eq!(escapes(&[start(1, 0), exec(1, Some(2), Traced)]), never);
        assert_eq!(escapes(&[start(1, 0), exec(1, None, Traced), start(3, 2)]), never);
        // The number is used again by a process that does report.
        let twice = [start(1, 0), exec(1, Some(2), Traced), exec(1, Some(2), Traced), start(2, 1)];
        assert_eq!(escapes(&twice), never);
        assert_eq!(
            escapes(&[start(1, 0), exec(1, Some(2), Static)]),
            [EscapeReason::NotInjected(Static)]
        );
    }

    #[test]
    fn a_failed_exec_is_no_escape() {
        assert_eq!(escapes(&[start(1, 0), exec(1, Some(1), Traced), failed(1)]), []);
        assert_eq!(escapes(&[start(1, 0), exec(1, Some(1), Static), failed(1)]), []);
        let second = [
            start(1, 0),
            exec(1, Some(1), Traced),
            failed(1),
            exec(1, Some(1), Traced),
            start(1, 0),
        ];
        assert_eq!(escapes(&second), []);
    }

    #[test]
    fn hidden_doings_are_escapes() {
        let blind = Entry { pid: 1, event: Event::Blind { call: "io_uring".into() } };
        assert_eq!(escapes(&[start(1, 0), blind]), [EscapeReason::Hidden("io_uring".into())]);
    }
}
