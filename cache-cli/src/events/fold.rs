//! Many logs as one history, and old logs folded into their sums.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::log::{closed, dir, open_log, read};
use super::{Event, Totals, VERSION, now_us};

/// How many closed logs are kept whole.
const KEPT_LOGS: usize = 3;
/// How many events of each unit outlive their log.
const KEPT_PER_UNIT: usize = 3;
/// How many events outlive their logs at all.
const KEPT: usize = 8000;

/// The sums of older logs. Written whole under a temporary name and renamed; the name of the last
/// folded log in it is what makes folding happen exactly once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Folded {
    v: u32,
    /// Name of the last log that is in the sums; it and all older ones are to be ignored.
    through: String,
    /// Events before this, in microseconds since the epoch, are not counted.
    zeroed_at: u64,
    /// The first event that was counted.
    since: u64,
    totals: Totals,
    /// Each unit's last events, oldest first.
    recent: Vec<Event>,
}

/// All events of a home, as sums and one by one.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Sums since the counters were last set to zero.
    pub(crate) totals: Totals,
    /// When the first counted event was, in microseconds since the epoch; 0: there is none.
    pub(crate) since: u64,
    /// The events themselves as far as they are kept, oldest first.
    pub(crate) events: Vec<Event>,
    /// Lines that could not be read.
    pub(crate) torn: u64,
}

impl History {
    /// Reads the events below `home`.
    pub(crate) fn read(home: &Path) -> Self {
        let dir = dir(home);
        // A log that is closed between listing and reading would be missed: then all is read anew.
        for _ in 0..4 {
            let before = closed(&dir);
            let history = Self::read_once(&dir, &before);
            if closed(&dir) == before {
                return history;
            }
        }
        Self::read_once(&dir, &closed(&dir))
    }

    fn read_once(dir: &Path, closed: &[PathBuf]) -> Self {
        let folded = load(dir);
        let mut history =
            Self { totals: folded.totals, since: folded.since, events: folded.recent, torn: 0 };
        let logs = closed.iter().filter(|log| name(log) > folded.through);
        for log in logs.chain([&open_log(dir)]) {
            let History { totals, since, events, .. } = &mut history;
            let mut each = |event: Event| {
                add(totals, since, &event, folded.zeroed_at);
                events.push(event);
            };
            history.torn += read(log, &mut each).unwrap_or(1);
        }
        history.events.sort_by_key(|event| event.at);
        history
    }
}

/// Counts an event, unless it was before the counters were set to zero.
fn add(totals: &mut Totals, since: &mut u64, event: &Event, zeroed_at: u64) {
    if event.at >= zeroed_at {
        totals.add(event);
        if *since == 0 {
            *since = event.at;
        }
    }
}

/// Sets the counters to zero. What `why` needs is kept.
///
/// # Errors
/// When the directory cannot be written.
pub(crate) fn zero(home: &Path) -> io::Result<()> {
    let dir = dir(home);
    fs::create_dir_all(&dir)?;
    let _lock = lock(&dir, FlockOperation::LockExclusive)?;
    let folded = Folded { totals: Totals::default(), zeroed_at: now_us(), since: 0, ..load(&dir) };
    save(&dir, &folded)
}

/// Folds all closed logs but the newest few. Another process' folding, or any trouble, leaves
/// everything as it is.
pub(super) fn fold(dir: &Path) {
    let Ok(_lock) = lock(dir, FlockOperation::NonBlockingLockExclusive) else { return };
    let mut folded = load(dir);
    let logs = closed(dir);
    let old = &logs[..logs.len().saturating_sub(KEPT_LOGS)];
    let Some(last) = old.last() else { return };
    let mut events = std::mem::take(&mut folded.recent);
    let counted = events.len();
    for log in old.iter().filter(|log| name(log) > folded.through) {
        if read(log, &mut |event| events.push(event)).is_err() {
            return;
        }
    }
    for event in &events[counted..] {
        add(&mut folded.totals, &mut folded.since, event, folded.zeroed_at);
    }
    folded.recent = recent(events);
    folded.through = name(last);
    if save(dir, &folded).is_ok() {
        for log in old {
            let _ = fs::remove_file(log);
        }
    }
}

/// The last events of each unit, in order.
fn recent(events: Vec<Event>) -> Vec<Event> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Event> = events
        .into_iter()
        .rev()
        .filter(|event| {
            let count = seen.entry(event.unit.clone()).or_default();
            *count += 1;
            event.is_unit() && *count <= KEPT_PER_UNIT
        })
        .take(KEPT)
        .collect();
    kept.reverse();
    kept
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn load(dir: &Path) -> Folded {
    let folded = fs::read(dir.join("folded.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Folded>(&bytes).ok());
    folded.filter(|folded| folded.v == VERSION).unwrap_or_default()
}

fn save(dir: &Path, folded: &Folded) -> io::Result<()> {
    let folded = Folded { v: VERSION, ..folded.clone() };
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&serde_json::to_vec(&folded)?)?;
    file.persist(dir.join("folded.json")).map_err(|error| error.error)?;
    Ok(())
}

fn lock(dir: &Path, how: FlockOperation) -> io::Result<File> {
    let path = dir.join("fold.lock");
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    flock(&file, how)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::log::append_until;
    use super::super::{Did, append};
    use super::*;

    fn event(unit: &str, did: Did) -> Event {
        Event {
            v: VERSION,
            at: now_us(),
            crate_name: unit.into(),
            unit: unit.into(),
            kind: "lib".into(),
            did,
            why: if did == Did::Miss { "new".into() } else { String::new() },
            linked: 10,
            ..Event::default()
        }
    }

    #[test]
    fn sums_are_the_same_however_logs_are_closed_and_folded() {
        let home = tempfile::tempdir().expect("temp dir");
        for n in 0..100 {
            let did = if n % 4 == 0 { Did::Miss } else { Did::Hit };
            append_until(home.path(), &event(&format!("u{}", n % 7), did), 900).expect("append");
        }
        let logs = closed(&dir(home.path()));
        assert_eq!(logs.len(), KEPT_LOGS, "older logs are folded away");
        let history = History::read(home.path());
        assert_eq!(history.totals.hits["lib"], 75);
        assert_eq!(history.totals.misses["new"], 25);
        assert_eq!(history.totals.linked_bytes, 1000);
        assert_eq!(history.torn, 0);
        for n in 0..7 {
            let unit = format!("u{n}");
            assert!(history.events.iter().filter(|event| event.unit == unit).count() >= 3);
        }
    }

    #[test]
    fn zero_forgets_the_sums_and_keeps_the_events() {
        let home = tempfile::tempdir().expect("temp dir");
        for _ in 0..20 {
            append_until(home.path(), &event("old", Did::Hit), 400).expect("append");
        }
        zero(home.path()).expect("zero");
        append(home.path(), &event("new", Did::Miss)).expect("append");
        let history = History::read(home.path());
        assert_eq!(history.totals.hits, super::super::Counts::new());
        assert_eq!(history.totals.misses["new"], 1);
        assert!(history.events.iter().any(|event| event.unit == "old"));
        // Folding afterwards does not count again what was before.
        for _ in 0..20 {
            append_until(home.path(), &event("new", Did::Miss), 400).expect("append");
        }
        let history = History::read(home.path());
        assert_eq!(history.totals.hits, super::super::Counts::new());
        assert_eq!(history.totals.misses["new"], 21);
    }

    #[test]
    fn torn_lines_and_later_versions_are_skipped() {
        let home = tempfile::tempdir().expect("temp dir");
        append(home.path(), &event("a", Did::Hit)).expect("append");
        let log = open_log(&dir(home.path()));
        let mut text = fs::read_to_string(&log).expect("read");
        let torn = text[..40].to_owned();
        text.push_str(&torn);
        fs::write(&log, text).expect("write");
        append(home.path(), &event("b", Did::Hit)).expect("append");
        append(home.path(), &Event { v: VERSION + 1, ..event("c", Did::Hit) }).expect("append");
        let history = History::read(home.path());
        let units: Vec<_> = history.events.iter().map(|event| event.unit.as_str()).collect();
        assert_eq!((units, history.torn), (vec!["a", "b"], 1));
        assert_eq!(history.totals.hits["lib"], 2);
    }
}
