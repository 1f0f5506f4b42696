//! Making an input tree appear in a directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::content::blocking;
use crate::{Content, Directory, InputFile, Node, RemoteError, Result};

/// What is to be made, parents first.
enum Step {
    Directory,
    Symlink(String),
    File(InputFile),
}

/// Copies the tree below `root`, which is there, and stays until the copying has ended though
/// nobody may wait for it any more.
pub(super) async fn stage(tree: &Directory, root: Arc<TempDir>) -> Result<()> {
    let mut steps = Vec::new();
    plan(tree, root.path(), &mut steps);
    blocking(move || {
        let _root = root;
        for (path, step) in steps {
            make(&path, &step).map_err(|e| RemoteError::local(path.display(), &e))?;
        }
        Ok(())
    })
    .await
}

fn plan(tree: &Directory, at: &Path, steps: &mut Vec<(PathBuf, Step)>) {
    for (name, node) in tree.entries() {
        let path = at.join(name);
        match node {
            Node::File(file) => steps.push((path, Step::File(file.clone()))),
            Node::Symlink(target) => steps.push((path, Step::Symlink(target.clone()))),
            Node::Directory(directory) => {
                steps.push((path.clone(), Step::Directory));
                plan(directory, &path, steps);
            }
        }
    }
}

fn make(path: &Path, step: &Step) -> io::Result<()> {
    match step {
        Step::Directory => fs::create_dir(path),
        Step::Symlink(target) => symlink(target, path),
        Step::File(file) => {
            let mode = if file.executable { 0o755 } else { 0o644 };
            match &file.content {
                Content::Bytes(bytes) => {
                    let mut options = OpenOptions::new();
                    options.write(true).create_new(true).mode(mode).open(path)?.write_all(bytes)
                }
                // Clones where the file system can.
                Content::File(from) => {
                    fs::copy(from, path)?;
                    fs::set_permissions(path, fs::Permissions::from_mode(mode))
                }
            }
        }
    }
}
