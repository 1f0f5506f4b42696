//! Blobs between a store and files, by the store's own file access where it has one.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use bytes::Bytes;
use cache_core::{Digest, Hasher};
use cache_storage::{Placed, Placement, Store, StoreError};
use futures::executor::block_on;
use futures::{StreamExt, stream};

use super::facts::Digests;

const CHUNK: usize = 256 * 1024;

/// A store with file access, its own or made from streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blobs<'a> {
    /// The store.
    pub store: &'a dyn Store,
}

impl Digests for Blobs<'_> {
    fn digest_file(&self, path: &Path) -> std::io::Result<Digest> {
        match self.store.files() {
            Some(files) => files.digest_file(path),
            None => digest_of_file(path),
        }
    }
}

impl Blobs<'_> {
    /// Makes a blob appear at `dest` (see [`cache_storage::BlobFiles::place`]).
    ///
    /// # Errors
    /// What the store or the file system says.
    pub(super) fn place(
        &self,
        digest: &Digest,
        dest: &Path,
        mode: u32,
        placement: Placement,
    ) -> Result<Placed, StoreError> {
        if let Some(files) = self.store.files() {
            return files.place(digest, dest, mode, placement);
        }
        write_beside(dest, mode, |file| {
            let mut hasher = Hasher::blob();
            block_on(async {
                let mut bytes = self.store.read_blob(digest).await?;
                while let Some(piece) = bytes.next().await {
                    let piece = piece?;
                    hasher.update(&piece);
                    file.write_all(&piece)
                        .map_err(|error| StoreError::write(dest.display().to_string(), error))?;
                }
                Ok(())
            })?;
            let found = hasher.finish();
            if found == *digest {
                Ok(())
            } else {
                Err(StoreError::Corrupt { digest: *digest, found })
            }
        })?;
        Ok(Placed::Copied)
    }

    /// Takes a finished file into the store (see [`cache_storage::BlobFiles::adopt`]).
    ///
    /// # Errors
    /// What the store or the file system says.
    pub(super) fn adopt(
        &self,
        digest: &Digest,
        size: u64,
        from: &Path,
        placement: Placement,
    ) -> Result<Placed, StoreError> {
        if let Some(files) = self.store.files() {
            return files.adopt(digest, size, from, placement);
        }
        let at = from.display().to_string();
        let file = File::open(from).map_err(|error| StoreError::read(at.clone(), error))?;
        let pieces = stream::try_unfold(file, move |mut file| {
            let at = at.clone();
            async move {
                let mut piece = vec![0; CHUNK];
                let read = file.read(&mut piece).map_err(|error| StoreError::read(at, error))?;
                piece.truncate(read);
                Ok((read > 0).then(|| (Bytes::from(piece), file)))
            }
        });
        block_on(self.store.write_blob(digest, size, pieces.boxed()))?;
        Ok(Placed::Copied)
    }

    /// Tells the memo of a file just produced or read whole.
    pub(super) fn remember(&self, path: &Path, digest: &Digest) {
        if let Some(files) = self.store.files() {
            files.remember(path, digest);
        }
    }
}

/// Writes a file under a temporary name beside `dest`, then renames it there.
///
/// # Errors
/// What `fill` or the file system says; the temporary file is removed.
pub(super) fn write_beside(
    dest: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);

    let failed = |error| StoreError::write(dest.display().to_string(), error);
    let mut name = std::ffi::OsString::from(".larder-");
    name.push(format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let temp = dest.with_file_name(name);
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temp)
        .map_err(failed)?;
    let done = fill(&mut file).and_then(|()| std::fs::rename(&temp, dest).map_err(failed));
    if done.is_err() {
        let _ = std::fs::remove_file(&temp);
    }
    done
}

fn digest_of_file(path: &Path) -> std::io::Result<Digest> {
    super::scan::scan(path, &[]).map(|scan| scan.digest)
}
