//! What a command has left in its directory.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::content::blocking;
use crate::execute::outcome::Place;
use crate::execute::{Action, Output, OutputContent, OutputKind};
use crate::{RemoteError, Result};

/// Those of the outputs that are there; of directories, all that is in them.
pub(super) async fn outputs(
    action: &Action,
    working: &Path,
    root: &Arc<TempDir>,
) -> Result<Vec<Output>> {
    let (asked, working, root) = (action.outputs.clone(), working.to_owned(), Arc::clone(root));
    blocking(move || {
        let mut found = Vec::new();
        for path in asked {
            collect(&working, path.clone(), &root, &mut found)
                .map_err(|e| RemoteError::local(format!("output {path}"), &e))?;
        }
        Ok(found)
    })
    .await
}

fn collect(
    working: &Path,
    path: String,
    root: &Arc<TempDir>,
    found: &mut Vec<Output>,
) -> io::Result<()> {
    let full = working.join(&path);
    let metadata = match fs::symlink_metadata(&full) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let text = |name: std::ffi::OsString| {
        name.into_string().map_err(|_| io::Error::other("a name in it is not UTF-8"))
    };
    if metadata.is_dir() {
        found.push(Output { path: path.clone(), kind: OutputKind::Directory });
        let mut names: Vec<_> = fs::read_dir(&full)?
            .map(|entry| text(entry?.file_name()))
            .collect::<io::Result<_>>()?;
        names.sort_unstable();
        for name in names {
            collect(working, format!("{path}/{name}"), root, found)?;
        }
        return Ok(());
    }
    let kind = if metadata.is_symlink() {
        OutputKind::Symlink(text(fs::read_link(&full)?.into_os_string())?)
    } else {
        OutputKind::File {
            content: OutputContent(Place::File(full, Arc::clone(root))),
            size: metadata.len(),
            executable: metadata.mode() & 0o111 != 0,
        }
    };
    found.push(Output { path, kind });
    Ok(())
}
