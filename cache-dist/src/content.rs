//! Where the bytes of a blob are on this machine.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::{CasDigest, DigestFunction, RemoteError, Result};

/// The bytes of a blob on this machine. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file, which must not change while it is used. If it does, that is noticed.
    File(PathBuf),
}

impl Content {
    /// The blob's name.
    ///
    /// # Errors
    /// [`RemoteError::Local`] when the file cannot be read.
    pub async fn digest(&self, function: DigestFunction) -> Result<CasDigest> {
        match self {
            Self::Bytes(bytes) => Ok(function.of(bytes)),
            Self::File(path) => {
                let path = path.clone();
                blocking(move || {
                    let hash = || {
                        let mut hasher = HashingWriter(function.hasher());
                        io::copy(&mut File::open(&path)?, &mut hasher)?;
                        Ok(hasher.0.finish())
                    };
                    hash().map_err(|e| RemoteError::local(path.display(), &e))
                })
                .await
            }
        }
    }

    pub(crate) async fn open(&self) -> Result<Source> {
        match self {
            Self::Bytes(bytes) => Ok(Source::Bytes(bytes.clone())),
            Self::File(path) => {
                let path = path.clone();
                blocking(move || {
                    let file = File::open(&path);
                    file.map(|file| Source::File(Arc::new(file)))
                        .map_err(|e| RemoteError::local(path.display(), &e))
                })
                .await
            }
        }
    }
}

struct HashingWriter(crate::CasHasher);

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that can be read from any offset, more than once.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Bytes(Bytes),
    File(Arc<File>),
}

impl Source {
    /// Up to `most` bytes from `offset`; none at the end.
    pub(crate) async fn read(&self, offset: u64, most: usize) -> Result<Bytes> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(start..bytes.len().min(start.saturating_add(most))))
            }
            Self::File(file) => {
                let file = Arc::clone(file);
                blocking(move || {
                    read_at(&file, offset, most)
                        .map_err(|e| RemoteError::local("a file to be uploaded", &e))
                })
                .await
            }
        }
    }
}

fn read_at(file: &File, offset: u64, most: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(most);
    let mut filled = 0;
    while filled < most {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.freeze())
}

/// Runs what waits for the file system where nothing else waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is shutting down: nobody waits for the result any more.
        Err(_) => Err(RemoteError::Cancelled),
    }
}

/// Collects bytes: in memory while they are few, then in a temporary file without a name.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
}

/// What a spool keeps in memory.
const MEMORY: usize = 4 << 20;

impl Spool {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes, without keeping others waiting for the disk.
    pub(crate) async fn add(mut self, bytes: Bytes) -> Result<Self> {
        let bytes_fit = self.memory.len() + bytes.len() <= MEMORY;
        let add = move || {
            let added = self.write_all(&bytes);
            added.map_err(|e| RemoteError::local("a temporary file", &e))?;
            Ok(self)
        };
        if bytes_fit { add() } else { blocking(add).await }
    }

    /// What was collected.
    pub(crate) fn into_source(mut self) -> io::Result<Source> {
        match self.file.take() {
            None => Ok(Source::Bytes(self.memory.into())),
            Some(mut file) => {
                file.write_all(&self.memory)?;
                Ok(Source::File(Arc::new(file)))
            }
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.memory.len() + bytes.len() > MEMORY {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            file.write_all(&self.memory)?;
            self.memory.clear();
        }
        self.memory.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_spool_gives_back_what_was_written_at_any_offset() {
        for length in [0, 1, MEMORY, MEMORY + 1, 3 * MEMORY + 17] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let mut spool = Spool::default();
            for piece in bytes.chunks(70_001) {
                spool.write_all(piece).unwrap();
            }
            assert_eq!(spool.length(), length as u64);
            let source = spool.into_source().unwrap();
            assert_eq!(matches!(source, Source::File(_)), length > MEMORY);
            for offset in [0, length / 2, length] {
                let most = length + 1;
                let read = source.read(offset as u64, most).await.unwrap();
                assert!(read == bytes[offset..], "{length} from {offset}");
            }
            assert!(source.read(length as u64 + 5, 10).await.unwrap().is_empty());
        }
    }
}
