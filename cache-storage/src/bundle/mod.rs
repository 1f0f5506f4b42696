//! Many outcomes in few requests: what a store that is far away holds instead of single blobs.
//!
//! A store in front of which each request takes as long as reading a megabyte is not asked for one blob
//! after the other. A [`Depot`] keeps these things in a [`Store`](crate::Store):
//!
//! - **Packs**: blobs that hold the blobs of several outcomes, those of an outcome compressed together (a
//!   library has its metadata in it once more), until there are [`PACK_SIZE`] bytes. They are read whole,
//!   so that their own digests can be checked on the way, and each member is checked again by its own.
//! - **Located records** ([`Located`]), under the recipe's own key: the record, and for each blob it names
//!   the pack that has it. An outcome that nothing else is known of costs one request for this, and one for
//!   each pack (mostly one).
//! - **Bundles**: for a whole build, all records and places in one blob, the [`Index`], to which a small
//!   record leads. Two requests tell everything about a build; then come its packs.
//! - **Registrations**: a small record for each pack, so that [`collect`](Depot::collect) finds packs that
//!   nothing leads to without a listing of blobs.
//!
//! Who signs records ([`layers::Signed`](crate::layers::Signed)) need not trust packs: located records and
//! bundles are signed, an index is named by its digest, and a pack's members by theirs.
//!
//! # Formats
//!
//! All integers are little-endian; *bytes* are a length (8) and that many bytes. Readers refuse other
//! versions as [`Damage::Version`], and treat what they refuse as absent.
//!
//! | thing        | bytes                                                                             |
//! |--------------|-----------------------------------------------------------------------------------|
//! | pack         | `89 6C 64 70` version (1) zeros (3), then groups: member count (4), members: digest (32), size (8); stored length (8), one zstd frame of all members (window of at most 2²³ bytes), zeros up to a 1024th of them |
//! | located      | `89 6C 64 6C` version (1) zeros (3), record (bytes), places, BLAKE3 of all before (32) |
//! | places       | pack count (4), packs: digest (32), stored size (8); blob count (4), blobs: digest (32), pack's position (4) |
//! | bundle       | `89 6C 64 62` version (1) zeros (3), created (8, seconds since the epoch), index: digest (32), size (8); pack count (4), packs: digest (32), stored size (8); BLAKE3 of all before (32) |
//! | index        | `89 6C 64 69` version (1) zeros (3), plain length (8), one zstd frame of: places, snapshot record (bytes), snapshot (bytes), unit count (4), units: key (32), record (bytes) |
//! | registration | `89 6C 64 67` version (1) zeros (3), created (8), digest (32), stored size (8), BLAKE3 of all before (32) |
//!
//! Packs and blobs ascend, each once. Lengths and counts are compared with the bytes that remain before anything is reserved; a frame is never
//! inflated beyond what was announced, and an index is announced to have at most [`MAX_INDEX`] bytes.

mod bundle_record;
mod codec;
mod collect;
mod depot;
mod fetch;
mod index;
mod keep;
mod located;
mod pack_reader;
mod pack_writer;
mod places;
mod publish;
mod recognise;
mod registration;
#[cfg(test)]
mod tests;

pub use collect::{CollectOptions, Collected};
pub use depot::{Depot, Unread};
pub use fetch::Fetched;
pub use index::{Index, IndexUnit, MAX_INDEX, Snapshot};
pub use located::Located;
pub use pack_reader::{Member, PackReader};
pub use places::{Pack, Places};
pub use publish::{PACK_SIZE, Parcel, Published};
pub use recognise::Recognised;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// They do not begin like it.
    #[error("it does not begin like what it should be")]
    Magic,
    /// Another version.
    #[error("it has format version {0}, which is not known here")]
    Version(u8),
    /// They end too early.
    #[error("it is shorter than it says")]
    Short,
    /// More follows.
    #[error("it is longer than it says")]
    Long,
    /// A checksum or a compressed frame is wrong.
    #[error("its bytes are damaged")]
    Bytes,
    /// A count, length or position that cannot be.
    #[error("it names what cannot be")]
    Value,
}
