//! Programs that a machine may lack.

use std::path::PathBuf;

/// Where a program is on `PATH`; says that the test is skipped when it is nowhere.
///
/// # Panics
/// When `LARDER_REQUIRE_LINKERS` is `1` and it is one that `.ci/run` installs.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|dir| dir.join(program));
    let found = places.find(|place| place.is_file());
    if found.is_none() {
        let required = std::env::var_os("LARDER_REQUIRE_LINKERS").is_some_and(|value| value == "1");
        assert!(!required || program == "wild", "{program} is required and not installed");
        eprintln!("skipped: {program} is not installed");
    }
    found
}
