//! What came of a job, from what the engine says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cache_rustc::engine::{Executed, Job};

use super::place::Place;
use super::{OWN, tree};
use crate::{OutputKind, Result};

/// Brings the outputs to the job's scratch directory, and reads all else.
///
/// # Errors
/// What reading meets.
pub(super) async fn read(
    job: &Job,
    system: &BTreeSet<PathBuf>,
    executed: &crate::Executed,
) -> Result<Executed> {
    let file = |path: &str| {
        let output = executed.outputs.iter().find(|output| output.path == path)?;
        match &output.kind {
            OutputKind::File { content, .. } => Some(content),
            OutputKind::Symlink(_) | OutputKind::Directory => None,
        }
    };
    let own = async |name: &str| match file(&format!("{OWN}/{name}")) {
        Some(content) => content.read().await.map(Some),
        None => Ok(None),
    };
    let root = own("root").await?.unwrap_or_default();
    let place = Place(String::from_utf8_lossy(&root).into_owned());
    let values = job.env.iter().map(|(name, value)| (name.clone(), place.value(value, job)));
    let mut done = Executed {
        exit_code: executed.exit_code,
        stdout: place.take_out(&executed.stdout),
        stderr: place.take_out(&executed.stderr),
        trace: own("trace").await?.and_then(|log| place.translate(&log, job)),
        env: values.collect(),
        left: lines(&own("left").await?.unwrap_or_default()),
        run_us: executed.timings.run.and_then(|run| u64::try_from(run.as_micros()).ok()),
        ..Executed::default()
    };
    let same = own("same").await?.unwrap_or_default();
    let same = String::from_utf8_lossy(&same).into_owned();
    let same: BTreeSet<_> = same.lines().filter_map(|line| line.strip_suffix(": OK")).collect();
    done.system = system
        .iter()
        .filter(|path| path.to_str().is_some_and(|path| same.contains(path)))
        .cloned()
        .collect();
    if executed.exit_code != 0 {
        return Ok(done);
    }
    for (at, path) in job.outputs.iter().enumerate() {
        if let Some(content) = file(&tree::relative(path)?) {
            let to = job.scratch.join(at.to_string());
            content.write_to(&to).await?;
            if !place.is_root() {
                done.tied |= look(&to, path, &place).await?;
            }
            done.outputs.insert(at, to);
        }
    }
    Ok(done)
}

/// Takes the place out of dependency information; of anything else, says whether it is in it.
async fn look(file: &Path, output: &Path, place: &Place) -> Result<bool> {
    let failed = |e| crate::RemoteError::local(file.display(), &e);
    let bytes = tokio::fs::read(file).await.map_err(failed)?;
    if output.extension().is_some_and(|extension| extension == "d") {
        tokio::fs::write(file, place.take_out(&bytes)).await.map_err(failed)?;
        return Ok(false);
    }
    Ok(place.is_in(&bytes))
}

fn lines(bytes: &Bytes) -> BTreeSet<Vec<u8>> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}
