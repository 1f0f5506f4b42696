//! Blobs as local files: placing them in a target directory without copying where that is right.

use std::path::Path;

use cache_core::{Digest, RecipeKey};

use crate::Result;

/// How a blob may appear at its destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// An inode of its own with a fresh mtime: reflink where the file system can, else a copy.
    Private,
    /// A hard link to the store's read-only inode is welcome; else as `Private`. The link keeps
    /// the blob's old mtime.
    MayLink,
}

/// How a blob did appear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// Hard link.
    Linked,
    /// Reflink (shares blocks, private inode).
    Cloned,
    /// Copy.
    Copied,
}

/// Keeps a record and the blobs it names from being evicted while it lives. Dropping releases.
pub trait Pin: Send + std::fmt::Debug {}

/// File access to the blobs of a store on this machine. Synchronous: these are the hot path.
pub trait BlobFiles: Send + Sync + std::fmt::Debug {
    /// Marks the record as used now and keeps it and its blobs from eviction by any process until
    /// the pin is dropped. `None` when the record is not there. Pin first, then read the record:
    /// what was read before may have been evicted or replaced since.
    ///
    /// # Errors
    /// What the system says. A store that cannot be written gives a pin that protects nothing.
    fn pin(&self, key: &RecipeKey) -> Result<Option<Box<dyn Pin>>>;

    /// Makes the blob appear at `dest` (which is replaced atomically: temporary name in the same
    /// directory, then rename), with permission bits `mode`, its bytes checked against its digest
    /// (read and hashed, or, for a link or clone, an unchanged inode in the digest memo).
    /// A link keeps the store's bits (`0o444`, or `0o555` for executables).
    ///
    /// # Errors
    /// [`StoreError::BlobAbsent`](crate::StoreError::BlobAbsent);
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt), after setting the blob aside.
    fn place(
        &self,
        digest: &Digest,
        dest: &Path,
        mode: u32,
        placement: Placement,
    ) -> Result<Placed>;

    /// Takes a finished file into the store as the blob `digest` (which the caller has computed
    /// from its bytes). `MayLink`: the store may hard-link the file and take away its write
    /// permission; else it is cloned or copied, and the copied bytes are checked. A blob that is
    /// there already stays as it is, and so does the file: [`Placed::Copied`].
    ///
    /// # Errors
    /// [`StoreError::Refused`](crate::StoreError::Refused) when the bytes copied are not of the
    /// digest; [`StoreError::ReadOnly`](crate::StoreError::ReadOnly),
    /// [`StoreError::Full`](crate::StoreError::Full).
    fn adopt(
        &self,
        digest: &Digest,
        size: u64,
        from: &Path,
        placement: Placement,
    ) -> Result<Placed>;

    /// The digest of a file, from the memo when its stamp (device, inode, size, mtime) is known
    /// there and old enough to trust, else by reading it (and remembering).
    ///
    /// # Errors
    /// What opening or reading says.
    fn digest_file(&self, path: &Path) -> std::io::Result<Digest>;

    /// Tells the memo the digest of a file that the caller has just produced or read whole.
    fn remember(&self, path: &Path, digest: &Digest);
}
