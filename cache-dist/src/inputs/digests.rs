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

/// Files of this size, in bytes, are worth remembering.
const LARGE: u64 = 1 << 20;

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

    /// What an earlier process [saved](Self::save); nothing where there is nothing that can be read.
    #[must_use]
    pub fn load(function: DigestFunction, file: &Path) -> Self {
        let digests = Self::new(function);
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().filter_map(read_line);
        digests.known().extend(lines);
        digests
    }

    /// Saves what is known of files that take time to read, if there is more of it than `saved`, and
    /// gives how much there is now. What cannot be saved is read again some day.
    #[must_use]
    pub fn save(&self, file: &Path, saved: usize) -> usize {
        let known = self.known();
        let large = known.iter().filter(|(_, (stamp, _))| stamp.size >= LARGE);
        let lines: Vec<_> =
            large.filter_map(|(path, (stamp, digest))| line(path, stamp, digest)).collect();
        drop(known);
        let temp = file.with_extension(format!("{}.new", std::process::id()));
        if lines.len() > saved
            && std::fs::write(&temp, lines.concat())
                .and_then(|()| std::fs::rename(&temp, file))
                .is_err()
        {
            let _ = std::fs::remove_file(&temp);
        }
        lines.len()
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

/// A file and its digest in one line: the stamp's seven numbers, the digest, the path.
fn line(path: &Path, stamp: &Stamp, digest: &CasDigest) -> Option<String> {
    let path = path.to_str().filter(|path| !path.contains('\n'))?;
    let Stamp { device, inode, size, modified, changed } = stamp;
    let times = format!("{} {} {} {}", modified.0, modified.1, changed.0, changed.1);
    Some(format!("{device} {inode} {size} {times} {} {path}\n", digest.hex()))
}

fn read_line(line: &str) -> Option<(PathBuf, (Stamp, CasDigest))> {
    let mut words = line.splitn(9, ' ');
    let mut next = || words.next();
    let (device, inode) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let size = next()?.parse().ok()?;
    let modified = (next()?.parse().ok()?, next()?.parse().ok()?);
    let changed = (next()?.parse().ok()?, next()?.parse().ok()?);
    let digest = CasDigest::from_hex(next()?, size)?;
    Some((next()?.into(), (Stamp { device, inode, size, modified, changed }, digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_saved_is_known_until_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (path, memo) = (dir.path().join("a file"), dir.path().join("memo"));
        std::fs::write(&path, vec![1; 2 << 20]).unwrap();
        // As if it had not been written just now.
        let stamp = Stamp::of(&std::fs::metadata(&path).unwrap());
        let wrong = CasDigest { size: stamp.size, ..DigestFunction::Sha256.of(b"another") };
        let digests = FileDigests::new(DigestFunction::Sha256);
        digests.known().insert(path.clone(), (stamp, wrong));
        assert_eq!(digests.save(&memo, 0), 1);
        let again = FileDigests::load(DigestFunction::Sha256, &memo);
        assert_eq!(again.input(&path).await.unwrap().digest, wrong, "it was not read");
        std::fs::write(&path, vec![2; 2 << 20]).unwrap();
        let right = DigestFunction::Sha256.of(&vec![2; 2 << 20]);
        assert_eq!(again.input(&path).await.unwrap().digest, right);
    }

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
