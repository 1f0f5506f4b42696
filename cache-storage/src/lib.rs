//! Where cached compiles live.
//!
//! [`Store`] is the one trait: records and blobs. [`DiskStore`] keeps them as files that many
//! processes share without a server; [`MemoryStore`] keeps them in memory; `RedbStore` (feature
//! `redb`) keeps them in one file that many processes share; `object::ObjectStoreBackend` (feature
//! `object-store`) keeps them in S3, Azure, Google's cloud or behind WebDAV. [`layers`] wrap any store: checks,
//! limits, and one store in front of another. [`conformance`] is the contract as a program: a
//! backend in another crate runs it from its own tests; [`testing`] has what those tests need to see
//! a store fail.
//!
//! # Versions of this crate
//!
//! It follows [Semantic Versioning](https://semver.org/spec/v2.0.0.html) as cargo reads it (before
//! 1.0 the second number counts as the first). For those who implement [`Store`] this means:
//!
//! - **Breaking**, and only in such a version: a method of [`Store`], [`BlobFiles`] or another public
//!   trait without a default; a stronger promise in the contract; a check in [`conformance`] that a
//!   store keeping the documented contract could fail.
//! - **Not breaking**, and possible in any version: a method with a default that is right for every
//!   store; a capability whose absence means what held before; a variant of [`StoreError`] or
//!   [`Operation`]; a field of a struct marked non-exhaustive; a check in [`conformance`] of what was
//!   documented before, which may find out a store that passed by luck.
//! - **Bytes** in a store outlive the crate's versions: each format has a version of its own, and one
//!   that a reader does not know is absent to it, never an error.
//! - `bytes`, `futures` and `async-trait` appear in the interface; a new major version of one of them
//!   is a breaking change here too.
#![forbid(unsafe_code)]

#[cfg(feature = "bundle")]
pub mod bundle;
mod capabilities;
pub mod conformance;
mod disk;
mod error;
mod files;
pub mod layers;
mod memory;
#[cfg(feature = "object-store")]
pub mod object;
mod operation;
#[cfg(feature = "redb")]
mod redb;
mod store;
pub mod testing;

pub use capabilities::Capabilities;
pub use disk::{
    Budget, DiskOptions, DiskStore, GcReport, MemoTable, Progress, Usage, VerifyReport,
};
pub use error::{Result, StoreError};
pub use files::{BlobFiles, Pin, Placed, Placement};
pub use memory::MemoryStore;
pub use operation::Operation;
#[cfg(feature = "redb")]
pub use redb::{RedbOptions, RedbStore};
pub use store::{
    BlobStream, Expected, RecordKeyStream, Revision, SizedBlob, Store, StoredRecord, append_entry,
};

use store::check_blob;
