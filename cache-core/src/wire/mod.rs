//! The binary format of records.
//!
//! # Layout
//!
//! A record is an *envelope* around a *payload*. All integers are little-endian.
//!
//! | bytes    | field           | value                                                           |
//! |----------|-----------------|-----------------------------------------------------------------|
//! | 4        | magic           | `89 6C 64 72` (`\x89ldr`; no text begins so)                    |
//! | 1        | envelope version| 1                                                               |
//! | 1        | payload kind    | 1: record; 2: signed record                                     |
//! | 2        | payload version | [`VERSION`]; what the payload's bytes mean                      |
//! | 8        | ref count *n*   | blobs the payload names                                         |
//! | 40 × *n* | refs            | digest (32), size (8); strictly ascending                       |
//! | 8        | payload length  | *m*                                                             |
//! | *m*      | payload         | below                                                           |
//! | 32       | checksum        | BLAKE3 of everything before it                                  |
//!
//! The payload of version 1. *varint* is an unsigned LEB128 of up to 64 bits in its shortest form,
//! *bytes* a varint length and that many bytes, *text* the same in UTF-8.
//!
//! | part     | fields                                                                            |
//! |----------|-----------------------------------------------------------------------------------|
//! | payload  | recipe length (varint), recipe, fact count (varint), facts, entry count (1, at most [`MAX_ENTRIES`](crate::MAX_ENTRIES)), entries |
//! | recipe   | the bytes that [`Recipe::key`](crate::Recipe::key) hashes: field count (8), then per field: name length (8), name in UTF-8, value length (8), value |
//! | facts    | the distinct facts of all entries, strictly ascending in the order of [`Fact`](crate::Fact) |
//! | entry    | created (8), fact count (varint), index of each fact (4 each, strictly ascending), outcome length (varint), outcome |
//! | outcome  | exit code (4, two's complement), cost in µs (8), stdout (segments), stderr (segments), output count (varint), outputs |
//! | output   | role (1: `0` metadata, `1` rlib, `2` dep-info, `3` executable, `4` other, `5` directory, `6` symbolic link), mode (4, at most `0o777`), path (template), content |
//! | content  | `0` digest (32) size (8) &#124; `1` segments                                      |
//! | segments | count (varint), then each: `0` bytes &#124; `1` root                              |
//! | template | `0` root, rest (bytes) &#124; `1` path (bytes)                                    |
//! | root     | text of the form of [`RootName`](crate::RootName)                                 |
//! | fact     | `0` variant: name (text), value (32) &#124; `1` bound: root, path (bytes) &#124; `2` env: name (bytes), value &#124; `3` absent: template &#124; `4` present: template, kind (1: `0` file, `1` directory, `2` other, `3` program) &#124; `5` link: template, target (template) &#124; `6` directory: template, listing (32) &#124; `7` file: template, digest (32) |
//! | env value| `0` unset &#124; `1` digest (32) &#124; `2` template                              |
//!
//! The payload of a signed record, whose version is 1: the signer's ed25519 public key (32), a
//! signature (64), the record in its own envelope (the rest). Its refs are those of that record.
//! What is signed, and which keys count, is not this crate's matter; see [`open_signed`].
//!
//! Entries of one record have nearly all their facts in common, so facts are stored once and
//! named by index: sixteen entries cost little more than one, and a reader checks each fact once
//! ([`RecordView`]).
//!
//! Every record has exactly one encoding, and every encoding that decodes is the encoding of what
//! it decodes to.
//!
//! # Hostile bytes
//!
//! Decoding never panics. Counts and lengths are compared with the bytes that remain before
//! anything is reserved, so that memory stays below [`MAX_EXPANSION`] bytes per byte of input.
//! Refused are: trailing bytes, integers longer than needed, facts out of order, repeated or used
//! by no entry, indices out of range or order, names of roots that are not such, unknown tags,
//! names that are not UTF-8, modes beyond `0o777`, and refs that are not exactly those of the
//! payload.
//!
//! # Older and newer programs
//!
//! The envelope is frozen: [`refs`] reads it whatever the payload's version, so that a garbage
//! collector of any version keeps the blobs that a record of any version needs. Only the payload
//! changes, and each change takes a new [`VERSION`] *and* a new
//! [`Recipe::CONTEXT`](crate::Recipe::CONTEXT), so that writers of different versions never meet
//! at one key. A reader that meets another version all the same treats the record as absent.
//!
//! | reader | record written by | `decode`                          | `refs`   | so                       |
//! |--------|-------------------|-----------------------------------|----------|--------------------------|
//! | old    | old               | the record                        | its refs | hit                      |
//! | old    | new               | [`DecodeError::Unsupported`]      | its refs | absent, and kept         |
//! | new    | old               | [`DecodeError::Unsupported`]      | its refs | absent, kept until evicted |
//! | new    | new               | the record                        | its refs | hit                      |
//! | any    | another envelope  | [`DecodeError::Envelope`]         | the same | absent, and not collectable by what it names |
//! | any    | another kind      | [`DecodeError::Kind`]             | its refs | absent, and kept         |
//! | any    | damaged bytes     | any other error                   | an error | absent; may be replaced  |
//!
//! "Unsupported" is said only of bytes whose checksum is right; damage is never mistaken for
//! another version. An envelope of another version would be the end of this promise, so there is
//! none planned; the byte exists so that one could be told from damage.

mod envelope;
mod error;
mod fact;
mod outcome;
mod reader;
mod record;
mod signed;
mod view;
mod writer;

pub use envelope::{VERSION, refs};
pub use error::DecodeError;
pub use signed::{SignedRecord, open_signed, seal_signed};
pub use view::{EntryView, RecordView};

/// Decoding keeps at most this many bytes of memory per byte of input.
pub const MAX_EXPANSION: usize = 64;
