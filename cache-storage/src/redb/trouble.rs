//! What redb's errors mean for the store.

use std::io::{self, ErrorKind};

use redb::{CommitError, DatabaseError, Error, StorageError, TableError, TransactionError};

use crate::StoreError;

/// Why a file is set aside; also the end of its new name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Its bytes are not what redb or the store wrote.
    Corrupt,
    /// It is of another format, or somebody else's.
    Incompatible,
}

impl Fate {
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Incompatible => "incompatible",
        }
    }
}

/// What stands in the way of a piece of work on the file.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The file is of no use.
    Damaged(Fate, String),
    /// The last writer was killed, and only a writer can put that right.
    Unclean,
    /// This handle is of no use any more; a new one may be.
    Stale(String),
    /// What the caller is told.
    Failed(StoreError),
}

impl Trouble {
    pub(super) fn corrupt(reason: impl Into<String>) -> Self {
        Self::Damaged(Fate::Corrupt, reason.into())
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // How redb says that a file does not begin as one of its own, or ends too early.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::corrupt(error.to_string()),
            _ => Self::Failed(StoreError::write("using the redb file", error)),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Io(e) => e.into(),
            Error::Corrupted(reason) => Self::corrupt(reason),
            Error::UpgradeRequired(_)
            | Error::TableTypeMismatch { .. }
            | Error::TableIsMultimap(_)
            | Error::TableIsNotMultimap(_)
            | Error::TypeDefinitionChanged { .. } => Self::Damaged(Fate::Incompatible, text),
            Error::RepairAborted => Self::Unclean,
            Error::DatabaseClosed
            | Error::PreviousIo
            | Error::LockPoisoned(_)
            | Error::TransactionPoisoned => Self::Stale(text),
            Error::Unsupported => {
                Self::Failed(StoreError::Unsupported("sharing a redb file on this system"))
            }
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => {
                let busy = io::Error::new(ErrorKind::ResourceBusy, text);
                Self::Failed(StoreError::read("opening the redb file", busy))
            }
            _ => Self::Failed(StoreError::read("using the redb file", io::Error::other(text))),
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Error::from(error).into()
            }
        })*
    };
}

from_redb!(CommitError, DatabaseError, StorageError, TableError, TransactionError);
