//! What a depot reads from a store that anyone may have written.

pub mod index;
pub mod pack;
pub mod places;
pub mod record;

/// How each thing begins, and integers at their limits.
pub const WORDS: &[&[u8]] = &[
    b"\x89ldp\x01\x00\x00\x00",
    b"\x89ldl\x01\x00\x00\x00",
    b"\x89ldb\x01\x00\x00\x00",
    b"\x89ldi\x01\x00\x00\x00",
    b"\x89ldg\x01\x00\x00\x00",
    b"\x28\xb5\x2f\xfd",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x01\x00\x00\x00\x00\x00\x00\x00",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
];

/// The beginning of a thing of this kind.
fn head(letter: u8) -> [u8; 8] {
    [0x89, b'l', b'd', letter, 1, 0, 0, 0]
}
