//! Digests of files that were read before.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::InputFile;
use crate::content::blocking;
use crate::{CasDigest, Content, DigestFunction, RemoteError, Result};

/// A file whose stamp is younger than this when it was read may have been written once more with
/// the same stamp.
const YOUNG_NANOS: i128 = 1_000_000_000;

/// The digests of files by one function, remembered as long as a file's stamp stays: device,
/// inode, length, and the times of change of content and inode.
#[derive(Debug)]
pub struct FileDigests {
    function: DigestFunction,
    known: Mutex<HashMap<PathBuf, (Stamp, CasDigest)>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let (seconds, nanos) = self.changed;
        let changed = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        i128::try_from(now).is_ok_and(|now| now - changed > YOUNG_NANOS)
    }
}

impl FileDigests {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(function: DigestFunction) -> Self {
        Self { function, known: Mutex::default() }
    }

    /// The function.
    #[must_use]
    pub fn function(&self) -> DigestFunction {
        self.function
    }

    /// A file as an input, read if it is not known or has changed.
    ///
    /// # Errors
    /// [`RemoteError::Local`] when it cannot be read, or is no file.
    pub async fn input(&self, path: &Path) -> Result<InputFile> {
        let metadata = {
            let path = path.to_owned();
            blocking(move || {
                let metadata = std::fs::metadata(&path);
                metadata.map_err(|e| RemoteError::local(path.display(), &e))
            })
            .await?
        };
        if !metadata.is_file() {
            return Err(RemoteError::Local(format!("{} is no file", path.display())));
        }
        let content = Content::File(path.to_owned());
        let stamp = Stamp::of(&metadata);
        let known = self.known().get(path).filter(|(known, _)| *known == stamp).copied();
        let digest = match known {
            Some((_, digest)) => digest,
            None => content.digest(self.function).await?,
        };
        if stamp.is_settled() && digest.size == stamp.size {
            self.known().insert(path.to_owned(), (stamp, digest));
        }
        Ok(InputFile { digest, content, executable: metadata.mode() & 0o111 != 0 })
    }

    /// Every change is one call: the map is whole even if a panic poisoned the lock.
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, CasDigest)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let digests = FileDigests::new(DigestFunction::Sha256);
        for content in ["one", "two"] {
            std::fs::write(&path, content).unwrap();
            let input = digests.input(&path).await.unwrap();
            assert_eq!(input.digest, DigestFunction::Sha256.of(content.as_bytes()));
            assert!(!input.executable);
        }
        assert!(digests.input(dir.path()).await.is_err());
    }
}
