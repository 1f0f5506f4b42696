//! Paths with the place taken out.

use crate::RootName;

/// A path, either under a named root or as it is.
///
/// `Rooted` keeps the bytes after the root exactly (`""` or starting with `/`), trailing slashes
/// and `.` components included, so that expanding gives back what was templated.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Template {
    /// A path below (or equal to) a root.
    Rooted {
        /// Which root.
        root: RootName,
        /// What follows the root's path: empty, or starting with `/`.
        rest: Vec<u8>,
    },
    /// A path under no root: absolute, relative, or no path at all.
    Plain(Vec<u8>),
}

impl Template {
    /// Canonical bytes for hashing and for recipe values: `r`, the root's name, a NUL, the rest;
    /// or `p` and the path. A root's name has no NUL, so the two readings never overlap.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Rooted { root, rest } => {
                let mut out = Vec::with_capacity(2 + root.as_str().len() + rest.len());
                out.push(b'r');
                out.extend_from_slice(root.as_str().as_bytes());
                out.push(0);
                out.extend_from_slice(rest);
                out
            }
            Self::Plain(path) => {
                let mut out = Vec::with_capacity(1 + path.len());
                out.push(b'p');
                out.extend_from_slice(path);
                out
            }
        }
    }
}

/// For people: `{workspace}/src/lib.rs`.
impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rooted { root, rest } => write!(f, "{{{root}}}{}", String::from_utf8_lossy(rest)),
            Self::Plain(path) => f.write_str(&String::from_utf8_lossy(path)),
        }
    }
}

/// Whether a rest never climbs above its root, read component by component.
pub(crate) fn is_contained(rest: &[u8]) -> bool {
    let mut depth = 0_usize;
    for part in rest.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    true
}
