//! Why there is no trace.

use super::log::LogError;
use std::io;
use std::path::PathBuf;

/// Why no program, or not this one, can be traced. Not an error of the compile: the conservative rules apply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// This platform has no tracer, or it could not be built along with this library.
    #[error("built without a tracer for this platform")]
    NotBuilt,
    /// The directory for the preload object is on a file system that allows no code.
    #[error("{} is mounted noexec", dir.display())]
    NoExec {
        /// The directory.
        dir: PathBuf,
    },
    /// The program is linked statically or run by a dynamic loader that cannot load the preload object.
    #[error("{}: {reason}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Why a trace is missing or cannot be trusted. An execution that ends so must not be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The log could not be made or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The log's path is relative or too long, or there is a file already.
    #[error("{}: not a usable path for a trace log", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The program never reported: the tracer was not in force.
    #[error("the traced program did not report")]
    NotInForce,
    /// A process could not log something.
    #[error("the trace lacks events that could not be written")]
    Lost,
    /// The log is larger than this library reads.
    #[error("the trace log has {size} bytes")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The log is damaged, as by a process that was killed while it wrote.
    #[error(transparent)]
    Log(#[from] LogError),
}
