//! Writing a pack to a local file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cache_core::{Digest, Hasher};
use futures::{StreamExt, stream};

use super::codec::{self, HEAD};
use super::{Pack, pack_reader};
use crate::{BlobStream, Result, Store, StoreError};

/// zstd's own default: most of the gain, at several times the speed of a network.
const LEVEL: i32 = 3;
/// Bytes read from the file at a time.
const CHUNK: usize = 256 << 10;

/// A pack that is being written. Its file has no name, so that nothing is left of it however the process
/// ends; where a file cannot be unlinked while it is open, it is removed when this is dropped.
pub(super) struct PackWriter {
    file: File,
    path: PathBuf,
    length: u64,
    members: BTreeSet<Digest>,
}

impl PackWriter {
    /// Begins a pack in a new file of `directory`.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("pack-{}-{number}", std::process::id()));
        let failed = |error| StoreError::write(path.display().to_string(), error);
        std::fs::create_dir_all(directory).map_err(failed)?;
        let options =
            File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let mut file = options.map_err(failed)?;
        // If it cannot be removed now, dropping does it.
        let _ = std::fs::remove_file(&path);
        file.write_all(&codec::head(pack_reader::LETTER)).map_err(failed)?;
        Ok(Self { file, path, length: HEAD as u64, members: BTreeSet::new() })
    }

    /// How long it is so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The blobs in it.
    pub(super) fn members(&self) -> &BTreeSet<Digest> {
        &self.members
    }

    /// Adds a blob of `store`. When that fails, the pack is as it was before.
    ///
    /// # Errors
    /// What the store or the file system says.
    pub(super) async fn add(&mut self, store: &dyn Store, digest: &Digest) -> Result<()> {
        if self.members.contains(digest) {
            return Ok(());
        }
        let before = self.length;
        match self.append(store, digest).await {
            Ok(()) => {
                self.members.insert(*digest);
                Ok(())
            }
            Err(error) => {
                self.length = before;
                let back = self.file.set_len(before).and_then(|()| self.seek(before));
                back.map_err(|error| self.failed(error))?;
                Err(error)
            }
        }
    }

    async fn append(&mut self, store: &dyn Store, digest: &Digest) -> Result<()> {
        let mut blob = store.read_blob(digest).await?;
        let start = self.length;
        // Lengths are written when they are known.
        self.file.write_all(&[0; pack_reader::MEMBER_HEAD]).map_err(|error| self.failed(error))?;
        let mut size = 0_u64;
        let frame = self.file.try_clone().map_err(|error| self.failed(error))?;
        let mut encoder =
            zstd::stream::write::Encoder::new(frame, LEVEL).map_err(|error| self.failed(error))?;
        while let Some(piece) = blob.next().await {
            let piece = piece?;
            size += piece.len() as u64;
            encoder.write_all(&piece).map_err(|error| self.failed(error))?;
        }
        encoder.finish().map_err(|error| self.failed(error))?;
        let end = self.file.stream_position().map_err(|error| self.failed(error))?;
        let head = start + pack_reader::MEMBER_HEAD as u64;
        let mut bytes = digest.as_bytes().to_vec();
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&(end - head).to_le_bytes());
        self.seek(start)
            .and_then(|()| self.file.write_all(&bytes))
            .and_then(|()| self.seek(end))
            .map_err(|error| self.failed(error))?;
        self.length = end;
        Ok(())
    }

    fn seek(&self, to: u64) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(to)).map(drop)
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError::write(self.path.display().to_string(), error)
    }

    /// The finished pack's name and length.
    ///
    /// # Errors
    /// What reading it says.
    pub(super) fn finish(&mut self) -> Result<Pack> {
        let mut hasher = Hasher::blob();
        let mut chunk = vec![0; CHUNK];
        self.seek(0).map_err(|error| self.failed(error))?;
        loop {
            match self.file.read(&mut chunk).map_err(|error| self.failed(error))? {
                0 => return Ok(Pack { digest: hasher.finish(), size: self.length }),
                read => hasher.update(&chunk[..read]),
            };
        }
    }

    /// Its bytes, from the beginning.
    ///
    /// # Errors
    /// What the file system says, here or from within the stream.
    pub(super) fn bytes(&self) -> Result<BlobStream<'_>> {
        self.seek(0).map_err(|error| self.failed(error))?;
        let pieces = stream::try_unfold(&self.file, move |mut file| async move {
            let mut piece = vec![0; CHUNK];
            let read = file.read(&mut piece).map_err(|error| self.failed(error))?;
            piece.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(piece), file)))
        });
        Ok(pieces.boxed())
    }
}

impl Drop for PackWriter {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
