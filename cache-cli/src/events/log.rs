//! Writing and reading one log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Event, VERSION, fold, now_us};

/// A log of this length is closed: some ten thousand events.
const FULL: u64 = 4 << 20;

/// The events' directory below a store or state directory.
pub(super) fn dir(home: &Path) -> PathBuf {
    home.join("events-v1")
}

/// The log that is written.
pub(super) fn open_log(dir: &Path) -> PathBuf {
    dir.join("log.jsonl")
}

/// Adds an event to the log below `home`.
///
/// # Errors
/// What the system says; nothing else depends on it.
pub(crate) fn append(home: &Path, event: &Event) -> io::Result<()> {
    append_until(home, event, FULL)
}

/// [`append`] with another length at which a log is full.
pub(super) fn append_until(home: &Path, event: &Event, full: u64) -> io::Result<()> {
    let dir = dir(home);
    let path = open_log(&dir);
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut file = match open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(&dir)?;
            open(&path)?
        }
        other => other?,
    };
    file.write_all(&line)?;
    if file.metadata()?.len() >= full {
        close(&dir, &path)?;
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Closes the log by renaming it. Whoever still has it open writes a last line into the closed
/// one, which is read like any other; only logs closed some time ago are folded.
fn close(dir: &Path, path: &Path) -> io::Result<()> {
    fs::rename(path, dir.join(format!("log-{:017}-{}.jsonl", now_us(), std::process::id())))?;
    fold::fold(dir);
    Ok(())
}

/// The closed logs, oldest first.
pub(super) fn closed(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut logs: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("log-") && name.ends_with(".jsonl")
        })
        .collect();
    logs.sort();
    logs
}

/// Calls `each` with every event of a log; gives the number of lines that could not be read.
pub(super) fn read(path: &Path, each: &mut dyn FnMut(Event)) -> io::Result<u64> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut torn = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (event, damaged) = parse(line);
        torn += u64::from(damaged);
        if let Some(event) = event.filter(|event| event.v == VERSION) {
            each(event);
        }
    }
    Ok(torn)
}

/// A line's event, and whether something of the line was lost. A torn write has no line end, so a
/// whole event may follow it.
fn parse(line: &[u8]) -> (Option<Event>, bool) {
    if let Ok(event) = serde_json::from_slice(line) {
        return (Some(event), false);
    }
    let start: &[u8] = b"{\"v\":";
    let last = line.windows(start.len()).rposition(|window| window == start).filter(|at| *at > 0);
    (last.and_then(|at| serde_json::from_slice(&line[at..]).ok()), true)
}
