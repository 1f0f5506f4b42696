//! What one execution left.

use crate::{Digest, Hasher, Segment, Template, TextTemplate};

/// What an output is; decides how it is restored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Crate metadata (`.rmeta`): private inode, restored first.
    Metadata,
    /// A Rust library (`.rlib`): may be a hard link where a private `.rmeta` is beside it.
    Rlib,
    /// Make-style dependency information (`.d`): always written with this checkout's paths.
    DepInfo,
    /// A program or shared object: private inode, executable.
    Executable,
    /// Any other file the compiler was asked for (assembly, LLVM IR, objects).
    Other,
    /// A directory that a build script left; its content is an empty text.
    Directory,
    /// A symbolic link that a build script left; its content is the target.
    Symlink,
}

/// Where an output's bytes are.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Content {
    /// In a blob.
    Blob {
        /// Its name.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// In the record itself, with paths to be expanded.
    Text(TextTemplate),
}

/// One file the execution left.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Output {
    /// What it is.
    pub role: Role,
    /// Where it goes.
    pub path: Template,
    /// Its bytes.
    pub content: Content,
    /// Unix permission bits (`0o777` and below).
    pub mode: u32,
}

/// What one successful execution left: its streams and its files.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Outcome {
    /// Exit code. Only successful executions (0) are stored today.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: TextTemplate,
    /// Standard error, artifact notifications included.
    pub stderr: TextTemplate,
    /// The files, in the order they should appear.
    pub outputs: Vec<Output>,
    /// How long the execution took, in microseconds of wall time; what a hit saves.
    pub cost_us: u64,
}

impl Outcome {
    /// A name for what the execution left, whenever it ran and however long it took: over the streams
    /// and the outputs.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::keyed("larder 2026-11 outcome v1");
        add_text(&mut hasher, &self.stdout);
        add_text(&mut hasher, &self.stderr);
        for output in &self.outputs {
            hasher.field(format!("{:?} {:o}", output.role, output.mode).as_bytes());
            hasher.field(&output.path.to_bytes());
            match &output.content {
                Content::Blob { digest, .. } => {
                    hasher.field(b"blob").field(digest.as_bytes());
                }
                Content::Text(text) => add_text(&mut hasher, text),
            }
        }
        hasher.finish()
    }

    /// The blobs that the outputs name, in order, with their sizes.
    pub fn blobs(&self) -> impl Iterator<Item = (Digest, u64)> + '_ {
        self.outputs.iter().filter_map(|output| match &output.content {
            Content::Blob { digest, size } => Some((*digest, *size)),
            Content::Text(_) => None,
        })
    }
}

fn add_text(hasher: &mut Hasher, text: &TextTemplate) {
    hasher.field(b"text");
    for segment in &text.segments {
        match segment {
            Segment::Text(text) => hasher.field(b"t").field(text),
            Segment::Root(root) => hasher.field(b"r").field(root.as_str().as_bytes()),
        };
    }
}
