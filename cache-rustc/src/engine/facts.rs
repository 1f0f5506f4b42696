//! The facts of an observation: how each is taken from this machine, and whether it holds here.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache_core::{Digest, EnvValue, Fact, Hasher, NodeKind, Segment, Template, TextTemplate};

use super::action::Action;
use super::place::Place;

/// Reads digests of files; the memo behind it makes repeated ones cheap.
pub trait Digests {
    /// The digest of a file's content.
    ///
    /// # Errors
    /// What opening or reading says.
    fn digest_file(&self, path: &Path) -> std::io::Result<Digest>;
}

/// An action's view of the world, with what was asked already remembered.
pub struct World<'a> {
    /// The action.
    pub action: &'a dyn Action,
    /// Reads digests.
    pub digests: &'a dyn Digests,
    seen: std::cell::RefCell<HashMap<PathBuf, Option<Digest>>>,
}

impl<'a> World<'a> {
    /// A view.
    pub fn new(action: &'a dyn Action, digests: &'a dyn Digests) -> Self {
        Self { action, digests, seen: std::cell::RefCell::default() }
    }

    /// The digest of a file, or `None` when it cannot be read.
    pub fn digest(&self, path: &Path) -> Option<Digest> {
        if let Some(known) = self.seen.borrow().get(path) {
            return *known;
        }
        let digest = self.digests.digest_file(path).ok();
        self.seen.borrow_mut().insert(path.to_path_buf(), digest);
        digest
    }

    /// Whether a fact holds here.
    pub fn holds(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Variant { name, value } => self.action.variant(name) == Some(*value),
            Fact::Bound { root, path } => self.action.place().roots.get(root) == Some(path),
            Fact::Env { name, value } => self.env_value(name, value) == *value,
            Fact::Absent { path } => self.at(path, is_absent),
            Fact::Present { path, kind: NodeKind::Program } => self.at(path, is_program),
            Fact::Present { path, kind } => self.at(path, |path| kind_of(path) == Some(*kind)),
            Fact::Link { path, target } => self.at(path, |path| {
                std::fs::read_link(path).is_ok_and(|now| {
                    self.action.place().roots.template(now.as_os_str().as_bytes()) == *target
                })
            }),
            Fact::Dir { path, listing } => {
                self.at(path, |path| listing_of(path).is_ok_and(|now| now == *listing))
            }
            Fact::File { path, digest } => self.at(path, |path| self.digest(path) == Some(*digest)),
        }
    }

    fn at(&self, path: &Template, holds: impl FnOnce(&Path) -> bool) -> bool {
        self.action.place().expand(path).is_some_and(|path| path.is_absolute() && holds(&path))
    }

    fn env_value(&self, name: &[u8], like: &EnvValue) -> EnvValue {
        let as_path = matches!(like, EnvValue::Path(_));
        let place = self.action.place();
        match self.action.env().get(&OsString::from_vec(name.to_vec())) {
            None => EnvValue::Unset,
            Some(value) if as_path => EnvValue::Path(place.roots.template(value.as_bytes())),
            Some(value) => EnvValue::Digest(value_digest(place, value.as_bytes())),
        }
    }
}

/// The value of a variable as a fact records it: a path under a root by its template, anything
/// else by its digest, places taken out.
#[must_use]
pub(super) fn env_fact(place: &Place, name: &[u8], value: Option<&[u8]>) -> Fact {
    let value = match value {
        None => EnvValue::Unset,
        Some(value) => match place.roots.template(value) {
            rooted @ Template::Rooted { .. } => EnvValue::Path(rooted),
            Template::Plain(value) => EnvValue::Digest(value_digest(place, &value)),
        },
    };
    Fact::Env { name: name.to_vec(), value }
}

/// A digest over a whole environment, places taken out, for code that read all of it at once.
#[must_use]
pub(super) fn environ_digest(place: &Place, sorted: &[(OsString, OsString)]) -> Digest {
    let mut hasher = Hasher::keyed("larder 2026-11 environ v1");
    for (name, value) in sorted {
        hasher.field(name.as_bytes());
        let text = TextTemplate::new(value.as_bytes(), &place.roots, <[u8]>::to_vec);
        add_segments(&mut hasher, &text);
        hasher.field(b"end");
    }
    hasher.finish()
}

/// The digest of a variable's value; of one that names places (a search path, flags), with their
/// names instead. That outputs carry none of them is found by looking at the outputs.
fn value_digest(place: &Place, value: &[u8]) -> Digest {
    let text = TextTemplate::new(value, &place.roots, <[u8]>::to_vec);
    if !text.segments.iter().any(|segment| matches!(segment, Segment::Root(_))) {
        return Digest::of(value);
    }
    let mut hasher = Hasher::keyed("larder 2026-11 value v1");
    add_segments(&mut hasher, &text);
    hasher.finish()
}

fn add_segments(hasher: &mut Hasher, text: &TextTemplate) {
    for segment in &text.segments {
        match segment {
            Segment::Text(text) => hasher.field(b"t").field(text),
            Segment::Root(root) => hasher.field(b"r").field(root.as_str().as_bytes()),
        };
    }
}

/// Whether nothing is there, as `stat` sees it (a dangling link is absent too).
#[must_use]
pub(super) fn is_absent(path: &Path) -> bool {
    use std::io::ErrorKind;
    std::fs::metadata(path)
        .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

/// Whether a regular file is there that somebody may execute.
#[must_use]
pub(super) fn is_program(path: &Path) -> bool {
    let may = |meta: std::fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o111 != 0;
    std::fs::metadata(path).is_ok_and(may)
}

/// What kind of thing is there, as `stat` sees it; a program is a file here.
#[must_use]
pub(super) fn kind_of(path: &Path) -> Option<NodeKind> {
    std::fs::metadata(path).ok().map(|meta| match meta.file_type() {
        kind if kind.is_file() => NodeKind::File,
        kind if kind.is_dir() => NodeKind::Dir,
        _ => NodeKind::Other,
    })
}

/// The digest of a directory's entries: names and kinds, sorted by name.
///
/// # Errors
/// What listing says.
pub(super) fn listing_of(path: &Path) -> std::io::Result<Digest> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let tag: &[u8] = if kind.is_dir() {
            b"d"
        } else if kind.is_symlink() {
            b"l"
        } else {
            b"f"
        };
        entries.push((entry.file_name(), tag));
    }
    entries.sort_unstable();
    let mut hasher = Hasher::keyed(LISTING);
    for (name, tag) in entries {
        hasher.field(name.as_bytes()).field(tag);
    }
    Ok(hasher.finish())
}

/// What [`listing_of`] gives for an empty directory.
#[must_use]
pub(super) fn empty_listing() -> Digest {
    Hasher::keyed(LISTING).finish()
}

const LISTING: &str = "larder 2026-11 listing v1";
