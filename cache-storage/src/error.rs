//! What can go wrong in a store, by what the caller can do about it.

use std::path::PathBuf;

use cache_core::Digest;

/// A store's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What went wrong. Variants say what the caller can do, not where it happened.
///
/// | variant | reading | writing | again later? |
/// |---|---|---|---|
/// | [`BlobAbsent`](Self::BlobAbsent), [`Corrupt`](Self::Corrupt) | a miss | | no |
/// | [`Conflict`](Self::Conflict) | | read again, retry | at once |
/// | [`ReadOnly`](Self::ReadOnly), [`Full`](Self::Full), [`Refused`](Self::Refused) | | not stored | no |
/// | [`Unavailable`](Self::Unavailable) | a miss | not stored | yes |
/// | [`Denied`](Self::Denied), [`Misconfigured`](Self::Misconfigured), [`Unusable`](Self::Unusable) | a miss | not stored | no: tell the user |
/// | [`Unsupported`](Self::Unsupported) | a miss | not stored | no |
/// | [`Io`](Self::Io) | a miss | not stored | see [`is_transient`](Self::is_transient) |
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
    /// The store cannot be reached, is overloaded, or did not answer in time. Treat as a miss; a
    /// later try may succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store's server refuses who asks. Treat as a miss; trying again does not help.
    #[error("access denied ({setting}): {reason}")]
    Denied {
        /// The setting to look at: an option's name or a variable's.
        setting: String,
        /// What the server said.
        reason: String,
    },
    /// The store cannot work as it is configured. Treat as a miss; trying again does not help.
    #[error("{setting}: {reason}")]
    Misconfigured {
        /// The setting that is wrong: an option's name or a variable's.
        setting: String,
        /// Why, and what to do.
        reason: String,
    },
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

    /// Whether the same call may succeed later though nothing is done about it: the store was not
    /// reached, or too slow, or overloaded. Everything else is an answer.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use std::io::ErrorKind;
        match self {
            Self::Unavailable(_) => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                ErrorKind::TimedOut
                    | ErrorKind::Interrupted
                    | ErrorKind::WouldBlock
                    | ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::NetworkDown
                    | ErrorKind::ResourceBusy
            ),
            _ => false,
        }
    }

    /// Wraps an error of the system met while reading.
    #[must_use]
    pub fn read(context: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { context: context.into(), source }
    }
}

/// For those who wait for one answer together. An [`Io`](StoreError::Io) error of the system keeps
/// its number, any other its kind and text.
impl Clone for StoreError {
    fn clone(&self) -> Self {
        match self {
            Self::BlobAbsent(digest) => Self::BlobAbsent(*digest),
            Self::Corrupt { digest, found } => Self::Corrupt { digest: *digest, found: *found },
            Self::Conflict => Self::Conflict,
            Self::ReadOnly(text) => Self::ReadOnly(text.clone()),
            Self::Full(text) => Self::Full(text.clone()),
            Self::Refused(text) => Self::Refused(text.clone()),
            Self::Unsupported(what) => Self::Unsupported(what),
            Self::Unavailable(text) => Self::Unavailable(text.clone()),
            Self::Denied { setting, reason } => {
                Self::Denied { setting: setting.clone(), reason: reason.clone() }
            }
            Self::Misconfigured { setting, reason } => {
                Self::Misconfigured { setting: setting.clone(), reason: reason.clone() }
            }
            Self::Unusable { path, reason } => {
                Self::Unusable { path: path.clone(), reason: reason.clone() }
            }
            Self::Io { context, source } => {
                let source = source.raw_os_error().map_or_else(
                    || std::io::Error::new(source.kind(), source.to_string()),
                    std::io::Error::from_raw_os_error,
                );
                Self::Io { context: context.clone(), source }
            }
        }
    }
}
