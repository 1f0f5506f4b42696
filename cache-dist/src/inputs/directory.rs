//! A directory as a node of a Merkle tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bytes::Bytes;
use prost::Message;

use crate::{CasDigest, Content, DigestFunction};

/// A file in an input tree.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// The digest of its bytes.
    pub digest: CasDigest,
    /// Where they are on this machine.
    pub content: Content,
    /// Whether it can be executed. Nothing else of its mode travels.
    pub executable: bool,
}

/// What a name in a directory stands for.
#[derive(Clone, Debug)]
pub enum Node {
    /// A file.
    File(InputFile),
    /// A symbolic link, with its target.
    Symlink(String),
    /// A directory.
    Directory(Arc<Directory>),
}

/// A directory with all that is below it. Its digest covers names and contents, and is computed
/// once: a directory that occurs in many input trees, such as a toolchain's, is made once and
/// shared.
#[derive(Debug)]
pub struct Directory {
    digest: CasDigest,
    encoded: Bytes,
    entries: BTreeMap<String, Node>,
}

impl Directory {
    /// Names the directory. The message is in the one order that the API allows: files,
    /// directories and links each by name, in the order of their bytes.
    pub(super) fn new(function: DigestFunction, entries: BTreeMap<String, Node>) -> Self {
        let mut message = pb::Directory::default();
        for (name, node) in &entries {
            let name = name.clone();
            match node {
                Node::File(file) => message.files.push(pb::FileNode {
                    name,
                    digest: Some(file.digest.message()),
                    is_executable: file.executable,
                    node_properties: None,
                }),
                Node::Directory(directory) => message
                    .directories
                    .push(pb::DirectoryNode { name, digest: Some(directory.digest.message()) }),
                Node::Symlink(target) => message.symlinks.push(pb::SymlinkNode {
                    name,
                    target: target.clone(),
                    node_properties: None,
                }),
            }
        }
        let encoded = Bytes::from(message.encode_to_vec());
        Self { digest: function.of(&encoded), encoded, entries }
    }

    /// The digest of the whole tree.
    #[must_use]
    pub fn digest(&self) -> CasDigest {
        self.digest
    }

    /// What is in it, by name.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<String, Node> {
        &self.entries
    }

    /// All blobs of the tree: the encoded directories and the files, each once a place. Where
    /// `skip` says of a directory's digest that it need not be looked into, that is not.
    pub(crate) fn blobs(
        &self,
        skip: &impl Fn(&CasDigest) -> bool,
        all: &mut Vec<(CasDigest, Content)>,
    ) {
        if skip(&self.digest) {
            return;
        }
        all.push((self.digest, Content::Bytes(self.encoded.clone())));
        for node in self.entries.values() {
            match node {
                Node::File(file) => all.push((file.digest, file.content.clone())),
                Node::Directory(directory) => directory.blobs(skip, all),
                Node::Symlink(_) => {}
            }
        }
    }

    /// The digests of this directory and those below it, but for those that `skip` names.
    pub(crate) fn directories(&self, skip: &impl Fn(&CasDigest) -> bool, all: &mut Vec<CasDigest>) {
        if skip(&self.digest) {
            return;
        }
        all.push(self.digest);
        for node in self.entries.values() {
            if let Node::Directory(directory) = node {
                directory.directories(skip, all);
            }
        }
    }
}
