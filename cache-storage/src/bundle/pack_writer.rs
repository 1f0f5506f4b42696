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

    /// Adds blobs of `store` as one group. When that fails, the pack is as it was before.
    ///
    /// # Errors
    /// What the store or the file system says.
    pub(super) async fn add(&mut self, store: &dyn Store, blobs: &[(Digest, u64)]) -> Result<()> {
        let before = self.length;
        match self.append(store, blobs).await {
            Ok(()) => {
                self.members.extend(blobs.iter().map(|(digest, _)| *digest));
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

    async fn append(&mut self, store: &dyn Store, blobs: &[(Digest, u64)]) -> Result<()> {
        let mut head = Vec::new();
        codec::put_count(&mut head, blobs.len());
        for (digest, size) in blobs {
            head.extend_from_slice(digest.as_bytes());
            head.extend_from_slice(&size.to_le_bytes());
        }
        let length_at = self.length + head.len() as u64;
        // The frame's length is written when it is known.
        head.extend_from_slice(&[0; 8]);
        self.file.write_all(&head).map_err(|error| self.failed(error))?;
        let mut encoder = self.encoder().map_err(|error| self.failed(error))?;
        for (digest, size) in blobs {
            let mut blob = store.read_blob(digest).await?;
            let mut read = 0_u64;
            while let Some(piece) = blob.next().await {
                let piece = piece?;
                read += piece.len() as u64;
                encoder.write_all(&piece).map_err(|error| self.failed(error))?;
            }
            if read != *size {
                return Err(StoreError::BlobAbsent(*digest));
            }
        }
        encoder.finish().map_err(|error| self.failed(error))?;
        let end = self.pad(length_at + 8, blobs).map_err(|error| self.failed(error))?;
        let stored = end - length_at - 8;
        self.seek(length_at)
            .and_then(|()| self.file.write_all(&stored.to_le_bytes()))
            .and_then(|()| self.seek(end))
            .map_err(|error| self.failed(error))?;
        self.length = end;
        Ok(())
    }

    /// Adds zeros to a frame that is too short for its blobs to be read. Gives where it ends.
    fn pad(&mut self, start: u64, blobs: &[(Digest, u64)]) -> io::Result<u64> {
        let end = self.file.stream_position()?;
        let plain = blobs.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
        let missing = pack_reader::least_stored(plain).saturating_sub(end - start);
        io::copy(&mut io::repeat(0).take(missing), &mut self.file)?;
        Ok(end + missing)
    }

    /// An encoder that finds in a library the metadata that came before it.
    fn encoder(&self) -> io::Result<zstd::stream::write::Encoder<'static, File>> {
        let mut encoder = zstd::stream::write::Encoder::new(self.file.try_clone()?, LEVEL)?;
        encoder.window_log(pack_reader::WINDOW_LOG)?;
        encoder.long_distance_matching(true)?;
        Ok(encoder)
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
