//! What can go wrong between here and an engine, by what the caller can do about it.

use cache_storage::StoreError;

use crate::CasDigest;

/// A result of this crate.
pub type Result<T, E = RemoteError> = std::result::Result<T, E>;

/// What went wrong. Whatever it is, a build goes on locally.
///
/// | variant | again later? | who can help |
/// |---|---|---|
/// | [`Unavailable`](Self::Unavailable), [`TimedOut`](Self::TimedOut) | yes | nobody, or who runs the engine |
/// | [`Missing`](Self::Missing) | after uploading | the caller |
/// | [`Denied`](Self::Denied), [`Misconfigured`](Self::Misconfigured) | no | the user: the setting is named |
/// | [`Full`](Self::Full), [`Refused`](Self::Refused), [`Unsupported`](Self::Unsupported) | no | |
/// | [`Corrupt`](Self::Corrupt), [`Garbage`](Self::Garbage), [`Failed`](Self::Failed) | no | who runs the engine |
/// | [`Local`](Self::Local) | no | the user: the path is named |
/// | [`Cancelled`](Self::Cancelled) | as the caller likes | |
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The engine cannot be reached, or is overloaded.
    #[error("the engine is unavailable: {0}")]
    Unavailable(String),
    /// It did not answer, or did not finish, in the time it was given.
    #[error("the engine took too long: {0}")]
    TimedOut(String),
    /// Blobs that were asked for, or that an action needs, are not there (or no longer).
    #[error("{} blobs are not on the engine, {} among them", .0.len(), .0.first().map_or_else(|| "unnamed".to_owned(), ToString::to_string))]
    Missing(Vec<CasDigest>),
    /// The engine refuses who asks.
    #[error("access denied ({setting}): {reason}")]
    Denied {
        /// The setting to look at.
        setting: String,
        /// What the engine said.
        reason: String,
    },
    /// It cannot work as it is configured.
    #[error("{setting}: {reason}")]
    Misconfigured {
        /// The setting that is wrong.
        setting: String,
        /// Why, and what to do.
        reason: String,
    },
    /// No room, or over a quota.
    #[error("no room on the engine: {0}")]
    Full(String),
    /// Bytes are not what they were announced to be, or more than the engine takes.
    #[error("refused: {0}")]
    Refused(String),
    /// The engine does not do this.
    #[error("the engine does not support {0}")]
    Unsupported(String),
    /// The bytes that came are not those of the digest.
    #[error("blob {asked} is corrupt: what came is {found}")]
    Corrupt {
        /// What was asked for.
        asked: CasDigest,
        /// What came.
        found: CasDigest,
    },
    /// An answer that makes no sense.
    #[error("the engine answers with garbage: {0}")]
    Garbage(String),
    /// The engine tried and failed, and did not say that trying again would help.
    #[error("the engine has failed: {0}")]
    Failed(String),
    /// Something on this machine: a file that cannot be read or written.
    #[error("{0}")]
    Local(String),
    /// Whoever asked has lost interest.
    #[error("cancelled")]
    Cancelled,
}

impl RemoteError {
    /// Whether the same request may succeed later though nothing is done about it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut(_))
    }

    pub(crate) fn misconfigured(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Misconfigured { setting: setting.into(), reason: reason.into() }
    }

    /// Of the file system.
    pub(crate) fn local(what: impl std::fmt::Display, source: &std::io::Error) -> Self {
        Self::Local(format!("{what}: {source}"))
    }
}

impl From<RemoteError> for StoreError {
    fn from(error: RemoteError) -> Self {
        use RemoteError as E;
        match error {
            E::Unavailable(text) | E::TimedOut(text) => Self::Unavailable(text),
            E::Denied { setting, reason } => Self::Denied { setting, reason },
            E::Misconfigured { setting, reason } => Self::Misconfigured { setting, reason },
            E::Full(text) => Self::Full(text),
            E::Refused(text) => Self::Refused(text),
            other => {
                let source = std::io::Error::other(other.to_string());
                Self::Io { context: "the engine's cache".into(), source }
            }
        }
    }
}
