//! Blobs: presence, streams, removal, and setting damaged ones aside.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cache_core::{Digest, Hasher};
use futures::StreamExt;

use super::DiskStore;
use super::lock::Lock;
use super::stage::Staged;
use super::stamp::Stamp;
use crate::{BlobStream, Result, SizedBlob, StoreError, check_blob};

const PIECE: usize = 256 << 10;
/// How old a blob that comes from elsewhere looks: older than a build takes, and far younger than what the
/// sweep takes for left behind while it is being written.
const BEFORE: Duration = Duration::from_secs(60 * 60);

impl DiskStore {
    pub(super) fn has_blob(&self, digest: &Digest) -> bool {
        fs::metadata(self.layout.blob(digest)).is_ok_and(|meta| meta.is_file())
    }

    /// Opens a blob and looks at it.
    pub(super) fn open_blob(&self, digest: &Digest) -> Result<(File, fs::Metadata)> {
        let path = self.layout.blob(digest);
        let absent = || StoreError::BlobAbsent(*digest);
        let open = || -> io::Result<_> {
            let file = File::open(&path)?;
            let meta = file.metadata()?;
            Ok((file, meta))
        };
        match open() {
            Ok((file, meta)) if meta.is_file() => Ok((file, meta)),
            Ok(_) => {
                // A directory, or stranger: not ours.
                let _ = self.writable.then(|| self.layout.set_aside(&path));
                Err(absent())
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(absent())
            }
            Err(e) => Err(StoreError::read(format!("opening blob {digest}"), e)),
        }
    }

    /// Whether the blob is in the store already, for a writer that would bring it again.
    ///
    /// Moves the blob's ctime if that is old, so that an eviction leaves the blob alone until the
    /// writer has stored the record that names it. A blob of another length is damaged: it is set
    /// aside and counts as absent.
    pub(super) fn already_has(&self, digest: &Digest, size: u64) -> Result<bool> {
        let path = self.layout.blob(digest);
        let _sweep = Lock::Sweep.shared(&self.layout);
        let Ok(meta) = fs::symlink_metadata(&path) else {
            return Ok(false);
        };
        if !meta.is_file() || meta.len() != size {
            self.layout
                .set_aside(&path)
                .map_err(|e| StoreError::write("setting a damaged blob aside", e))?;
            return Ok(false);
        }
        let age = SystemTime::now().duration_since(changed_at(&meta));
        if age.is_ok_and(|age| age > self.options.grace / 4) {
            // To the bits that it has; failing that, at worst the new record misses its blob.
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(meta.mode() & 0o777));
        }
        Ok(true)
    }

    /// Puts a complete staged file in place as a blob, and vouches for it.
    pub(super) fn publish_blob(
        &self,
        mut staged: Staged,
        digest: &Digest,
        executable: bool,
    ) -> io::Result<()> {
        staged.set_mode(if executable { 0o555 } else { 0o444 })?;
        let meta = staged.file().metadata()?;
        {
            let _sweep = Lock::Sweep.shared(&self.layout);
            staged.publish_in(&self.layout, &self.layout.blob(digest))?;
        }
        self.memo.remember_blob(&Stamp::of(&meta), digest);
        self.usage.added(meta.len());
        Ok(())
    }

    /// Sets a blob aside whose bytes are those of `found`, and stops trusting the memo: whatever
    /// damaged one file may have damaged others.
    pub(super) fn condemn(
        &self,
        digest: &Digest,
        found: Digest,
        seen: &fs::Metadata,
    ) -> StoreError {
        let path = self.layout.blob(digest);
        // Unless somebody has done so already and put a good one in its place.
        let same = fs::symlink_metadata(&path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (seen.dev(), seen.ino()));
        if self.writable && same {
            let _ = self.layout.set_aside(&path);
            self.memo.clear();
        }
        StoreError::Corrupt { digest: *digest, found }
    }

    pub(super) fn stream_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        let (file, meta) = self.open_blob(digest)?;
        let (digest, size) = (*digest, Some(meta.len()));
        let state = Some((file, meta, Hasher::blob()));
        let stream = futures::stream::unfold(state, move |state| async move {
            let (mut file, meta, mut hasher) = state?;
            let mut piece = vec![0; PIECE];
            match read_some(&mut file, &mut piece) {
                Ok(0) => {
                    let found = hasher.finish();
                    (found != digest).then(|| (Err(self.condemn(&digest, found, &meta)), None))
                }
                Ok(count) => {
                    piece.truncate(count);
                    hasher.update(&piece);
                    Some((Ok(Bytes::from(piece)), Some((file, meta, hasher))))
                }
                Err(e) => {
                    let error = StoreError::read(format!("reading blob {digest}"), e);
                    Some((Err(error), None))
                }
            }
        });
        Ok(SizedBlob { size, bytes: stream.boxed() })
    }

    pub(super) async fn take_stream(
        &self,
        digest: &Digest,
        size: u64,
        mut bytes: BlobStream<'_>,
    ) -> Result<()> {
        self.check_writable()?;
        if self.already_has(digest, size)? {
            return Ok(());
        }
        let failed = |e| StoreError::write(format!("writing blob {digest}"), e);
        let mut staged = Staged::in_store(&self.layout).map_err(failed)?;
        let mut hasher = Hasher::blob();
        let mut length = 0_u64;
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            length += piece.len() as u64;
            if length > size {
                break;
            }
            hasher.update(&piece);
            staged.file().write_all(&piece).map_err(failed)?;
        }
        check_blob(digest, size, &hasher.finish(), length)?;
        // Like one that was made before, as it was: a link to it must not be younger than what was placed
        // beside it while it was still on its way. Failing that, cargo looks once more.
        if let Some(before) = SystemTime::now().checked_sub(BEFORE) {
            let _ = staged.file().set_modified(before);
        }
        self.publish_blob(staged, digest, false).map_err(failed)
    }

    pub(super) fn remove_blob(&self, digest: &Digest) -> Result<()> {
        self.check_writable()?;
        let path = self.layout.blob(digest);
        let length = fs::metadata(&path).map_or(0, |meta| meta.len());
        remove(&path, |path| self.layout.set_aside(path))
            .map_err(|e| StoreError::write(format!("removing blob {digest}"), e))
            .map(|removed| {
                if removed {
                    self.usage.removed(length);
                }
            })
    }
}

/// Removes a file; whether there was one. A directory in its place is handed to `set_aside`.
pub(super) fn remove(path: &Path, set_aside: impl Fn(&Path) -> io::Result<()>) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(_) if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) => {
            set_aside(path).map(|()| false)
        }
        Err(e) => Err(e),
    }
}

/// ctime: when the file last came into the store, or was linked from it.
pub(super) fn changed_at(meta: &fs::Metadata) -> SystemTime {
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(meta.ctime()), u32::try_from(meta.ctime_nsec()))
    else {
        return UNIX_EPOCH;
    };
    UNIX_EPOCH + Duration::new(seconds, nanos)
}

fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
