//! Why bytes are not a record.

/// Why bytes are not a record. A reader treats each as "no record here".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes do not begin as a record does.
    #[error("not a record")]
    Magic,
    /// An envelope of another version.
    #[error("record envelope of version {version}, which this program does not read")]
    Envelope {
        /// The version found.
        version: u8,
    },
    /// The envelope is sound, but holds something other than a record.
    #[error("payload of kind {kind}, which this program does not read")]
    Kind {
        /// The kind found.
        kind: u8,
    },
    /// The envelope is sound, but its payload is of an older or newer version.
    #[error("record of version {version}, which this program does not read")]
    Unsupported {
        /// The version found.
        version: u16,
    },
    /// The bytes end too early.
    #[error("record cut short")]
    Truncated,
    /// Bytes follow where nothing should.
    #[error("bytes after the end of a record")]
    Trailing,
    /// The checksum does not match.
    #[error("record checksum does not match")]
    Checksum,
    /// The checksum is right, but the payload breaks a rule of the format.
    #[error("malformed record: {0}")]
    Malformed(&'static str),
}

impl DecodeError {
    /// Whether the bytes are whole but written by another version of the program: "not for us",
    /// as opposed to damaged.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::Envelope { .. } | Self::Kind { .. } | Self::Unsupported { .. })
    }
}
