//! Putting back what a run left.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{DirBuilder, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use cache_core::{Content, Outcome, Output, Role, TextTemplate};
use cache_storage::{Placement, StoreError};

use super::super::blobs::{Blobs, write_beside};
use super::super::restore::{RestoreError, Restored};
use super::super::streams::Sink;
use super::run::ScriptRun;
use super::tree;

/// Puts into `OUT_DIR` what the recorded run left there, beside what is there already, then replays the
/// streams. A run that would have gone otherwise because of what is there does not hold.
///
/// # Errors
/// [`RestoreError`]; nothing has been printed then. An `OUT_DIR` that was empty is so again.
pub(in super::super) fn restore(
    run: &ScriptRun,
    outcome: &Outcome,
    blobs: Blobs<'_>,
    sink: &dyn Sink,
) -> Result<Restored, RestoreError> {
    let text = |text: &TextTemplate, what: &str| {
        let unknown =
            || RestoreError::Foreign(format!("{what} names a root that is not known here"));
        text.expand(&run.place.roots, <[u8]>::to_vec).ok_or_else(unknown)
    };
    let (stdout, stderr) = (text(&outcome.stdout, "stdout")?, text(&outcome.stderr, "stderr")?);
    let tree = destinations(run, outcome)?;
    let mut restored = Restored::default();
    let began_empty = tree::is_empty(&run.out_dir);
    let placed =
        tree.iter().try_for_each(|(output, dest)| place(run, output, dest, blobs, &mut restored));
    let placed = placed.and_then(|()| modes(&tree));
    if let Err(error) = placed {
        if began_empty {
            clear(&run.out_dir);
        }
        return Err(error);
    }
    sink.stdout(&stdout);
    sink.stderr(&stderr);
    Ok(restored)
}

/// Where each output goes: below `OUT_DIR`, in directories that are outputs before it, so that no
/// link leads out.
fn destinations<'o>(
    run: &ScriptRun,
    outcome: &'o Outcome,
) -> Result<Vec<(&'o Output, PathBuf)>, RestoreError> {
    let mut dirs = BTreeSet::from([run.out_dir.clone()]);
    let mut all = Vec::with_capacity(outcome.outputs.len());
    for output in &outcome.outputs {
        let foreign = || RestoreError::Foreign(output.path.to_string());
        let path = run.place.expand(&output.path).ok_or_else(foreign)?;
        let named = matches!(path.components().next_back(), Some(Component::Normal(_)));
        if !named || !path.parent().is_some_and(|dir| dirs.contains(dir)) {
            return Err(foreign());
        }
        if output.role == Role::Directory {
            dirs.insert(path.clone());
        }
        all.push((output, path));
    }
    Ok(all)
}

/// Removes everything in a directory, as far as that can be done.
fn clear(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let remove = if is_dir { std::fs::remove_dir_all } else { std::fs::remove_file };
        let _ = remove(entry.path());
    }
}

/// Whether a directory is there, and no link to one.
fn is_dir(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

fn place(
    run: &ScriptRun,
    output: &Output,
    dest: &Path,
    blobs: Blobs<'_>,
    restored: &mut Restored,
) -> Result<(), RestoreError> {
    let failed = |error| StoreError::write(dest.display().to_string(), error);
    let text = match &output.content {
        Content::Blob { digest, size } => {
            let placed = blobs.place(digest, dest, output.mode & 0o777, Placement::Private)?;
            restored.count(placed, *size);
            blobs.remember(dest, digest);
            return Ok(());
        }
        Content::Text(text) => text
            .expand(&run.place.roots, <[u8]>::to_vec)
            .ok_or_else(|| RestoreError::Foreign(output.path.to_string()))?,
    };
    match output.role {
        Role::Directory => match DirBuilder::new().mode(0o700).create(dest) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && is_dir(dest) => {}
            made => made.map_err(failed)?,
        },
        Role::Symlink => {
            std::os::unix::fs::symlink(OsStr::from_bytes(&text), dest).map_err(failed)?;
        }
        _ => {
            write_beside(dest, output.mode & 0o777, |file| file.write_all(&text).map_err(failed))?;
            // The mode given when it was made went through this process' umask.
            set_mode(dest, output.mode)?;
            restored.copied_bytes += text.len() as u64;
        }
    }
    Ok(())
}

/// Gives directories their modes, from the bottom up: one may be read-only.
fn modes(tree: &[(&Output, PathBuf)]) -> Result<(), RestoreError> {
    let mut dirs = tree.iter().rev().filter(|(output, _)| output.role == Role::Directory);
    dirs.try_for_each(|(output, path)| set_mode(path, output.mode))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), RestoreError> {
    std::fs::set_permissions(path, Permissions::from_mode(mode & 0o777))
        .map_err(|error| StoreError::write(path.display().to_string(), error).into())
}
