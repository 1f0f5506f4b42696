//! Leftovers: unfinished writes of killed processes, old quarantine, retired records, lock files
//! of actions long done.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache_core::RecipeKey;

use super::DiskStore;
use super::lock::Lock;
use super::records::list;

/// Between making a staged file and locking it, its writer does nothing else.
const UNLOCKED: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

impl DiskStore {
    /// Removes leftovers and gives how many. What cannot be removed stays for another time.
    pub(super) fn sweep_leftovers(&self) -> u64 {
        let now = SystemTime::now();
        self.sweep(&self.layout.staging(), |_, path| {
            let age = age(path, now);
            age > DAY || (age > UNLOCKED && is_unlocked(path))
        }) + self.sweep(&self.layout.flights(), |_, path| age(path, now) > DAY && is_unlocked(path))
            + self.sweep(&self.layout.quarantine(), |name, _| {
                set_aside_at(name)
                    .is_none_or(|at| now.duration_since(at).is_ok_and(|age| age > WEEK))
            })
            + self.sweep(&self.layout.retired(), |name, _| {
                let key = name.split('.').next().and_then(|hex| hex.parse().ok());
                key.is_none_or(|key| {
                    matches!(Lock::Pin(&RecipeKey(key)).try_exclusive(&self.layout), Ok(Some(_)))
                })
            })
    }

    fn sweep(&self, dir: &Path, is_left: impl Fn(&str, &Path) -> bool) -> u64 {
        let mut swept = 0;
        for (name, path) in list(dir).unwrap_or_default() {
            if is_left(&name, &path) {
                let removed = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
                swept += u64::from(removed.is_ok());
            }
        }
        swept
    }
}

/// Time since the last write; none for files from the future.
fn age(path: &Path, now: SystemTime) -> Duration {
    let modified = fs::symlink_metadata(path).and_then(|meta| meta.modified());
    modified.ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default()
}

/// Whether no living process has it locked.
fn is_unlocked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// When a thing was set aside: the seconds that its name begins with.
fn set_aside_at(name: &str) -> Option<SystemTime> {
    let seconds = name.split('-').next()?.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
