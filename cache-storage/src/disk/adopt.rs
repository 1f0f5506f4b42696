//! Taking a finished file into the store as a blob.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cache_core::Digest;

use super::DiskStore;
use super::copy::{CopyError, copy_hashing};
use super::lock::Lock;
use super::stage::Staged;
use super::stamp::Stamp;
use crate::{Placed, Placement, Result, StoreError, check_blob};

impl DiskStore {
    /// See [`BlobFiles::adopt`](crate::BlobFiles::adopt).
    pub(super) fn adopt_file(
        &self,
        digest: &Digest,
        size: u64,
        from: &Path,
        placement: Placement,
    ) -> Result<Placed> {
        self.check_writable()?;
        let unreadable = |e| StoreError::read(format!("reading {}", from.display()), e);
        let meta = fs::symlink_metadata(from).map_err(unreadable)?;
        // The length of a symbolic link is that of its target's path.
        if meta.is_file() && meta.len() != size {
            return Err(StoreError::Refused(format!(
                "{} has {} bytes, not {size}",
                from.display(),
                meta.len()
            )));
        }
        if self.already_has(digest, size)? {
            return Ok(Placed::Copied);
        }
        if placement == Placement::MayLink
            && meta.is_file()
            && let Some(placed) = self.link_in(digest, from, &meta)?
        {
            return Ok(placed);
        }
        self.copy_in(digest, size, from)
    }

    /// Makes the file itself the blob. `None` where it cannot be linked.
    fn link_in(&self, digest: &Digest, from: &Path, meta: &fs::Metadata) -> Result<Option<Placed>> {
        let blob = self.layout.blob(digest);
        {
            let _sweep = Lock::Sweep.shared(&self.layout);
            match self.layout.making(&blob, || fs::hard_link(from, &blob)) {
                Ok(()) => {}
                // Another writer was faster.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(Some(Placed::Copied)),
                Err(e) if is_no_room(&e) => {
                    return Err(StoreError::write(format!("linking blob {digest}"), e));
                }
                // Other device, too many links, not the owner, no links here: copying may do.
                Err(_) => return Ok(None),
            }
        }
        // A process killed before this line leaves a blob that can be written to: its bytes are
        // vouched for by nobody yet, and placing it takes the permission away.
        let mode = blob_mode(meta);
        if fs::set_permissions(&blob, fs::Permissions::from_mode(mode)).is_err() {
            let _ = fs::remove_file(&blob);
            return Ok(None);
        }
        self.memo.remember_blob(&Stamp::of(meta), digest);
        self.usage.added(meta.len());
        Ok(Some(Placed::Linked))
    }

    fn copy_in(&self, digest: &Digest, size: u64, from: &Path) -> Result<Placed> {
        let unreadable = |e| StoreError::read(format!("reading {}", from.display()), e);
        let failed = |e| StoreError::write(format!("writing blob {digest}"), e);
        let mut source = File::open(from).map_err(unreadable)?;
        let meta = source.metadata().map_err(unreadable)?;
        if !meta.is_file() {
            return Err(StoreError::Refused(format!("{} is no regular file", from.display())));
        }
        let mut staged = Staged::in_store(&self.layout).map_err(failed)?;
        let placed = if self.reflinks.clone_blocks(&source, staged.file()) {
            let length = staged.file().metadata().map_err(failed)?.len();
            check_blob(digest, size, digest, length)?;
            Placed::Cloned
        } else {
            let (found, length) =
                copy_hashing(&mut source, staged.file()).map_err(|e| match e {
                    CopyError::Read(e) => unreadable(e),
                    CopyError::Write(e) => failed(e),
                })?;
            check_blob(digest, size, &found, length)?;
            Placed::Copied
        };
        self.publish_blob(staged, digest, meta.mode() & 0o111 != 0).map_err(failed)?;
        if source.metadata().is_ok_and(|after| Stamp::of(&after) == Stamp::of(&meta)) {
            self.memo.remember_file(&Stamp::of(&meta), digest);
        }
        Ok(placed)
    }
}

fn blob_mode(meta: &fs::Metadata) -> u32 {
    if meta.mode() & 0o111 != 0 { 0o555 } else { 0o444 }
}

fn is_no_room(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
