//! Making a blob appear in a target directory.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use cache_core::Digest;

use super::DiskStore;
use super::copy::{CopyError, copy_hashing, hash};
use super::stage::{Staged, beside};
use super::stamp::{Stamp, is_remote};
use crate::{Placed, Placement, Result, StoreError};

impl DiskStore {
    /// See [`BlobFiles::place`](crate::BlobFiles::place).
    pub(super) fn place_blob(
        &self,
        digest: &Digest,
        dest: &Path,
        mode: u32,
        placement: Placement,
    ) -> Result<Placed> {
        if placement == Placement::MayLink && self.link_out(digest, dest, mode)? {
            return Ok(Placed::Linked);
        }
        self.copy_out(digest, dest, mode & 0o777)
    }

    /// Links the blob to `dest`; false where that cannot be or would give wrong permissions.
    fn link_out(&self, digest: &Digest, dest: &Path, mode: u32) -> Result<bool> {
        let blob = self.layout.blob(digest);
        let Ok(meta) = fs::symlink_metadata(&blob) else {
            return Ok(false); // copying tells why
        };
        if !meta.is_file() || (mode & 0o111 != 0) != (meta.mode() & 0o111 != 0) {
            return Ok(false);
        }
        if !self.memo.vouches_for_blob(&Stamp::of(&meta), digest) {
            let (mut file, meta) = self.open_blob(digest)?;
            self.verify_blob(digest, &mut file, &meta, true)?;
        }
        if meta.mode() & 0o222 != 0 && fs::set_permissions(&blob, read_only(&meta)).is_err() {
            return Ok(false);
        }
        link_onto(&blob, dest).map_err(|e| unplaced(dest, e))
    }

    /// Reads a whole blob and compares its digest; remembers the result. A corrupt one is set aside
    /// if `condemn`.
    pub(super) fn verify_blob(
        &self,
        digest: &Digest,
        file: &mut File,
        meta: &Metadata,
        condemn: bool,
    ) -> Result<()> {
        let unreadable = |e| StoreError::read(format!("reading blob {digest}"), e);
        let began = SystemTime::now();
        let (found, _) = hash(file).map_err(unreadable)?;
        if found != *digest {
            return Err(if condemn {
                self.condemn(digest, found, meta)
            } else {
                StoreError::Corrupt { digest: *digest, found }
            });
        }
        self.now_known(digest, file, meta, began);
        Ok(())
    }

    /// The blob has just been read, since `began`, and is good.
    fn now_known(&self, digest: &Digest, file: &File, before: &Metadata, began: SystemTime) {
        let Ok(after) = file.metadata() else { return };
        let (before, after) = (Stamp::of(before), Stamp::of(&after));
        let settled = Stamp {
            ctime: after.mtime, // links made meanwhile do not make it younger
            ..after
        }
        .is_settled(began, is_remote(file));
        if before.same_bytes(&after) && settled {
            self.memo.remember_blob(&after, digest);
        }
    }

    /// Gives `dest` an inode of its own. Creating and filling it stamps its mtime with the file
    /// system's clock.
    fn copy_out(&self, digest: &Digest, dest: &Path, mode: u32) -> Result<Placed> {
        let (mut blob, meta) = self.open_blob(digest)?;
        let mut staged = Staged::beside(dest, mode).map_err(|e| unplaced(dest, e))?;
        let placed = if self.reflinks.clone_blocks(&blob, staged.file()) {
            self.check_clone(digest, &mut blob, &meta, staged.file())?;
            Placed::Cloned
        } else {
            self.copy_checked(digest, &mut blob, &meta, staged.file()).map_err(|e| match e {
                Failure::Store(e) => e,
                Failure::Dest(e) => unplaced(dest, e),
            })?;
            Placed::Copied
        };
        staged.set_mode(mode).and_then(|()| staged.publish(dest)).map_err(|e| unplaced(dest, e))?;
        Ok(placed)
    }

    /// A clone is what the blob was at one instant: good if the memo vouches for the blob before
    /// and nothing has changed since, else its own bytes are read.
    fn check_clone(
        &self,
        digest: &Digest,
        blob: &mut File,
        meta: &Metadata,
        clone: &mut File,
    ) -> Result<()> {
        let before = Stamp::of(meta);
        let unchanged =
            |blob: &File| blob.metadata().is_ok_and(|after| Stamp::of(&after).same_bytes(&before));
        if self.memo.vouches_for_blob(&before, digest) && unchanged(blob) {
            return Ok(());
        }
        let unreadable = |e| StoreError::read(format!("reading a clone of {digest}"), e);
        let began = SystemTime::now();
        clone.rewind().map_err(unreadable)?;
        let (found, _) = hash(clone).map_err(unreadable)?;
        if found != *digest {
            return Err(self.condemn(digest, found, meta));
        }
        self.now_known(digest, blob, meta, began);
        Ok(())
    }

    fn copy_checked(
        &self,
        digest: &Digest,
        blob: &mut File,
        meta: &Metadata,
        to: &mut File,
    ) -> Result<(), Failure> {
        let began = SystemTime::now();
        let (found, _) = copy_hashing(blob, to).map_err(|e| match e {
            CopyError::Read(e) => {
                Failure::Store(StoreError::read(format!("reading blob {digest}"), e))
            }
            CopyError::Write(e) => Failure::Dest(e),
        })?;
        if found != *digest {
            return Err(Failure::Store(self.condemn(digest, found, meta)));
        }
        self.now_known(digest, blob, meta, began);
        Ok(())
    }
}

/// Whose fault it was that a copy failed.
enum Failure {
    Store(StoreError),
    Dest(io::Error),
}

/// A target directory's trouble is not the store's: never `Full` or `ReadOnly`.
fn unplaced(dest: &Path, e: io::Error) -> StoreError {
    StoreError::read(format!("placing {}", dest.display()), e)
}

fn read_only(meta: &Metadata) -> fs::Permissions {
    fs::Permissions::from_mode(meta.mode() & 0o555)
}

/// Hard-links `blob` as `dest`, replacing what is there; false where it cannot be linked.
fn link_onto(blob: &Path, dest: &Path) -> io::Result<bool> {
    match fs::hard_link(blob, dest) {
        Ok(()) => return Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        // Other device, too many links, not the owner, gone, no such directory: copying does it
        // or tells what is wrong.
        Err(_) => return Ok(false),
    }
    let temporary = beside(dest);
    if fs::hard_link(blob, &temporary).is_err() {
        return Ok(false);
    }
    let renamed = fs::rename(&temporary, dest);
    // rename(2) does nothing, successfully, when both names are links to one file.
    let _ = fs::remove_file(&temporary);
    renamed.map(|()| true)
}
