//! The fast store's files, with what the slow one has fetched first.

use std::path::Path;

use cache_core::{Digest, RecipeKey};
use futures::executor::block_on;

use super::Tiered;
use crate::{BlobFiles, Pin, Placed, Placement, Result, StoreError};

impl Tiered {
    fn fast_files(&self) -> Result<&dyn BlobFiles> {
        self.tiers.fast.files().ok_or(StoreError::Unsupported("files"))
    }
}

/// Runs a future to its end on a thread of its own: the caller's may be inside an executor, where
/// waiting is not allowed. `None` when there is no thread to be had.
fn wait<T: Send>(future: impl Future<Output = T> + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || block_on(future)).ok()?;
        thread.join().ok()
    })
}

impl BlobFiles for Tiered {
    fn pin(&self, key: &RecipeKey) -> Result<Option<Box<dyn Pin>>> {
        let files = self.fast_files()?;
        let pin = files.pin(key)?;
        if pin.is_some() || wait(self.tiers.fetch_record(key)) != Some(true) {
            return Ok(pin);
        }
        files.pin(key)
    }

    fn place(
        &self,
        digest: &Digest,
        dest: &Path,
        mode: u32,
        placement: Placement,
    ) -> Result<Placed> {
        let files = self.fast_files()?;
        match files.place(digest, dest, mode, placement) {
            Err(StoreError::BlobAbsent(_) | StoreError::Corrupt { .. })
                if wait(self.tiers.clone().fetch_blob(digest)) == Some(true) =>
            {
                files.place(digest, dest, mode, placement)
            }
            other => other,
        }
    }

    fn adopt(
        &self,
        digest: &Digest,
        size: u64,
        from: &Path,
        placement: Placement,
    ) -> Result<Placed> {
        let placed = self.fast_files()?.adopt(digest, size, from, placement)?;
        self.report(super::Written::Blob { digest: *digest, size });
        Ok(placed)
    }

    fn digest_file(&self, path: &Path) -> std::io::Result<Digest> {
        match self.tiers.fast.files() {
            Some(files) => files.digest_file(path),
            None => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    fn remember(&self, path: &Path, digest: &Digest) {
        if let Some(files) = self.tiers.fast.files() {
            files.remember(path, digest);
        }
    }
}
