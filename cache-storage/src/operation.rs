//! The operations of a store, by name.

use std::fmt;

/// An operation of a [`Store`](crate::Store), for counting and for choosing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`get_record`](crate::Store::get_record)
    GetRecord,
    /// [`put_record`](crate::Store::put_record)
    PutRecord,
    /// [`list_records`](crate::Store::list_records)
    ListRecords,
    /// [`delete_record`](crate::Store::delete_record)
    DeleteRecord,
    /// [`contains_blobs`](crate::Store::contains_blobs)
    ContainsBlobs,
    /// [`read_blob`](crate::Store::read_blob) and
    /// [`read_sized_blob`](crate::Store::read_sized_blob)
    ReadBlob,
    /// [`write_blob`](crate::Store::write_blob)
    WriteBlob,
    /// [`delete_blob`](crate::Store::delete_blob)
    DeleteBlob,
}

impl Operation {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::GetRecord,
        Self::PutRecord,
        Self::ListRecords,
        Self::DeleteRecord,
        Self::ContainsBlobs,
        Self::ReadBlob,
        Self::WriteBlob,
        Self::DeleteBlob,
    ];

    /// Its name, such as `get_record`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetRecord => "get_record",
            Self::PutRecord => "put_record",
            Self::ListRecords => "list_records",
            Self::DeleteRecord => "delete_record",
            Self::ContainsBlobs => "contains_blobs",
            Self::ReadBlob => "read_blob",
            Self::WriteBlob => "write_blob",
            Self::DeleteBlob => "delete_blob",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
