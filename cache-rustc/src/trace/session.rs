//! Running a program under the tracer and reading what it logged.

use super::error::{TraceError, Unavailable};
use super::event::{Entry, Event};
use super::log::{self, LogError};
use super::parts::text;
use super::processes::{self, Escape, Process};
use super::{elf, shim};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variables that put a program under the tracer: where the log is (an existing file that begins with
/// [`log::MAGIC`]), and what the dynamic loader loads.
pub const VARIABLES: [&str; 2] = [LOG_VAR, PRELOAD_VAR];
/// The variable by which the preload object learns where the log is. It takes it out of the program's sight.
const LOG_VAR: &str = "LARDER_TRACE_LOG";
const PRELOAD_VAR: &str = "LD_PRELOAD";
/// Longest path of a log, in bytes: the preload object keeps it in a fixed buffer.
const MAX_LOG_PATH: usize = 4096;
/// A log larger than this, in bytes, is not read.
const MAX_LOG: u64 = 512 << 20;

/// The tracer, ready to be used.
#[derive(Debug, Clone)]
pub struct Tracer {
    object: PathBuf,
}

impl Tracer {
    /// Puts the preload object into `dir` if it is not there yet (as `larder-trace-<id>.so`), and checks
    /// that it can be loaded from there. If the path of `dir` cannot stand in `LD_PRELOAD` because of a
    /// space, colon or dollar sign, a directory private to this user in `/tmp` is used.
    ///
    /// # Errors
    /// Why nothing can be traced here.
    pub fn available(dir: &Path) -> Result<Self, Unavailable> {
        Ok(Tracer { object: shim::install(dir)? })
    }

    /// The preload object.
    #[must_use]
    pub fn object(&self) -> &Path {
        &self.object
    }

    /// Checks that `program` can carry the preload object: a 64-bit ELF program with this process' own
    /// dynamic loader, or a script for such a program.
    ///
    /// # Errors
    /// [`Unavailable::Program`] if it cannot.
    pub fn can_trace(&self, program: &Path) -> Result<(), Unavailable> {
        let refuse = |reason: String| Err(Unavailable::Program { program: program.into(), reason });
        match elf::loader(program) {
            Err(e) => refuse(e.to_string()),
            Ok(None) => refuse("statically linked".into()),
            Ok(Some(theirs)) if loadable_by(&theirs) => Ok(()),
            Ok(Some(theirs)) => refuse(format!("run by {}", String::from_utf8_lossy(&theirs))),
        }
    }

    /// Prepares to trace one program; `log` is the absolute path of a file that must not exist yet.
    ///
    /// # Errors
    /// If the log cannot be made there.
    pub fn session(&self, log: &Path) -> Result<TraceSession, TraceError> {
        let len = log.as_os_str().len();
        if !log.is_absolute() || len >= MAX_LOG_PATH {
            return Err(TraceError::Path { path: log.into() });
        }
        let failed = |source| TraceError::Io { path: log.into(), source };
        let mut file = create(log).map_err(failed)?;
        let session = TraceSession { object: self.object.clone(), log: log.into() };
        file.write_all(&log::MAGIC).map_err(failed)?;
        Ok(session)
    }
}

/// Whether the loader at `theirs` is the one this process runs under, by which the preload object was made.
/// A process that is itself static accepts any loader of glibc.
fn loadable_by(theirs: &[u8]) -> bool {
    match elf::loader(Path::new("/proc/self/exe")) {
        Ok(Some(ours)) => ours == theirs || same_file(&ours, theirs),
        _ => {
            theirs.rsplit(|b| *b == b'/').next().is_some_and(|name| name.starts_with(b"ld-linux-"))
        }
    }
}

fn same_file(a: &[u8], b: &[u8]) -> bool {
    let real = |p: &[u8]| fs::canonicalize(text(p)).ok();
    real(a).is_some_and(|a| real(b) == Some(a))
}

fn create(log: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(log)
}

/// One program to trace. Dropping it removes the log.
#[derive(Debug)]
pub struct TraceSession {
    object: PathBuf,
    log: PathBuf,
}

impl TraceSession {
    /// The variables to set for the program, given the `LD_PRELOAD` it would have without the tracer. The
    /// program itself sees its environment without them.
    #[must_use]
    pub fn env(&self, preload: Option<&OsStr>) -> [(&'static str, OsString); 2] {
        let mut list = self.object.clone().into_os_string();
        if let Some(theirs) = preload {
            list.push(":");
            list.push(theirs);
        }
        [(LOG_VAR, self.log.clone().into_os_string()), (PRELOAD_VAR, list)]
    }

    /// Gives options to the C compilers that the program starts: paths that begin with the first of a pair
    /// are written with the second instead, the last pair that fits being taken. GCC's `cc1`, `cc1plus` and
    /// the GNU assembler take them (`-ffile-prefix-map`, `--debug-prefix-map`); other compilers get none.
    ///
    /// # Errors
    /// If the file beside the log cannot be written.
    pub fn map_prefixes(&self, pairs: &[(&Path, &Path)]) -> Result<(), TraceError> {
        let mut options = Vec::new();
        for (old, new) in pairs {
            for option in ["c-ffile-prefix-map=", "a--debug-prefix-map="] {
                options.extend_from_slice(option.as_bytes());
                options.extend_from_slice(old.as_os_str().as_encoded_bytes());
                options.push(b'=');
                options.extend_from_slice(new.as_os_str().as_encoded_bytes());
                options.push(0);
            }
        }
        let path = self.options();
        fs::write(&path, options).map_err(|source| TraceError::Io { path, source })
    }

    /// Where the preload object looks for options (`shim/options.rs`).
    fn options(&self) -> PathBuf {
        let mut path = self.log.clone().into_os_string();
        path.push(".options");
        path.into()
    }

    /// Sets the variables on a command. An `LD_PRELOAD` set on the command, or else inherited from this
    /// process, is kept. (A command whose environment was cleared looks like one that inherits; use
    /// [`TraceSession::env`] there.)
    pub fn apply(&self, command: &mut Command) {
        let set = command
            .get_envs()
            .find(|(name, _)| *name == PRELOAD_VAR)
            .map(|(_, v)| v.map(OsStr::to_owned));
        let preload = set.unwrap_or_else(|| std::env::var_os(PRELOAD_VAR));
        command.envs(self.env(preload.as_deref()));
    }

    /// Reads the log after the program ended (and was waited for), and removes it. Processes that it left
    /// running are among the escaped.
    ///
    /// # Errors
    /// If the tracer was not in force, or the log is incomplete or damaged in any way.
    pub fn finish(self) -> Result<Trace, TraceError> {
        let failed = |source| TraceError::Io { path: self.log.clone(), source };
        let mut file = File::open(&self.log).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if marked_lost(&meta) {
            return Err(TraceError::Lost);
        }
        if meta.len() > MAX_LOG {
            return Err(TraceError::TooLarge { size: meta.len() });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        if file.metadata().is_ok_and(|meta| marked_lost(&meta)) {
            return Err(TraceError::Lost);
        }
        let mut trace = Trace::parse(&bytes)?;
        trace.escaped.extend(processes::still_running(&trace.entries, &trace.processes));
        Ok(trace)
    }
}

impl Drop for TraceSession {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.log);
        let _ = fs::remove_file(self.options());
    }
}

/// A process that could not write changes the log's mode, which needs neither space nor a descriptor.
#[cfg(unix)]
fn marked_lost(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(meta) & 0o001 != 0
}

#[cfg(not(unix))]
fn marked_lost(_: &fs::Metadata) -> bool {
    false
}

/// What a program and all it started did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Everything that was logged, in the order it was logged.
    pub entries: Vec<Entry>,
    /// The programs that ran under the tracer, the traced one first.
    pub processes: Vec<Process>,
    /// What went on unseen. If this is not empty, the trace does not tell all inputs.
    pub escaped: Vec<Escape>,
}

impl Trace {
    /// Reads the bytes of a log.
    ///
    /// # Errors
    /// [`TraceError::NotInForce`] for a log without records; [`TraceError::Log`] for a damaged one.
    pub fn parse(log: &[u8]) -> Result<Self, TraceError> {
        let mut records = log::records(log)?;
        let mut entries = Vec::new();
        loop {
            let offset = records.offset();
            let Some(record) = records.next() else { break };
            let record = record?;
            let event = Event::from_record(&record).ok_or(LogError::Torn { offset })?;
            entries.push(Entry { pid: record.pid, event });
        }
        if !matches!(entries.first(), Some(Entry { event: Event::Started { .. }, .. })) {
            return Err(TraceError::NotInForce);
        }
        let (processes, escaped) = processes::account(&entries);
        Ok(Trace { entries, processes, escaped })
    }

    /// The events of all processes, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|entry| &entry.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, pid: u32, path: &[u8]) -> log::Record<'_> {
        log::Record { kind, detail: 0, errno: 0, arg: 0, pid, path, extra: &[] }
    }

    #[test]
    fn a_log_without_a_start_is_no_trace() {
        assert!(matches!(Trace::parse(&log::MAGIC), Err(TraceError::NotInForce)));
        let mut bytes = log::MAGIC.to_vec();
        record(log::kind::OPEN, 1, b"/x").encode(&mut bytes);
        assert!(matches!(Trace::parse(&bytes), Err(TraceError::NotInForce)));
    }

    #[test]
    fn a_record_of_an_unknown_kind_is_an_error() {
        let mut bytes = log::MAGIC.to_vec();
        record(log::kind::START, 1, b"/x").encode(&mut bytes);
        record(99, 1, b"/x").encode(&mut bytes);
        assert!(matches!(
            Trace::parse(&bytes),
            Err(TraceError::Log(LogError::Torn { offset: 42 }))
        ));
    }

    #[test]
    fn a_log_must_be_new_and_absolute() {
        let dir = tempfile::tempdir().unwrap();
        let tracer = Tracer { object: "/x.so".into() };
        assert!(matches!(tracer.session(Path::new("log")), Err(TraceError::Path { .. })));
        let log = dir.path().join("log");
        let first = tracer.session(&log).unwrap();
        assert!(matches!(tracer.session(&log), Err(TraceError::Io { .. })));
        drop(first);
        assert!(!log.exists());
    }

    #[test]
    fn a_users_preload_is_kept() {
        let session = TraceSession { object: "/t.so".into(), log: "/log".into() };
        let preload = |theirs: Option<&str>| session.env(theirs.map(OsStr::new))[1].1.clone();
        assert_eq!(preload(None), "/t.so");
        assert_eq!(preload(Some("")), "/t.so:");
        assert_eq!(preload(Some("/a.so:/b.so")), "/t.so:/a.so:/b.so");
        let mut command = Command::new("x");
        command.env(PRELOAD_VAR, "/mine.so");
        session.apply(&mut command);
        assert!(
            command
                .get_envs()
                .any(|(n, v)| n == PRELOAD_VAR && v == Some(OsStr::new("/t.so:/mine.so")))
        );
    }

    proptest! {
        #[test]
        fn any_log_is_read_without_panic(kinds in proptest::collection::vec((0u8..25, any::<u8>(), 0u32..4, 0u32..4), 0..40)) {
            let mut bytes = log::MAGIC.to_vec();
            record(log::kind::START, 1, b"/x").encode(&mut bytes);
            for (kind, detail, arg, pid) in kinds {
                log::Record { detail: detail % 8, arg, ..record(kind, pid, b"/y") }.encode(&mut bytes);
            }
            let _ = Trace::parse(&bytes);
        }
    }
}
