//! Indexes: what decodes survives another round, and nothing is inflated beyond what it says.

use cache_storage::bundle::{Index, MAX_INDEX};

use super::head;

/// Checks the bytes as they are, as a frame, and as what a frame inflates to.
pub fn check(data: &[u8]) {
    check_one(data);
    check_one(&[&head(b'i')[..], data].concat());
    let frame = zstd::bulk::compress(data, 1).expect("memory for a frame");
    let length = data.len() as u64;
    for claim in [length, length + 1, length.wrapping_sub(1), MAX_INDEX as u64 + 1, u64::MAX] {
        let whole = [&head(b'i')[..], &claim.to_le_bytes(), &frame].concat();
        assert!(claim == length || Index::decode(&whole).is_err(), "a wrong length");
        check_one(&whole);
    }
}

fn check_one(bytes: &[u8]) {
    let Ok(index) = Index::decode(bytes) else { return };
    for unit in &index.units {
        assert_eq!(unit.key, unit.record.recipe.key());
    }
    let again = index.encode().expect("it is not longer than it was");
    assert_eq!(Index::decode(&again), Ok(index));
}
