//! Putting a known build in place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

use cache_core::wire::RecordView;
use cache_core::{Content, Digest, Hasher, Recipe};
use futures::StreamExt;
use futures::executor::block_on;

use super::super::report::Report;
use super::super::{Engine, Mode};
use super::cargo::CargoRun;
use super::codec::Strings;
use super::entry::Entry;
use super::journal::{DIRECTORY, Journal};
use super::look::Looking;
use super::places::Places;
use super::put::{Known, Putting};
use super::under_way::UnderWay;

/// Threads that put units in place, at most: they wait for the disk or for each other's locks.
const MOST_HANDS: usize = 4;
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
        let mut looking = Looking {
            engine: self,
            cargo,
            places: Places::of(cargo),
            target: make_target(&cargo.target())?,
            locks: BTreeMap::new(),
            supply: self.supply.as_deref().filter(|_| self.options.mode == Mode::ReadWrite),
        };
        let putting = Putting { engine: self, began: began(&cargo.target())? };
        let placed = place_all(&mut looking, &putting, &units);
        let (entries, reports): (Vec<_>, Vec<_>) = placed.into_iter().unzip();
        // What cargo finds fresh is a part of this build too.
        Journal::of(&self.options.state_dir, cargo).begin(&entries);
        Some(Filled { reports })
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

/// Looks up all units, and puts in place those that were found while the next are looked up: most of the time
/// is copying. In the order of the list.
fn place_all(
    looking: &mut Looking<'_>,
    putting: &Putting<'_>,
    units: &[u8],
) -> Vec<(Entry, Report)> {
    let hands = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_HANDS);
    let under_way = UnderWay::default();
    let (give, given) = mpsc::channel::<(usize, Known<'_>)>();
    let given = Mutex::new(given);
    let placed = Mutex::new(BTreeMap::new());
    let work = || {
        let next = || given.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok((number, known)) = next() {
            if let Some(done) = putting.put(known) {
                placed.lock().unwrap_or_else(PoisonError::into_inner).insert(number, done);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..hands {
            scope.spawn(work);
        }
        let mut strings = Strings(units);
        for number in 0.. {
            let Some(unit) = strings.next() else { break };
            if let Some(known) = looking.unit(unit, &under_way) {
                // Somebody listens as long as this goes on.
                let _ = give.send((number, known));
            }
        }
        drop(give);
    });
    placed.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
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
