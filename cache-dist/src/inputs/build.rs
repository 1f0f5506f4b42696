//! Putting an input tree together.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Directory, InputFile, Node};
use crate::{Content, DigestFunction, RemoteError, Result};

/// Puts an input tree together, path by path.
///
/// Paths are relative, with `/` between names; directories above them are made. A path that is
/// given twice is an error.
#[derive(Debug)]
pub struct InputBuilder {
    function: DigestFunction,
    root: Draft,
}

#[derive(Debug, Default)]
struct Draft {
    nodes: BTreeMap<String, Node>,
    drafts: BTreeMap<String, Draft>,
}

impl InputBuilder {
    /// An empty tree, to be named by this function: that of the engine the tree is for.
    #[must_use]
    pub fn new(function: DigestFunction) -> Self {
        Self { function, root: Draft::default() }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`RemoteError::Local`] for a path that cannot be one, or is taken.
    pub fn file(&mut self, path: &str, file: InputFile) -> Result<&mut Self> {
        self.add(path, Node::File(file))
    }

    /// Adds a file with these bytes.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn bytes(
        &mut self,
        path: &str,
        bytes: impl Into<Bytes>,
        executable: bool,
    ) -> Result<&mut Self> {
        let bytes = bytes.into();
        let digest = self.function.of(&bytes);
        self.file(path, InputFile { digest, content: Content::Bytes(bytes), executable })
    }

    /// Adds a symbolic link. Engines may refuse absolute targets.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn symlink(&mut self, path: &str, target: impl Into<String>) -> Result<&mut Self> {
        self.add(path, Node::Symlink(target.into()))
    }

    /// Adds a whole directory; an empty path makes it the root of an empty tree.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn subtree(&mut self, path: &str, directory: Arc<Directory>) -> Result<&mut Self> {
        self.add(path, Node::Directory(directory))
    }

    /// Makes sure that there is a directory, such as one to work in.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn directory(&mut self, path: &str) -> Result<&mut Self> {
        self.draft(&names(path)?, path)?;
        Ok(self)
    }

    /// The tree.
    #[must_use]
    pub fn build(self) -> Arc<Directory> {
        self.root.build(self.function)
    }

    fn add(&mut self, path: &str, node: Node) -> Result<&mut Self> {
        let names = names(path)?;
        let Some((name, above)) = names.split_last() else { return Err(wrong(path, "is empty")) };
        let draft = self.draft(above, path)?;
        if draft.drafts.contains_key(*name) || draft.nodes.contains_key(*name) {
            return Err(wrong(path, "is there already"));
        }
        draft.nodes.insert((*name).to_owned(), node);
        Ok(self)
    }

    fn draft(&mut self, names: &[&str], path: &str) -> Result<&mut Draft> {
        let mut draft = &mut self.root;
        for name in names {
            if draft.nodes.contains_key(*name) {
                return Err(wrong(path, "is below what is no directory, or complete"));
            }
            draft = draft.drafts.entry((*name).to_owned()).or_default();
        }
        Ok(draft)
    }
}

impl Draft {
    fn build(self, function: DigestFunction) -> Arc<Directory> {
        let mut nodes = self.nodes;
        for (name, draft) in self.drafts {
            nodes.insert(name, Node::Directory(draft.build(function)));
        }
        Arc::new(Directory::new(function, nodes))
    }
}

/// The names in a relative path.
pub(crate) fn names(path: &str) -> Result<Vec<&str>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = path.split('/').collect();
    if names.iter().any(|name| matches!(*name, "" | "." | "..") || name.contains('\0')) {
        return Err(wrong(path, "is not relative and plain"));
    }
    Ok(names)
}

fn wrong(path: &str, why: &str) -> RemoteError {
    RemoteError::Local(format!("input {path:?} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(add: impl FnOnce(&mut InputBuilder)) -> Arc<Directory> {
        let mut builder = InputBuilder::new(DigestFunction::Sha256);
        add(&mut builder);
        builder.build()
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_of_adding() {
        let one = tree(|builder| {
            builder.bytes("b/c", "1", false).unwrap().bytes("a", "2", true).unwrap();
            builder.symlink("b/a", "c").unwrap();
        });
        let two = tree(|builder| {
            builder.symlink("b/a", "c").unwrap();
            builder.bytes("a", "2", true).unwrap().bytes("b/c", "1", false).unwrap();
        });
        assert_eq!(one.digest(), two.digest());
    }

    #[test]
    fn everything_that_an_action_could_see_is_in_the_digest() {
        let base = |executable| tree(|builder| drop(builder.bytes("a/b", "1", executable)));
        let others = [
            base(true),
            tree(|builder| drop(builder.bytes("a/b", "2", false))),
            tree(|builder| drop(builder.bytes("a/c", "1", false))),
            tree(|builder| drop(builder.bytes("b", "1", false))),
            tree(|builder| drop(builder.bytes("a/b", "1", false).unwrap().directory("a/d"))),
            tree(|builder| drop(builder.symlink("a/b", "1"))),
        ];
        for (n, other) in others.iter().enumerate() {
            assert_ne!(other.digest(), base(false).digest(), "{n}");
        }
    }

    #[test]
    fn a_shared_subtree_is_as_good_as_its_files() {
        let tools = tree(|builder| drop(builder.bytes("bin/tool", "x", true)));
        let shared = tree(|builder| drop(builder.subtree("tools", tools)));
        let apart = tree(|builder| drop(builder.bytes("tools/bin/tool", "x", true)));
        assert_eq!(shared.digest(), apart.digest());
    }

    #[test]
    fn the_empty_directory_has_the_digest_of_nothing() {
        assert_eq!(tree(|_| {}).digest(), DigestFunction::Sha256.of(b""));
    }

    #[test]
    fn paths_that_clash_or_lead_out_are_refused() {
        let mut builder = InputBuilder::new(DigestFunction::Sha256);
        builder.bytes("a/b", "1", false).unwrap();
        for path in ["a/b", "a", "a/b/c", "", "/x", "x/", "x//y", "../x", "./x", "x\0"] {
            assert!(builder.bytes(path, "2", false).is_err(), "{path:?}");
        }
        assert!(builder.directory("a/b").is_err());
    }
}
