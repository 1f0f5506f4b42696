//! What came of an action.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::{Cas, CasDigest, RemoteError, Result, Uploaded};

/// What came of an action.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Executed {
    /// The command's exit code; 128 and the signal's number where one has ended it.
    pub exit_code: i32,
    /// All that it wrote to its standard output.
    pub stdout: Bytes,
    /// All that it wrote to its standard error.
    pub stderr: Bytes,
    /// Those of the outputs that it made.
    pub outputs: Vec<Output>,
    /// Whether this is the result of an earlier run.
    pub cached: bool,
    /// Who has run it, in the engine's own words; empty where it does not say.
    pub worker: String,
    /// How long it took.
    pub timings: Timings,
    /// What had to be brought to the engine.
    pub uploaded: Uploaded,
}

/// How long the parts took, by the worker's clock, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a worker.
    pub queued: Option<Duration>,
    /// Bringing inputs to the worker.
    pub inputs: Option<Duration>,
    /// The command itself.
    pub run: Option<Duration>,
    /// Bringing outputs from the worker to the engine's storage.
    pub outputs: Option<Duration>,
}

/// Something that a command made.
#[derive(Clone, Debug)]
pub struct Output {
    /// Relative to the working directory; one that was asked for, or below it.
    pub path: String,
    /// What it is.
    pub kind: OutputKind,
}

/// What an output is.
#[derive(Clone, Debug)]
pub enum OutputKind {
    /// A file.
    File {
        /// Its bytes.
        content: OutputContent,
        /// In bytes.
        size: u64,
        /// Whether it can be executed.
        executable: bool,
    },
    /// A symbolic link, with its target as it was written.
    Symlink(String),
    /// A directory; what is in it has outputs of its own.
    Directory,
}

/// The bytes of an output, wherever they are.
#[derive(Clone, Debug)]
pub struct OutputContent(pub(super) Place);

#[derive(Clone, Debug)]
pub(super) enum Place {
    Bytes(Bytes),
    /// In a directory that lives as long as this.
    File(PathBuf, #[allow(dead_code, reason = "keeps the directory")] Arc<TempDir>),
    Remote(Cas, CasDigest),
}

impl OutputContent {
    /// All of it, in memory. Bytes from an engine are checked by their digest.
    ///
    /// # Errors
    /// What reading meets, such as [`RemoteError::Missing`].
    pub async fn read(&self) -> Result<Bytes> {
        match &self.0 {
            Place::Bytes(bytes) => Ok(bytes.clone()),
            Place::File(path, _) => match tokio::fs::read(path).await {
                Ok(bytes) => Ok(bytes.into()),
                Err(e) => Err(RemoteError::local(path.display(), &e)),
            },
            Place::Remote(cas, digest) => cas.read_whole(*digest).await,
        }
    }

    /// Writes it to a new file. After an error the file may be there in part; after success its
    /// bytes were checked by their digest.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`RemoteError::Local`] when there is a file of this name.
    pub async fn write_to(&self, path: &Path) -> Result<()> {
        let failed = |e: std::io::Error| RemoteError::local(path.display(), &e);
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).open(path).await.map_err(failed)?;
        match &self.0 {
            Place::Bytes(bytes) => file.write_all(bytes).await.map_err(failed)?,
            Place::File(from, _) => {
                let mut from = tokio::fs::File::open(from).await.map_err(failed)?;
                tokio::io::copy(&mut from, &mut file).await.map_err(failed)?;
            }
            Place::Remote(cas, digest) => {
                let mut stream = cas.read(*digest).await?;
                while let Some(piece) = stream.next().await {
                    file.write_all(&piece?).await.map_err(failed)?;
                }
            }
        }
        file.flush().await.map_err(failed)
    }
}
