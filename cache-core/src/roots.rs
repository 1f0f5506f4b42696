//! Named roots: the places of this machine and checkout that templates leave out.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Template;
use crate::template::is_contained;

/// The name of a root, such as `workspace` or `cargo_home`: lowercase ASCII letters, digits and
/// `_`, starting with a letter, at most 32 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RootName(Arc<str>);

/// Why a root is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// The name is not of the form that [`RootName`] describes.
    #[error("bad root name {0:?}")]
    Name(String),
    /// The path is not absolute, is `/` itself, or has `.`, `..` or empty components.
    #[error("root {name} must be an absolute, normal path other than `/`")]
    Path {
        /// Which root.
        name: RootName,
    },
    /// Two roots of one name.
    #[error("root {0} is named twice")]
    Twice(RootName),
}

impl RootName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 32;

    /// A name, checked.
    ///
    /// # Errors
    /// [`RootsError::Name`] when it is not of the documented form.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, RootsError> {
        let name = name.into();
        let mut bytes = name.bytes();
        let good_start = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let good_rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if good_start && good_rest && name.len() <= Self::MAX_LEN {
            Ok(Self(name.into()))
        } else {
            Err(RootsError::Name(name.into_owned()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RootName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The roots of one invocation, each a name for an absolute path.
///
/// Roots may be nested and may share a path; a path is templated under the deepest root that
/// contains it, and of roots with one path under the one added first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Deepest (longest) first; among equals in the order added.
    list: Vec<(RootName, Vec<u8>)>,
}

impl Roots {
    /// No roots: every path is plain.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root. One trailing `/` is dropped.
    ///
    /// # Errors
    /// [`RootsError`] when the name is taken or the path is not absolute and normal.
    pub fn add(&mut self, name: RootName, path: &[u8]) -> Result<(), RootsError> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if self.get(&name).is_some() {
            return Err(RootsError::Twice(name));
        }
        let normal = path.strip_prefix(b"/").is_some_and(|rest| {
            rest.split(|b| *b == b'/').all(|part| !part.is_empty() && part != b"." && part != b"..")
        });
        if !normal || path.contains(&0) {
            return Err(RootsError::Path { name });
        }
        let at = self.list.partition_point(|(_, other)| other.len() >= path.len());
        self.list.insert(at, (name, path.to_vec()));
        Ok(())
    }

    /// The path of a root.
    #[must_use]
    pub fn get(&self, name: &RootName) -> Option<&[u8]> {
        self.list.iter().find(|(other, _)| other == name).map(|(_, path)| path.as_slice())
    }

    /// Every root, deepest first.
    pub fn iter(&self) -> impl Iterator<Item = (&RootName, &[u8])> {
        self.list.iter().map(|(name, path)| (name, path.as_slice()))
    }

    /// Takes the place out of `path`. [`Roots::expand`] with the same roots gives back exactly
    /// the same bytes. A path that climbs out of its root with `..` stays plain.
    #[must_use]
    pub fn template(&self, path: &[u8]) -> Template {
        for (name, root) in &self.list {
            if let Some(rest) = path.strip_prefix(root.as_slice())
                && (rest.is_empty() || rest[0] == b'/')
                && is_contained(rest)
            {
                return Template::Rooted { root: name.clone(), rest: rest.to_vec() };
            }
        }
        Template::Plain(path.to_vec())
    }

    /// Puts this place's path back. `None` when the root is not known here, or when the rest
    /// would leave the root (a hostile record).
    ///
    /// The rest is judged by its components alone: a symbolic link below the root can still lead
    /// out of it, and a plain template is given back as it is. Whoever writes to the path checks
    /// that it is one of those that this invocation writes.
    #[must_use]
    pub fn expand(&self, template: &Template) -> Option<Vec<u8>> {
        match template {
            Template::Plain(path) => Some(path.clone()),
            Template::Rooted { root, rest } => {
                let base = self.get(root)?;
                if !(rest.is_empty() || rest[0] == b'/') || !is_contained(rest) {
                    return None;
                }
                let mut path = Vec::with_capacity(base.len() + rest.len());
                path.extend_from_slice(base);
                path.extend_from_slice(rest);
                Some(path)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &'static str) -> RootName {
        RootName::new(text).unwrap()
    }

    fn rooted(root: &'static str, rest: &[u8]) -> Template {
        Template::Rooted { root: name(root), rest: rest.to_vec() }
    }

    fn plain(path: &[u8]) -> Template {
        Template::Plain(path.to_vec())
    }

    #[test]
    fn names_have_one_form() {
        let longest = "a".repeat(RootName::MAX_LEN);
        for good in ["a", "workspace", "out_dir_2", &longest] {
            assert_eq!(RootName::new(good.to_owned()).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(RootName::MAX_LEN + 1);
        for bad in ["", "A", "_a", "2", "a-b", "a b", "a/b", "a\0", "é", "aé", &too_long] {
            assert_eq!(RootName::new(bad.to_owned()), Err(RootsError::Name(bad.to_owned())));
        }
    }

    #[test]
    fn roots_are_absolute_and_normal() {
        let bad: [&[u8]; 13] = [
            b"", b"/", b"//", b"ws", b"./ws", b"/ws/.", b"/ws/..", b"/a/../b", b"/a//b", b"//ws",
            b"/ws//", b"/./ws", b"/w\0s",
        ];
        for path in bad {
            let error = Roots::new().add(name("ws"), path).unwrap_err();
            assert_eq!(error, RootsError::Path { name: name("ws") }, "{path:?}");
        }
        let good: [&[u8]; 4] = [b"/ws", b"/ws/", b"/a b/\xff", b"/..."];
        for path in good {
            assert_eq!(Roots::new().add(name("ws"), path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut roots = Roots::new();
        roots.add(name("ws"), b"/ws/").unwrap();
        assert_eq!(roots.add(name("ws"), b"/other"), Err(RootsError::Twice(name("ws"))));
        assert_eq!(roots.get(&name("ws")), Some(b"/ws".as_slice()));
    }

    #[test]
    fn a_root_ends_at_a_component() {
        let mut roots = Roots::new();
        roots.add(name("ws"), b"/ws").unwrap();
        assert_eq!(roots.template(b"/ws"), rooted("ws", b""));
        assert_eq!(roots.template(b"/ws/"), rooted("ws", b"/"));
        assert_eq!(roots.template(b"/ws//a/./b/"), rooted("ws", b"//a/./b/"));
        let others: [&[u8]; 7] = [b"/ws2", b"/ws.a", b"/w", b"ws/a", b"//ws/a", b"/a/ws", b""];
        for other in others {
            assert_eq!(roots.template(other), plain(other));
        }
    }

    #[test]
    fn a_path_that_leaves_a_root_belongs_to_one_above() {
        let mut roots = Roots::new();
        roots.add(name("ws"), b"/a/ws").unwrap();
        roots.add(name("target"), b"/a/ws/target").unwrap();
        assert_eq!(roots.template(b"/a/ws/target/x"), rooted("target", b"/x"));
        assert_eq!(roots.template(b"/a/ws/target/../src"), rooted("ws", b"/target/../src"));
        assert_eq!(roots.template(b"/a/ws/target/../../x"), plain(b"/a/ws/target/../../x"));
    }

    #[test]
    fn roots_of_one_path_go_by_age() {
        let mut roots = Roots::new();
        roots.add(name("first"), b"/ws").unwrap();
        roots.add(name("second"), b"/ws").unwrap();
        roots.add(name("deep"), b"/ws/deep").unwrap();
        assert_eq!(roots.template(b"/ws/a"), rooted("first", b"/a"));
        let order: Vec<&str> = roots.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(order, ["deep", "first", "second"]);
    }

    #[test]
    fn hostile_rests_are_refused() {
        let mut roots = Roots::new();
        roots.add(name("ws"), b"/ws").unwrap();
        let bad: [&[u8]; 6] = [b"2", b"../x", b"/..", b"/../ws", b"/a/../../x", b"/./.././a"];
        for rest in bad {
            assert_eq!(roots.expand(&rooted("ws", rest)), None, "{rest:?}");
        }
        assert_eq!(roots.expand(&rooted("other", b"/a")), None);
        assert_eq!(roots.expand(&rooted("ws", b"/a/../b")), Some(b"/ws/a/../b".to_vec()));
    }
}
