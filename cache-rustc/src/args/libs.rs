//! `-L` and `-l`: where to search, and native libraries.

use std::path::PathBuf;

use super::Reason;

/// What a search directory is for (`rustc_session::search_paths::PathKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SearchKind {
    /// `dependency=`: crates that other crates need.
    Dependency,
    /// `crate=`: crates that the source names.
    Crate,
    /// `native=`: native libraries.
    Native,
    /// `framework=`: macOS frameworks.
    Framework,
    /// `all=`, or no kind.
    All,
}

/// One `-L`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchPath {
    /// What it is searched for.
    pub kind: SearchKind,
    /// The directory, as given.
    pub path: PathBuf,
}

impl SearchPath {
    /// Splits `KIND=PATH`; also gives the two parts as text. A `=` behind anything else belongs
    /// to the path.
    pub(super) fn parse(value: &str) -> Result<(Self, &str, &str), Reason> {
        let kinds = [
            ("dependency=", SearchKind::Dependency),
            ("crate=", SearchKind::Crate),
            ("native=", SearchKind::Native),
            ("framework=", SearchKind::Framework),
            ("all=", SearchKind::All),
        ];
        let (prefix, kind) = kinds
            .into_iter()
            .find(|(prefix, _)| value.starts_with(prefix))
            .unwrap_or(("", SearchKind::All));
        let path = &value[prefix.len()..];
        // `-L @RUSTC_BUILTIN/…` is an unstable way to name the toolchain's own directories.
        if path.is_empty() || path.starts_with('@') {
            return Err(Reason::InvalidValue("-L"));
        }
        Ok((Self { kind, path: PathBuf::from(path) }, prefix, path))
    }
}

/// What kind of native library (`rustc_session::utils::NativeLibKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NativeLibKind {
    /// `static`: for a library crate, the archive is read and copied into the `.rlib`.
    Static,
    /// `dylib`.
    Dylib,
    /// `framework`.
    Framework,
    /// No kind: what the source says, else `dylib`.
    Unspecified,
}

/// One `-l`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NativeLib {
    /// Its kind.
    pub kind: NativeLibKind,
    /// The modifiers in their order, with their sign: `+whole-archive`.
    pub modifiers: Vec<String>,
    /// The name before the colon.
    pub name: String,
    /// The name after it.
    pub rename: Option<String>,
}

impl NativeLib {
    pub(super) fn parse(value: &str) -> Result<Self, Reason> {
        let invalid = || Reason::InvalidValue("-l");
        let (spec, name) = match value.split_once('=') {
            Some((spec, name)) => (Some(spec), name),
            None => (None, value),
        };
        let (kind, modifiers) = match spec.map(|spec| spec.split_once(':').unwrap_or((spec, ""))) {
            None => (NativeLibKind::Unspecified, ""),
            Some(("static", modifiers)) => (NativeLibKind::Static, modifiers),
            Some(("dylib", modifiers)) => (NativeLibKind::Dylib, modifiers),
            Some(("framework", modifiers)) => (NativeLibKind::Framework, modifiers),
            Some(_) => return Err(invalid()),
        };
        let modifiers: Vec<String> =
            modifiers.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
        if !modifiers.iter().all(|m| m.starts_with(['+', '-'])) {
            return Err(invalid());
        }
        let (name, rename) = match name.split_once(':') {
            Some((name, rename)) => (name, Some(rename.to_owned())),
            None => (name, None),
        };
        if name.is_empty() {
            return Err(invalid());
        }
        Ok(Self { kind, modifiers, name: name.to_owned(), rename })
    }
}
