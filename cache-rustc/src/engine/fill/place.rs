//! Putting a known build in place.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use cache_core::wire::RecordView;
use cache_core::{Content, Digest, Hasher, Recipe};
use futures::StreamExt;
use futures::executor::block_on;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::super::lookup::{self, Found, Hit};
use super::super::report::{Laps, Report, Served};
use super::super::script::{self, ScriptRun};
use super::super::streams::{Sink, is_artifact};
use super::super::supply::{Supply, wait_patiently};
use super::super::unit::{Prepared, Unit};
use super::super::{Engine, Mode};
use super::cargo::CargoRun;
use super::codec::Strings;
use super::entry::Entry;
use super::journal::{DIRECTORY, Journal, Start};
use super::places::Places;

/// The longest list of units that is read, in bytes.
const MAX_UNITS: u64 = 256 << 20;

/// What cargo writes into a target directory that it makes (`paths::create_dir_all_excluded_from_backups_atomic`).
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This file is a cache directory tag created by cargo.\n\
# For information about cache directory tags see https://bford.info/cachedir/\n";

/// What was put in place.
#[derive(Debug, Default)]
pub struct Filled {
    /// A report for each unit.
    pub reports: Vec<Report>,
}

/// Cargo reads what it is to show from its own files; a unit that says something is left to it.
struct Silence;

impl Sink for Silence {
    fn stdout(&self, _: &[u8]) {}
    fn stderr(&self, _: &[u8]) {}
}

impl Engine {
    /// Puts in place what is known of the build that `cargo` begins, if it is a first one: nothing has
    /// been built in the workspace yet. `None` where nothing was done.
    #[must_use]
    pub fn fill(&self, cargo: &CargoRun) -> Option<Filled> {
        if self.options.mode == Mode::Refresh || !is_fresh(&cargo.target()) {
            return None;
        }
        let units = self.known_units(cargo)?;
        let _one_at_a_time = self.lock_for(&cargo.target())?;
        if !is_fresh(&cargo.target()) {
            return None;
        }
        let mut filling = Filling {
            engine: self,
            cargo,
            places: Places::of(cargo),
            target: make_target(&cargo.target())?,
            // cargo compares what it depends on with this time: whatever is changed from now on is newer.
            began: began(&cargo.target())?,
            locks: BTreeMap::new(),
            supply: self.supply.as_deref().filter(|_| self.options.mode == Mode::ReadWrite),
        };
        let mut filled = Filled::default();
        let mut entries = Vec::new();
        let mut strings = Strings(&units);
        while let Some(unit) = strings.next() {
            if let Some((entry, report)) = filling.unit(unit) {
                entries.push(entry);
                filled.reports.push(report);
            }
        }
        // What cargo finds fresh is a part of this build too.
        Journal::of(&self.options.state_dir, cargo).begin(&entries);
        Some(filled)
    }

    /// The snapshot of the build; from the supply where the store has none.
    fn known_units(&self, cargo: &CargoRun) -> Option<Vec<u8>> {
        let keys = cargo.keys(&self.options.state_dir)?;
        let known = self.snapshot_of(&keys.exact);
        if known.is_some() || self.options.mode != Mode::ReadWrite {
            return known;
        }
        let supply = self.supply.as_ref()?;
        let brought = supply.bring_build(&keys.exact.key(), &keys.near);
        brought.then(|| self.snapshot_of(&keys.exact))?
    }

    fn snapshot_of(&self, recipe: &Recipe) -> Option<Vec<u8>> {
        let _pin = self.store.files().and_then(|files| files.pin(&recipe.key()).ok().flatten());
        let stored = block_on(self.store.get_record(&recipe.key())).ok()??;
        let record = RecordView::parse(&stored.bytes).ok().filter(|record| record.is_of(recipe))?;
        let outcome = record.entries().first()?.outcome().ok()?;
        let Content::Blob { digest, size } = outcome.outputs.first()?.content else { return None };
        if size > MAX_UNITS {
            return None;
        }
        let mut units = Vec::new();
        let mut pieces = block_on(self.store.read_blob(&digest)).ok()?;
        let mut hasher = Hasher::blob();
        while let Some(piece) = block_on(pieces.next()) {
            let piece = piece.ok()?;
            hasher.update(&piece);
            units.extend_from_slice(&piece);
            if units.len() as u64 > size {
                return None;
            }
        }
        (hasher.finish() == digest).then_some(units)
    }

    /// Of several cargos that begin in one workspace, one fills, and the others wait for it.
    fn lock_for(&self, target: &Path) -> Option<File> {
        let file = self.lock_file(target, "lock")?;
        file.lock().ok()?;
        Some(file)
    }

    /// A file to be locked for what is done to a target directory.
    pub(super) fn lock_file(&self, target: &Path, what: &str) -> Option<File> {
        let dir = self.options.state_dir.join(DIRECTORY);
        fs::create_dir_all(&dir).ok()?;
        let name = format!("{}.{what}", Digest::of(target.as_os_str().as_bytes()).to_hex());
        File::options().create(true).append(true).open(dir.join(name)).ok()
    }
}

/// Whether nothing has been built in a target directory.
fn is_fresh(target: &Path) -> bool {
    let Ok(entries) = fs::read_dir(target) else { return true };
    entries.flatten().all(|entry| {
        let name = entry.file_name();
        name == "CACHEDIR.TAG" || name == ".rustc_info.json"
    })
}

fn make_target(target: &Path) -> Option<PathBuf> {
    match fs::create_dir(target) {
        Ok(()) => fs::write(target.join("CACHEDIR.TAG"), CACHEDIR_TAG).ok()?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(_) => return None,
    }
    Some(target.to_path_buf())
}

/// The longest tick of the clock that stamps files (jiffies at 100 Hz).
const TICK: Duration = Duration::from_millis(10);

/// The time on the file system's clock, less a tick: a file that is changed in the same tick, after its
/// content was checked, must be newer.
fn began(target: &Path) -> Option<SystemTime> {
    let marker = target.join(".larder-began");
    let file = File::create(&marker).ok()?;
    let now = file.metadata().ok()?.modified().ok();
    let _ = fs::remove_file(&marker);
    now?.checked_sub(TICK)
}

struct Filling<'e> {
    engine: &'e Engine,
    cargo: &'e CargoRun,
    places: Places,
    target: PathBuf,
    began: SystemTime,
    /// cargo's locks of the profiles' directories.
    locks: BTreeMap<PathBuf, Option<File>>,
    /// Who is asked for what the store does not have; nobody any more once that was too slow.
    supply: Option<&'e dyn Supply>,
}

impl Filling<'_> {
    /// Puts one unit in place. `None` when it is left to cargo.
    fn unit(&mut self, bytes: &[u8]) -> Option<(Entry, Report)> {
        let mut strings = Strings(bytes);
        let places = &self.places;
        let entry = Entry::decode(strings.next()?, &|text| places.into(text))?;
        let dir = self.target.join(OsStr::from_bytes(strings.next()?));
        let files = strings.list()?;
        if !self.is_inside(&dir) {
            return None;
        }
        let profile = dir.parent()?.parent()?.to_path_buf();
        if !self.holds(&profile) {
            return None;
        }
        let mut laps = Laps::start();
        let mut report = Report { outcome: Some(entry.outcome), ..Report::default() };
        if !self.is_worth_it(&entry) {
            return None;
        }
        let done = match entry.start_from(self.cargo) {
            Start::Compile(request) => match self.engine.prepare(&request) {
                Prepared::Unit(unit) => self.compile(&unit, &entry.outcome, &mut laps, &mut report),
                Prepared::Through(_) => None,
            },
            Start::Script(request) => {
                let run = self.engine.prepare_script(&request).ok()?;
                self.script(&run, &entry.outcome, &mut laps, &mut report)
            }
        };
        done?;
        self.write(&dir, files.chunks_exact(2).map(|pair| (OsStr::from_bytes(pair[0]), pair[1])))?;
        report.spans.restore_us = laps.lap();
        report.spans.total_us = laps.total();
        Some((entry.marked(true), report))
    }

    /// Whether it is worth looking a unit up: where there is a supply, it is asked first to bring what the
    /// store does not have.
    fn is_worth_it(&mut self, entry: &Entry) -> bool {
        let Some(supply) = self.supply else { return true };
        let store = &self.engine.store;
        let is_there = || matches!(block_on(store.get_record(&entry.key)), Ok(Some(_)));
        if is_there() {
            return true;
        }
        let Some(mut coming) = supply.bring(&entry.key) else { return false };
        // Which it will be is known; whether it holds is checked when it is here.
        let came = wait_patiently(&mut *coming, &|_| Some(entry.outcome));
        if came.is_none() {
            // cargo goes on by itself: units are asked for again as it starts them.
            self.supply = None;
        }
        came == Some(true)
    }

    /// Whether this process has cargo's lock of a profile's directory.
    fn holds(&mut self, profile: &Path) -> bool {
        let lock = self.locks.entry(profile.to_path_buf()).or_insert_with(|| {
            fs::create_dir_all(profile).ok()?;
            let file =
                File::options().create(true).append(true).open(profile.join(".cargo-lock")).ok()?;
            file.try_lock().is_ok().then_some(file)
        });
        lock.is_some()
    }

    fn compile(
        &self,
        unit: &Unit,
        wanted: &Digest,
        laps: &mut Laps,
        report: &mut Report,
    ) -> Option<()> {
        if !unit.outputs.iter().all(|output| self.is_inside(&output.path)) {
            return None;
        }
        unit.describe(report);
        report.spans.key_us = laps.lap();
        let hit = as_recorded(lookup::look_up(unit, self.engine.blobs()), wanted)?;
        report.spans.check_us = laps.lap();
        let stderr = hit.outcome.stderr.expand(&unit.place.roots, <[u8]>::to_vec)?;
        let silent = stderr.split_inclusive(|b| *b == b'\n').all(is_artifact);
        if !silent || !hit.outcome.stdout.segments.is_empty() {
            return None;
        }
        for output in &unit.outputs {
            fs::create_dir_all(output.path.parent()?).ok()?;
        }
        self.engine.restore(unit, &hit, &Silence, report).ok()?;
        unit.outputs.iter().try_for_each(|output| self.backdate(&output.path))
    }

    /// Whether a path lies in the target directory, whatever a snapshot says.
    fn is_inside(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.target);
        below.is_ok_and(|below| below.components().all(|part| matches!(part, Component::Normal(_))))
    }

    /// Makes an output as old as the beginning: cargo wants no unit to be older than what it is made of,
    /// and a run's `output` file, which it compares with the run's inputs, is a part of that. A library
    /// that shares the store's inode is older anyway.
    fn backdate(&self, path: &Path) -> Option<()> {
        let meta = fs::symlink_metadata(path).ok()?;
        let shared = meta.nlink() > 1 && meta.mode() & 0o222 == 0;
        if shared {
            return Some(());
        }
        let times = Timestamps {
            last_access: timespec(self.began)?,
            last_modification: timespec(self.began)?,
        };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    fn script(
        &self,
        run: &ScriptRun,
        wanted: &Digest,
        laps: &mut Laps,
        report: &mut Report,
    ) -> Option<()> {
        if !self.is_inside(&run.out_dir) {
            return None;
        }
        // cargo makes it before it starts a script, and that it is empty may count.
        fs::create_dir_all(&run.out_dir).ok()?;
        run.describe(report);
        report.spans.key_us = laps.lap();
        let hit = as_recorded(lookup::look_up(run, self.engine.blobs()), wanted)?;
        report.spans.check_us = laps.lap();
        let restored = script::restore(run, &hit.outcome, self.engine.blobs(), &Silence).ok()?;
        // What includes one of them is as old as the beginning, too.
        let placed = hit.outcome.outputs.iter().filter_map(|output| run.place.expand(&output.path));
        placed.into_iter().try_for_each(|path| self.backdate(&path))?;
        report.linked_bytes = restored.linked_bytes;
        report.copied_bytes = restored.copied_bytes;
        report.served = Served::Hit { saved_us: hit.outcome.cost_us };
        let said = |text: &cache_core::TextTemplate| text.expand(&run.place.roots, <[u8]>::to_vec);
        let (stdout, stderr) = (said(&hit.outcome.stdout)?, said(&hit.outcome.stderr)?);
        // What cargo writes down of a run (cargo's `custom_build::build_work`).
        let files = [
            ("invoked.timestamp", &b"This file has an mtime of when this was started."[..]),
            ("output", &stdout),
            ("stderr", &stderr),
            ("root-output", run.out_dir.as_os_str().as_bytes()),
        ];
        let files = files.into_iter().map(|(name, content)| (OsStr::new(name), content));
        self.write(run.out_dir.parent()?, files)
    }

    /// Writes cargo's own files, as old as the beginning.
    fn write<'f>(
        &self,
        dir: &Path,
        files: impl Iterator<Item = (&'f OsStr, &'f [u8])>,
    ) -> Option<()> {
        fs::create_dir_all(dir).ok()?;
        for (name, content) in files {
            if Path::new(name).components().count() != 1 || name == ".." {
                return None;
            }
            let mut file = File::create(dir.join(name)).ok()?;
            file.write_all(content).and_then(|()| file.set_modified(self.began)).ok()?;
        }
        Some(())
    }
}

fn as_recorded(found: Found, wanted: &Digest) -> Option<Box<Hit>> {
    match found {
        Found::Hit(hit) => (hit.outcome.digest() == *wanted).then_some(hit),
        Found::Miss(_) => None,
    }
}

fn timespec(time: SystemTime) -> Option<Timespec> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timespec {
        tv_sec: i64::try_from(since.as_secs()).ok()?,
        tv_nsec: i64::from(since.subsec_nanos()),
    })
}
