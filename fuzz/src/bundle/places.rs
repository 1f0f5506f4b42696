//! Places: what decodes is canonical.

use cache_storage::bundle::Places;

/// Checks the bytes as they are.
pub fn check(data: &[u8]) {
    let Ok(places) = Places::decode(data) else { return };
    assert_eq!(places.encode(), data, "one set of places, one encoding");
    let packs = places.packs();
    for (blob, pack) in places.iter() {
        assert_eq!(places.of(blob), Some(*pack));
        assert!(packs.contains(pack));
    }
}
