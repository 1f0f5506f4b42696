//! Remote caching and remote execution over the Bazel Remote Execution API.
#![forbid(unsafe_code)]

mod address;
mod capabilities;
mod cas;
mod check;
mod client;
mod config;
mod connection;
mod content;
mod digest;
mod error;
mod execute;
mod inputs;
mod results;
mod retry;
mod runtime;
mod rustc;
pub mod schedule;
mod status;
mod store;
mod unique;

pub use capabilities::ServerCapabilities;
pub use cas::{Cas, CasStream, Uploaded};
pub use check::{CheckOptions, CheckReport, CheckedRun, Trouble, TroubleKind, check};
pub use client::Client;
pub use config::{Limits, ReapiConfig};
pub use content::Content;
pub use digest::{CasDigest, CasHasher, DigestFunction};
pub use error::{RemoteError, Result};
pub use execute::{
    Action, Control, Executed, Executor, LocalExecutor, Output, OutputContent, OutputKind,
    RacingExecutor, RemoteExecutor, Stage, Timings,
};
pub use inputs::{Directory, FileDigests, InputBuilder, InputFile, Node, scan};
pub use rustc::RustcExecutor;
pub use store::ReapiStore;
