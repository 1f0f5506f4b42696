//! Where things lie below a store's top directory.
//!
//! ```text
//! CACHEDIR.TAG                 tells backup programs to leave the tree out
//! blobs-v1/ab/<62 hex>         blobs by digest, 0444 or 0555
//! records-v1/ab/<62 hex>       records by recipe key
//! retired-v1/<key>.<unique>    replaced records that a reader still has pinned
//! memo-v1                      the digest memo
//! usage-v1                     the usage counter
//! locks-v1/…                   files for flock(2); always empty
//! flights-v1/…                 lock files of actions in flight, made by the engine
//! tmp-v1/…                     files being written
//! quarantine-v1/…              damaged or foreign things that were set aside
//! ```
//!
//! Each bucket has its version in its name: a change of format takes a new name, and programs of
//! both versions go on side by side. Nothing outside these names is ever touched, so a store
//! pointed at a directory with other things in it does no harm there.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache_core::{Digest, RecipeKey};

/// <https://bford.info/cachedir/>
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
# This directory holds a compile cache and can be removed at any time.\n\
# For information about cache directory tags, see: https://bford.info/cachedir/\n";

/// The paths of one store.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs-v1")
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.sharded("blobs-v1", digest)
    }

    pub(super) fn records(&self) -> PathBuf {
        self.root.join("records-v1")
    }

    pub(super) fn record(&self, key: &RecipeKey) -> PathBuf {
        self.sharded("records-v1", &key.0)
    }

    pub(super) fn retired(&self) -> PathBuf {
        self.root.join("retired-v1")
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.root.join("locks-v1")
    }

    pub(super) fn flights(&self) -> PathBuf {
        self.root.join("flights-v1")
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("tmp-v1")
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine-v1")
    }

    pub(super) fn memo(&self) -> PathBuf {
        self.root.join("memo-v1")
    }

    pub(super) fn usage(&self) -> PathBuf {
        self.root.join("usage-v1")
    }

    fn sharded(&self, bucket: &str, digest: &Digest) -> PathBuf {
        let hex = digest.to_hex();
        let (shard, rest) = hex.split_at(2);
        let mut path = OsString::with_capacity(self.root.as_os_str().len() + 80);
        path.push(&self.root);
        for part in [bucket, shard, rest] {
            path.push("/");
            path.push(part);
        }
        PathBuf::from(path)
    }

    /// Runs `act`, which makes something at `path`. Where it fails because a directory above is
    /// missing or is no directory, makes the directories and tries once more. So nothing is made
    /// before it is needed, and the usual case costs no check.
    pub(super) fn making<T>(
        &self,
        path: &Path,
        mut act: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        match act() {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.make_parents(path)?;
                act()
            }
            other => other,
        }
    }

    fn make_parents(&self, path: &Path) -> io::Result<()> {
        if !self.root.is_dir() {
            fs::create_dir_all(&self.root)?;
        }
        let tag = self.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // Written in one call of a few bytes; a torn tag is still only a hint for backups.
            fs::write(&tag, TAG)?;
        }
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let mut at = self.root.clone();
        for part in below.parent().into_iter().flat_map(Path::components) {
            at.push(part);
            self.make_dir(&at)?;
        }
        Ok(())
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                if path == self.quarantine() {
                    fs::remove_file(path)?;
                } else {
                    self.set_aside(path)?;
                }
                match fs::create_dir(path) {
                    Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// Moves a damaged or foreign thing to the quarantine, under a name that says where it was.
    pub(super) fn set_aside(&self, path: &Path) -> io::Result<()> {
        // The seconds are read by the sweep: renaming keeps a file's mtime.
        let mut name = OsString::from(format!("{}-{}", since_epoch().as_secs(), unique()));
        for part in path.strip_prefix(&self.root).unwrap_or(path) {
            name.push(".");
            name.push(part);
        }
        let to = self.quarantine().join(name);
        self.making(&to, || fs::rename(path, &to))
    }

    /// Renames onto `to`, setting aside a directory that is in the way.
    pub(super) fn rename_onto(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.making(to, || fs::rename(from, to)) {
            Err(_) if fs::symlink_metadata(to).is_ok_and(|meta| meta.is_dir()) => {
                self.set_aside(to)?;
                fs::rename(from, to)
            }
            other => other,
        }
    }
}

/// A file name that no other process, thread or call uses. Process numbers repeat across
/// containers and boots, hence the clock; makers still insist on `O_EXCL`.
pub(super) fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let nanos = since_epoch().as_nanos();
    format!("{:x}-{nanos:x}-{count:x}", std::process::id())
}

/// Time since 1970 by this machine's clock.
pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The digest that a sharded path `<shard>/<rest>` names; `None` for foreign files.
pub(super) fn digest_of(shard: &str, rest: &str) -> Option<Digest> {
    if shard.len() != 2 || rest.len() != 62 {
        return None;
    }
    format!("{shard}{rest}").parse().ok()
}
