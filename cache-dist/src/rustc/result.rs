//! What came of a job, from what the engine says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use cache_rustc::engine::{Executed, Job};

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
    let mut done = Executed {
        exit_code: executed.exit_code,
        stdout: executed.stdout.to_vec(),
        stderr: executed.stderr.to_vec(),
        trace: own("trace").await?.map(|bytes| bytes.to_vec()),
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
            done.outputs.insert(at, to);
        }
    }
    Ok(done)
}

fn lines(bytes: &Bytes) -> BTreeSet<Vec<u8>> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}
