//! Where a unit stands in its build: what it waits for, as far as its command line tells.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use super::super::report::Report;
use super::super::unit::Unit;
use super::Stand;

/// Says it.
pub(super) fn of(unit: &Unit) -> Stand {
    let Some(target) = unit.place.target.clone() else { return Stand::default() };
    let mut report = Report::default();
    unit.describe(&mut report);
    let script = script(unit);
    let is_script = report.kind == "build-script";
    let mut needs: BTreeSet<String> =
        unit.externs.iter().filter_map(|(path, _)| name(path)).collect();
    // Nothing else leads from a package to the script whose run it waits for.
    if unit.env.contains_key(OsStr::new("OUT_DIR")) && !is_script {
        needs.extend(script.clone());
    }
    let name = script.filter(|_| is_script).unwrap_or_else(|| unit.name());
    Stand { target, name, needs }
}

/// The build script of the unit's package.
fn script(unit: &Unit) -> Option<String> {
    let get = |name: &str| unit.env.get(OsStr::new(name))?.to_str();
    Some(format!("script:{}@{}", get("CARGO_PKG_NAME")?, get("CARGO_PKG_VERSION")?))
}

/// The name of the unit that makes a library: `libNAME.rmeta`.
fn name(library: &Path) -> Option<String> {
    Some(library.file_stem()?.to_str()?.strip_prefix("lib")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_have_the_names_of_their_units() {
        for (path, want) in [
            ("/t/debug/deps/libserde-1a2b.rmeta", Some("serde-1a2b")),
            ("/t/debug/deps/libserde_derive-1a2b.so", Some("serde_derive-1a2b")),
            ("/t/debug/deps/other.rlib", None),
        ] {
            assert_eq!(name(Path::new(path)).as_deref(), want);
        }
    }
}
