//! Putting one unit in place that was looked up.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::super::Engine;
use super::super::lookup::Hit;
use super::super::report::{Laps, Report, Served};
use super::super::script::{self, ScriptRun};
use super::super::streams::{Sink, is_artifact};
use super::super::unit::Unit;
use super::entry::Entry;
use super::under_way::Placing;

/// Cargo reads what it is to show from its own files; a unit that says something is left to it.
struct Silence;

impl Sink for Silence {
    fn stdout(&self, _: &[u8]) {}
    fn stderr(&self, _: &[u8]) {}
}

/// What is put in place.
pub(super) enum What {
    Compile(Box<Unit>),
    Run(Box<ScriptRun>),
}

/// A unit that was looked up.
pub(super) struct Known<'s> {
    pub(super) what: What,
    pub(super) hit: Box<Hit>,
    pub(super) entry: Entry,
    pub(super) report: Report,
    /// cargo's directory of the unit, and its own files in it: names and contents in turn.
    pub(super) dir: PathBuf,
    pub(super) files: Vec<&'s [u8]>,
    /// Until it is in place.
    pub(super) placing: Placing<'s>,
}

/// Where units are put.
pub(super) struct Putting<'e> {
    pub(super) engine: &'e Engine,
    /// cargo compares what it depends on with this time: whatever is changed from now on is newer.
    pub(super) began: SystemTime,
}

impl Putting<'_> {
    /// Puts a unit in place. `None` when it is left to cargo.
    pub(super) fn put(&self, known: Known<'_>) -> Option<(Entry, Report)> {
        let Known { what, hit, entry, mut report, dir, files, placing } = known;
        let mut laps = Laps::start();
        match &what {
            What::Compile(unit) => self.compile(unit, &hit, &mut report),
            What::Run(run) => self.run(run, &hit, &mut report),
        }?;
        self.write(&dir, files.chunks_exact(2).map(|pair| (OsStr::from_bytes(pair[0]), pair[1])))?;
        report.spans.restore_us = laps.lap();
        report.spans.total_us += laps.total();
        drop(placing);
        Some((entry.marked(true), report))
    }

    fn compile(&self, unit: &Unit, hit: &Hit, report: &mut Report) -> Option<()> {
        let stderr = hit.outcome.stderr.expand(&unit.place.roots, <[u8]>::to_vec)?;
        let silent = stderr.split_inclusive(|b| *b == b'\n').all(is_artifact);
        if !silent || !hit.outcome.stdout.segments.is_empty() {
            return None;
        }
        for output in &unit.outputs {
            fs::create_dir_all(output.path.parent()?).ok()?;
        }
        self.engine.restore(unit, hit, &Silence, report).ok()?;
        unit.outputs.iter().try_for_each(|output| self.backdate(&output.path))
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

    fn run(&self, run: &ScriptRun, hit: &Hit, report: &mut Report) -> Option<()> {
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

fn timespec(time: SystemTime) -> Option<Timespec> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timespec {
        tv_sec: i64::try_from(since.as_secs()).ok()?,
        tv_nsec: i64::from(since.subsec_nanos()),
    })
}
