//! The broken store's files.

use std::fs;
use std::io;
use std::path::Path;

use cache_core::{Digest, RecipeKey};
use cache_storage::{BlobFiles, Pin, Placed, Placement, Result, Store};

use super::{Broken, F, broken};

#[derive(Debug)]
struct NoPin;
impl Pin for NoPin {}

fn inner(store: &Broken) -> &dyn BlobFiles {
    store.inner.files().unwrap()
}

impl BlobFiles for Broken {
    fn pin(&self, key: &RecipeKey) -> Result<Option<Box<dyn Pin>>> {
        if self.is(F::PinsAnything) { Ok(Some(Box::new(NoPin))) } else { inner(self).pin(key) }
    }

    fn place(
        &self,
        digest: &Digest,
        dest: &Path,
        mode: u32,
        placement: Placement,
    ) -> Result<Placed> {
        use std::os::unix::fs::PermissionsExt;
        let files = inner(self);
        match self.fault {
            F::LinksPrivate => files.place(digest, dest, mode, Placement::MayLink),
            F::RefusesToReplace if dest.exists() => Err(broken()),
            F::TruncatesOnAbsent => {
                fs::write(dest, "").unwrap();
                files.place(digest, dest, mode, placement)
            }
            _ => {
                let placed = files.place(digest, dest, mode, placement)?;
                match self.fault {
                    F::KeepsOldMtime => {
                        let file = fs::File::options().write(true).open(dest).unwrap();
                        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
                    }
                    F::WritableLinks => {
                        fs::set_permissions(dest, fs::Permissions::from_mode(0o644)).unwrap();
                    }
                    F::PlacesWrongBytes => {
                        fs::remove_file(dest).unwrap();
                        fs::write(dest, "wrong").unwrap();
                    }
                    F::LeavesTemporaries => fs::write(dest.with_extension("tmp"), "").unwrap(),
                    _ => {}
                }
                Ok(placed)
            }
        }
    }

    fn adopt(
        &self,
        digest: &Digest,
        size: u64,
        from: &Path,
        placement: Placement,
    ) -> Result<Placed> {
        match self.fault {
            F::AdoptsByMoving => {
                let placed = inner(self).adopt(digest, size, from, placement)?;
                fs::remove_file(from).unwrap();
                Ok(placed)
            }
            F::AdoptsUnchecked => {
                self.plant(digest, &fs::read(from).unwrap());
                Ok(Placed::Copied)
            }
            _ => inner(self).adopt(digest, size, from, placement),
        }
    }

    fn digest_file(&self, path: &Path) -> io::Result<Digest> {
        if !self.is(F::MemoByName) {
            return inner(self).digest_file(path);
        }
        let mut memo = self.memo.lock().unwrap();
        if memo.is_none() {
            *memo = Some(inner(self).digest_file(path)?);
        }
        memo.ok_or_else(|| io::Error::other("empty"))
    }

    fn remember(&self, path: &Path, digest: &Digest) {
        inner(self).remember(path, digest);
    }
}
