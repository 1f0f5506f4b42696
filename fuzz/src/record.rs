//! Records on the wire: what decodes is canonical, and nothing panics.

use cache_core::wire::{self, RecordView};
use cache_core::{Digest, Record};

/// The start of every record, and integers at their limits.
pub const WORDS: &[&[u8]] = &[
    b"\x89ldr\x01\x01\x01\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\x00",
    b"\x00\x00\x00\x00",
    b"workspace",
];

/// Checks the bytes as they are, with a right checksum, and as the payload of either envelope.
pub fn check(data: &[u8]) {
    check_one(data);
    if let Some(len) = data.len().checked_sub(Digest::LEN) {
        check_one(&sealed(data[..len].to_vec()));
    }
    for kind in [1, 2] {
        let mut out = b"\x89ldr\x01".to_vec();
        out.extend([kind, 1, 0]);
        out.extend([0; 8]);
        out.extend((data.len() as u64).to_le_bytes());
        out.extend(data);
        check_one(&sealed(out));
    }
}

fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let sum = Digest::of(&body);
    body.extend(sum.as_bytes());
    body
}

fn check_one(bytes: &[u8]) {
    if let Ok(signed) = wire::open_signed(bytes) {
        assert_eq!(wire::seal_signed(&signed), bytes, "one signed record, one encoding");
        assert!(Record::decode(bytes).is_err());
    }
    let refs = wire::refs(bytes);
    let view = RecordView::parse(bytes);
    if let Ok(view) = &view {
        let _ = view.recipe();
        for entry in view.entries() {
            assert!(entry.indices().all(|index| index < view.facts().len()));
            let _ = entry.outcome();
        }
    }
    match Record::decode(bytes) {
        Ok(record) => {
            assert_eq!(record.encode(), bytes, "one record, one encoding");
            let refs = refs.expect("what decodes has refs");
            for (digest, size) in record.entries.iter().flat_map(|entry| entry.outcome.blobs()) {
                assert!(refs.contains(&(digest, size)));
            }
            let view = view.expect("what decodes can be viewed");
            assert_eq!(view.entries().len(), record.entries.len());
        }
        Err(error) if error.is_foreign() => assert!(view.is_err()),
        Err(_) => {}
    }
}
