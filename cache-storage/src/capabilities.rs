//! What a store declares about itself.

/// What a store can do beyond the minimum of [`Store`](crate::Store), and what it promises less.
///
/// The default is a store that is only read, in this process or on this machine. A backend says
/// what it is by name:
///
/// ```
/// # use cache_storage::Capabilities;
/// let can = Capabilities::default().with_write(true).with_remote(true);
/// assert!(can.write && can.remote && !can.files);
/// ```
///
/// A capability is added when a caller has a use for it; what it means when it is not declared is
/// always what held before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Writes are accepted. Without it each of them fails with
    /// [`ReadOnly`](crate::StoreError::ReadOnly), and callers need not try.
    pub write: bool,
    /// Blobs are local files: [`Store::files`](crate::Store::files) gives access, so that they can
    /// be linked and cloned instead of copied.
    pub files: bool,
    /// Requests cross a network: they are worth batching, coalescing and avoiding, and may need the
    /// runtime in which the store was opened.
    pub remote: bool,
    /// Records are not compared before they are swapped, because whatever keeps them cannot: of
    /// two writers at once both may be told that they succeeded, and what stays is one of the two.
    /// An entry may be lost so; a record is still never torn.
    pub last_write_wins: bool,
    /// Records cannot be listed, because whatever keeps them cannot:
    /// [`list_records`](crate::Store::list_records) fails with
    /// [`Unsupported`](crate::StoreError::Unsupported). Maintenance of such a store is its server's.
    pub unlisted: bool,
}

impl Capabilities {
    /// The same with [`write`](Self::write) as given.
    #[must_use]
    pub const fn with_write(mut self, write: bool) -> Self {
        self.write = write;
        self
    }

    /// The same with [`files`](Self::files) as given.
    #[must_use]
    pub const fn with_files(mut self, files: bool) -> Self {
        self.files = files;
        self
    }

    /// The same with [`remote`](Self::remote) as given.
    #[must_use]
    pub const fn with_remote(mut self, remote: bool) -> Self {
        self.remote = remote;
        self
    }

    /// The same with [`last_write_wins`](Self::last_write_wins) as given.
    #[must_use]
    pub const fn with_last_write_wins(mut self, last_write_wins: bool) -> Self {
        self.last_write_wins = last_write_wins;
        self
    }

    /// The same with [`unlisted`](Self::unlisted) as given.
    #[must_use]
    pub const fn with_unlisted(mut self, unlisted: bool) -> Self {
        self.unlisted = unlisted;
        self
    }
}
