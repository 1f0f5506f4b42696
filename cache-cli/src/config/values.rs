//! How each setting's value is written.

use std::ffi::OsStr;
use std::path::PathBuf;

use cache_rustc::engine::{Mode, PathMode};
use cache_rustc::linker::Linker;
use cache_storage::Budget;

/// Whether and how the cache is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    On,
    Off,
    ReadOnly,
    Refresh,
}

impl Use {
    /// What it means for the engine; `None`: the engine is not asked.
    pub(crate) fn engine(self) -> Option<Mode> {
        match self {
            Self::On => Some(Mode::ReadWrite),
            Self::Off => None,
            Self::ReadOnly => Some(Mode::ReadOnly),
            Self::Refresh => Some(Mode::Refresh),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::ReadOnly => "readonly",
            Self::Refresh => "refresh",
        }
    }
}

/// Why a value cannot be used, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) message: String,
    pub(crate) fix: String,
}

pub(super) fn one_of<T: Copy>(value: &str, known: &[(&str, T)]) -> Result<T, Unusable> {
    if let Some((_, found)) = known.iter().find(|(name, _)| *name == value) {
        return Ok(*found);
    }
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    Err(Unusable { message: "not a known value".into(), fix: suggest(value, &names) })
}

/// "write X" when one name is close to what was written, else all names.
pub(super) fn suggest(value: &str, names: &[&str]) -> String {
    let list = names.join(", ");
    match nearest(value, names) {
        Some(name) => format!("write {name} (known: {list})"),
        None => format!("write one of: {list}"),
    }
}

fn nearest<'n>(value: &str, names: &[&'n str]) -> Option<&'n str> {
    let near = |name: &&str| strsim::jaro_winkler(&value.to_lowercase(), name);
    let best = names.iter().copied().max_by(|a, b| near(a).total_cmp(&near(b)))?;
    (near(&best) > 0.7).then_some(best)
}

pub(super) fn mode(value: &str) -> Result<Use, Unusable> {
    one_of(
        value,
        &[
            ("on", Use::On),
            ("off", Use::Off),
            ("readonly", Use::ReadOnly),
            ("refresh", Use::Refresh),
        ],
    )
}

pub(super) fn paths(value: &str) -> Result<PathMode, Unusable> {
    one_of(value, &[("portable", PathMode::Portable), ("exact", PathMode::Exact)])
}

/// `default` is rustc's own choice.
pub(super) fn linker(value: &str) -> Result<Option<Linker>, Unusable> {
    let known = Linker::ALL.map(|linker| (linker.name(), Some(linker)));
    one_of(value, &[&known[..], &[("default", None)]].concat())
}

/// A linker other than rustc's choice.
pub(crate) fn other_linker(value: &str) -> Result<Linker, Unusable> {
    one_of(value, &Linker::ALL.map(|linker| (linker.name(), linker)))
}

pub(super) fn on_off(value: &str) -> Result<bool, Unusable> {
    one_of(value, &[("on", true), ("off", false)])
}

/// Names of packages, as in `Cargo.toml`.
pub(super) fn packages<'v>(names: impl Iterator<Item = &'v str>) -> Result<Vec<String>, Unusable> {
    let good = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    let names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !good(name)) {
        None => Ok(names),
        Some(name) => Err(Unusable {
            message: format!("{name:?} is not the name of a package"),
            fix: "write names as they stand in Cargo.toml, without versions".into(),
        }),
    }
}

/// Compilers run in many directories, so a relative path would name many places.
pub(super) fn absolute(value: &OsStr) -> Result<PathBuf, Unusable> {
    let path = PathBuf::from(value);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Unusable {
        message: "not an absolute path".into(),
        fix: match std::path::absolute(&path) {
            Ok(path) => format!("write {}", path.display()),
            Err(_) => "write a path that starts with /".into(),
        },
    })
}

/// `auto`, `unlimited`, or a number with an optional unit: `20GiB`, `500 MB`, `1.5T`.
pub(crate) fn size(value: &str) -> Result<Budget, Unusable> {
    match value.trim() {
        "auto" => return Ok(Budget::Auto),
        "unlimited" => return Ok(Budget::Unlimited),
        value => bytes(value).map(Budget::Bytes),
    }
    .ok_or_else(|| Unusable {
        message: "not a size".into(),
        fix: "write a number with a unit such as \"20GiB\" or \"500MB\", or \"auto\" or \"unlimited\""
            .into(),
    })
}

fn bytes(value: &str) -> Option<u64> {
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    let Some((whole, fraction)) = number.split_once('.') else {
        return number.parse::<u64>().ok()?.checked_mul(unit);
    };
    // Thousandths are as fine as anyone writes.
    let fraction = format!("{fraction:0<3}");
    let thousandths: u64 = fraction.get(..3)?.parse().ok()?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    whole.checked_add(unit.checked_mul(thousandths)? / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, want) in [
            ("0", 0),
            ("4096", 4096),
            ("20GiB", 20 << 30),
            ("20 G", 20 << 30),
            ("1.5kb", 1500),
            ("500MB", 500_000_000),
        ] {
            assert_eq!(size(text), Ok(Budget::Bytes(want)), "{text}");
        }
        assert_eq!(size("auto"), Ok(Budget::Auto));
        assert_eq!(size("unlimited"), Ok(Budget::Unlimited));
        for text in ["", "GiB", "20 parsecs", "-1", "1.2.3", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_near_miss_gets_its_right_name() {
        let error = mode("read-only").expect_err("unknown");
        assert!(error.fix.starts_with("write readonly"), "{}", error.fix);
        let error = mode("qqq").expect_err("unknown");
        assert!(error.fix.starts_with("write one of: on, off"), "{}", error.fix);
    }
}
