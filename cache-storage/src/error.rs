//! What can go wrong in a store, by what the caller can do about it.

use std::path::PathBuf;

use cache_core::Digest;

/// A store's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What went wrong. Variants say what the caller can do, not where it happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The blob is not there (or no longer). Treat as a miss.
    #[error("blob {0} is not in the store")]
    BlobAbsent(Digest),
    /// The bytes are not those of the digest. The store has set them aside; treat as a miss.
    #[error("blob {digest} is corrupt: its bytes are those of {found}")]
    Corrupt {
        /// What was asked for.
        digest: Digest,
        /// What the bytes are.
        found: Digest,
    },
    /// The record changed between reading and writing. Read again and retry.
    #[error("the record was changed by another writer")]
    Conflict,
    /// The store cannot be written by this user or configuration. Go on without storing.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// No room, or over a quota. Go on without storing.
    #[error("no room in the store: {0}")]
    Full(String),
    /// The bytes given are longer or shorter than announced, or not of the announced digest.
    #[error("refused: {0}")]
    Refused(String),
    /// The store does not do this (see its capabilities).
    #[error("this store does not support {0}")]
    Unsupported(&'static str),
    /// The path given to the store cannot be one: not a directory, or not usable.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// Which path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Anything else the system said, with the path where there is one. Treat as a miss.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, to what.
        context: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Wraps an error of the system, giving `ENOSPC`/`EDQUOT` and `EROFS`/`EACCES`/`EPERM` on
    /// writes their own variants.
    #[must_use]
    pub fn write(context: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full(format!("{}: {source}", context.into()))
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                Self::ReadOnly(format!("{}: {source}", context.into()))
            }
            _ => Self::Io { context: context.into(), source },
        }
    }

    /// Wraps an error of the system met while reading.
    #[must_use]
    pub fn read(context: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { context: context.into(), source }
    }
}
