//! Making the outputs of an outcome appear, and replaying its streams.
//!
//! Order matters to cargo and to other readers of the target directory: libraries first, dependency
//! information next, metadata last, so that the private `.rmeta` carries the unit's newest mtime;
//! then the streams, whose artifact notifications let dependents start.

use std::path::{Path, PathBuf};

use cache_core::{Content, Outcome, Output, Role, TextTemplate};
use cache_storage::{Placed, Placement, StoreError};

use super::blobs::{Blobs, write_beside};
use super::depfile;
use super::recipe::is_json;
use super::script::launcher;
use super::streams::{Sink, json_escape_bytes};
use super::unit::Unit;

/// Why an outcome could not be restored. The unit is then compiled.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store failed, or a blob is gone or corrupt.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The outcome names a place that is not known here or that this invocation does not write.
    #[error("the outcome does not fit this invocation: {0}")]
    Foreign(String),
}

/// What was restored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restored {
    /// Bytes that share the store's inode or blocks.
    pub linked_bytes: u64,
    /// Bytes that were written.
    pub copied_bytes: u64,
}

impl Restored {
    /// Counts the bytes of a blob that was placed.
    pub(super) fn count(&mut self, placed: Placed, size: u64) {
        match placed {
            Placed::Linked | Placed::Cloned => self.linked_bytes += size,
            Placed::Copied => self.copied_bytes += size,
        }
    }
}

/// Restores every output, then replays the streams.
///
/// # Errors
/// [`RestoreError`]; nothing has been printed then, and what was placed is overwritten by the
/// compile that follows.
pub(super) fn restore(
    unit: &Unit,
    outcome: &Outcome,
    blobs: Blobs<'_>,
    sink: &dyn Sink,
) -> Result<Restored, RestoreError> {
    let stdout = text(unit, &outcome.stdout, "stdout")?;
    let stderr = text(unit, &outcome.stderr, "stderr")?;
    let mut outputs = Vec::with_capacity(outcome.outputs.len());
    for output in &outcome.outputs {
        outputs.push((output, destination(unit, output)?));
    }
    outputs.sort_by_key(|(output, _)| match output.role {
        Role::Rlib => 0,
        Role::Executable | Role::Other | Role::Directory | Role::Symlink => 1,
        Role::DepInfo => 2,
        Role::Metadata => 3,
    });
    let mut restored = Restored::default();
    for (output, dest) in &outputs {
        place(unit, output, dest, blobs, &mut restored)?;
    }
    sink.stdout(&stdout);
    sink.stderr(&stderr);
    Ok(restored)
}

fn text(unit: &Unit, text: &TextTemplate, what: &str) -> Result<Vec<u8>, RestoreError> {
    let expanded = if is_json(&unit.args) {
        text.expand(&unit.place.roots, json_escape_bytes)
    } else {
        text.expand(&unit.place.roots, <[u8]>::to_vec)
    };
    expanded
        .ok_or_else(|| RestoreError::Foreign(format!("{what} names a root that is not known here")))
}

/// Only what rustc would write for this very invocation is ever written.
fn destination(unit: &Unit, output: &Output) -> Result<PathBuf, RestoreError> {
    let foreign = || RestoreError::Foreign(output.path.to_string());
    let path = unit.place.expand(&output.path).ok_or_else(foreign)?;
    if unit.outputs.iter().any(|known| known.path == path) { Ok(path) } else { Err(foreign()) }
}

fn place(
    unit: &Unit,
    output: &Output,
    dest: &Path,
    blobs: Blobs<'_>,
    restored: &mut Restored,
) -> Result<(), RestoreError> {
    match &output.content {
        Content::Text(text) => {
            let bytes = depfile::expand(text, unit)
                .ok_or_else(|| RestoreError::Foreign(output.path.to_string()))?;
            write_beside(dest, output.mode, |file| {
                std::io::Write::write_all(file, &bytes)
                    .map_err(|error| StoreError::write(dest.display().to_string(), error))
            })?;
            restored.copied_bytes += bytes.len() as u64;
        }
        Content::Blob { digest, size } => {
            let placement =
                if unit.may_link(output.role) { Placement::MayLink } else { Placement::Private };
            let launcher = unit.launcher.as_ref().filter(|_| output.role == Role::Executable);
            let to = if launcher.is_some() { &launcher::real(dest) } else { dest };
            restored.count(blobs.place(digest, to, output.mode & 0o777, placement)?, *size);
            blobs.remember(to, digest);
            if let Some(program) = launcher {
                launcher::write(dest, program)?;
            }
        }
    }
    Ok(())
}
