//! Where cached compiles live.
//!
//! [`Store`] is the one trait: records and blobs. [`DiskStore`] keeps them as files that many
//! processes share without a server; [`MemoryStore`] keeps them in memory. [`conformance`] is the
//! contract as a program: a backend in another crate runs it from its own tests.
#![forbid(unsafe_code)]

pub mod conformance;
mod disk;
mod error;
mod files;
mod memory;
mod store;

pub use disk::{
    Budget, DiskOptions, DiskStore, GcReport, MemoTable, Progress, Usage, VerifyReport,
};
pub use error::{Result, StoreError};
pub use files::{BlobFiles, Pin, Placed, Placement};
pub use memory::MemoryStore;
pub use store::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Revision, Store, StoredRecord,
    append_entry,
};

use store::check_blob;
