//! A directory of this machine as an input tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Directory, FileDigests, Node};
use crate::content::blocking;
use crate::{RemoteError, Result};

/// A directory of this machine with all that is below it. Symbolic links stay what they are.
///
/// # Errors
/// [`RemoteError::Local`] for what cannot be read, names that are no UTF-8, and sockets and the
/// like.
pub async fn scan(directory: &Path, digests: &FileDigests) -> Result<Arc<Directory>> {
    below(directory.to_owned(), digests).await
}

enum Kind {
    File,
    Directory,
    Symlink(String),
}

fn below(directory: PathBuf, digests: &FileDigests) -> BoxFuture<'_, Result<Arc<Directory>>> {
    Box::pin(async move {
        let mut entries = BTreeMap::new();
        for (name, path, kind) in blocking(move || list(&directory)).await? {
            let node = match kind {
                Kind::File => Node::File(digests.input(&path).await?),
                Kind::Symlink(target) => Node::Symlink(target),
                Kind::Directory => Node::Directory(below(path, digests).await?),
            };
            entries.insert(name, node);
        }
        Ok(Arc::new(Directory::new(digests.function(), entries)))
    })
}

fn list(directory: &Path) -> Result<Vec<(String, PathBuf, Kind)>> {
    let failed = |e| RemoteError::local(directory.display(), &e);
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let no_text = || RemoteError::Local(format!("{} is not UTF-8", path.display()));
        let name = entry.file_name().into_string().map_err(|_| no_text())?;
        let kind = entry.file_type().map_err(failed)?;
        let kind = if kind.is_dir() {
            Kind::Directory
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(failed)?;
            Kind::Symlink(target.into_os_string().into_string().map_err(|_| no_text())?)
        } else {
            Kind::File
        };
        all.push((name, path, kind));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DigestFunction, InputBuilder};

    #[tokio::test]
    async fn a_directory_is_the_tree_that_one_would_build() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("bin/empty")).unwrap();
        fs::write(dir.path().join("bin/tool"), "x").unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path().join("bin/tool"), mode).unwrap();
        symlink("bin/tool", dir.path().join("link")).unwrap();
        let digests = FileDigests::new(DigestFunction::Sha256);
        let found = scan(dir.path(), &digests).await.unwrap();
        let mut builder = InputBuilder::new(DigestFunction::Sha256);
        builder.bytes("bin/tool", "x", true).unwrap().directory("bin/empty").unwrap();
        builder.symlink("link", "bin/tool").unwrap();
        assert_eq!(found.digest(), builder.build().digest());
    }
}
