//! Dep-info files: what parses is rendered to the same bytes.

use cache_rustc::dep_info::DepInfo;

/// The parts of a dep-info file.
pub const WORDS: &[&[u8]] = &[
    b": ",
    b":\n",
    b"\n\n",
    b"\\ ",
    b"\\",
    b"# env-dep:",
    b"=",
    b"\r\n",
    b"\\n",
    b"# checksum:blake3=",
    b" file_len:12 ",
    b"src/lib.rs",
    b"a.d",
];

/// Checks a dep-info file.
pub fn check(data: &[u8]) {
    let Ok(info) = DepInfo::parse(data) else { return };
    assert!(!info.files.is_empty(), "a list of inputs is not empty");
    assert_eq!(info.render(), data);
    assert_eq!(info.clone().map_paths(<[u8]>::to_vec), info);
}
