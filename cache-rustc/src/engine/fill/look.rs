//! Looking up the units of a known build.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use cache_core::Digest;
use futures::executor::block_on;

use super::super::Engine;
use super::super::lookup::{self, Found, Hit};
use super::super::report::{Laps, Report};
use super::super::script::ScriptRun;
use super::super::supply::{Supply, wait_patiently};
use super::super::unit::{Prepared, Unit};
use super::cargo::CargoRun;
use super::codec::Strings;
use super::entry::Entry;
use super::journal::Start;
use super::places::Places;
use super::put::{Known, What};
use super::under_way::{Mark, UnderWay};

/// Who looks units up, one after the other, in the order in which cargo started them.
pub(super) struct Looking<'e> {
    pub(super) engine: &'e Engine,
    pub(super) cargo: &'e CargoRun,
    pub(super) places: Places,
    pub(super) target: PathBuf,
    /// cargo's locks of the profiles' directories.
    pub(super) locks: BTreeMap<PathBuf, Option<File>>,
    /// Who is asked for what the store does not have; nobody any more once that was too slow.
    pub(super) supply: Option<&'e dyn Supply>,
}

impl Looking<'_> {
    /// Looks one unit up, after what it needs is in place. `None` when it is left to cargo.
    pub(super) fn unit<'s>(
        &mut self,
        bytes: &'s [u8],
        under_way: &'s UnderWay,
    ) -> Option<Known<'s>> {
        let mut strings = Strings(bytes);
        let places = &self.places;
        let entry = Entry::decode(strings.next()?, &|text| places.into(text))?;
        let dir = self.target.join(OsStr::from_bytes(strings.next()?));
        let files = strings.list()?;
        if !self.is_inside(&dir) {
            return None;
        }
        let profile = dir.parent()?.parent()?.to_path_buf();
        if !self.holds(&profile) || !self.is_worth_it(&entry) {
            return None;
        }
        let start = entry.start_from(self.cargo);
        under_way.wait_for(&start);
        let mut laps = Laps::start();
        let mut report = Report { outcome: Some(entry.outcome), ..Report::default() };
        let (what, mark, hit) = match start {
            Start::Compile(request) => match self.engine.prepare(&request) {
                Prepared::Unit(unit) => {
                    let hit = self.compile(&unit, &entry.outcome, &mut laps, &mut report)?;
                    let mark = Mark::of_compile(&unit);
                    (What::Compile(unit), mark, hit)
                }
                Prepared::Through(_) => return None,
            },
            Start::Script(request) => {
                let run = self.engine.prepare_script(&request).ok()?;
                let hit = self.script(&run, &entry.outcome, &mut laps, &mut report)?;
                let mark = Mark::of_run(&run);
                (What::Run(run), mark, hit)
            }
        };
        report.spans.check_us = laps.lap();
        report.spans.total_us = laps.total();
        Some(Known { what, hit, entry, report, dir, files, placing: under_way.begin(mark) })
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
    ) -> Option<Box<Hit>> {
        if !unit.outputs.iter().all(|output| self.is_inside(&output.path)) {
            return None;
        }
        unit.describe(report);
        report.spans.key_us = laps.lap();
        as_recorded(lookup::look_up(unit, self.engine.blobs()), wanted)
    }

    fn script(
        &self,
        run: &ScriptRun,
        wanted: &Digest,
        laps: &mut Laps,
        report: &mut Report,
    ) -> Option<Box<Hit>> {
        if !self.is_inside(&run.out_dir) {
            return None;
        }
        // cargo makes it before it starts a script, and that it is empty may count.
        fs::create_dir_all(&run.out_dir).ok()?;
        run.describe(report);
        report.spans.key_us = laps.lap();
        as_recorded(lookup::look_up(run, self.engine.blobs()), wanted)
    }

    /// Whether a path lies in the target directory, whatever a snapshot says.
    fn is_inside(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.target);
        below.is_ok_and(|below| below.components().all(|part| matches!(part, Component::Normal(_))))
    }
}

fn as_recorded(found: Found, wanted: &Digest) -> Option<Box<Hit>> {
    match found {
        Found::Hit(hit) => (hit.outcome.digest() == *wanted).then_some(hit),
        Found::Miss(_) => None,
    }
}
