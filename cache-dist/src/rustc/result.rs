//! What came of a job, from what the engine says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_rustc::engine::{Executed, Job};

use super::place::Place;
use super::{OWN, tree};
use crate::{OutputKind, Result};

/// Brings the outputs to the job's scratch directory, and reads all else. Says how many bytes came.
///
/// # Errors
/// What reading meets.
pub(super) async fn read(
    job: &Job,
    system: &BTreeSet<PathBuf>,
    executed: &crate::Executed,
) -> Result<(Executed, u64)> {
    let downloaded = AtomicU64::new((executed.stdout.len() + executed.stderr.len()) as u64);
    let file = |path: &str| {
        let output = executed.outputs.iter().find(|output| output.path == path)?;
        match &output.kind {
            OutputKind::File { content, size, .. } => {
                downloaded.fetch_add(*size, Ordering::Relaxed);
                Some(content)
            }
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
    let run = executed.timings.run;
    let busy = processor(&own("times").await?.unwrap_or_default());
    let mut done = Executed {
        exit_code: executed.exit_code,
        stdout: place.take_out(&executed.stdout),
        stderr: place.take_out(&executed.stderr),
        trace: own("trace").await?.and_then(|log| place.translate(&log, job)),
        env: values.collect(),
        left: lines(&own("left").await?.unwrap_or_default()),
        run_us: run.map(micros),
        alone_us: run.map(|run| busy.map_or(run, |busy| busy.min(run))).map(micros),
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
        return Ok((done, downloaded.into_inner()));
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
    Ok((done, downloaded.into_inner()))
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

/// User and system time of all that a shell has waited for: the second line of what its `times` says,
/// such as `0m1.250s 0m0.31s`.
fn processor(times: &[u8]) -> Option<Duration> {
    let line = std::str::from_utf8(times).ok()?.lines().nth(1)?;
    let mut sum = Duration::ZERO;
    for time in line.split_whitespace() {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        let minutes = Duration::from_secs(minutes.parse::<u32>().ok()?.into()) * 60;
        let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        sum = sum.checked_add(minutes)?.checked_add(seconds)?;
    }
    Some(sum)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn lines(bytes: &Bytes) -> BTreeSet<Vec<u8>> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shells_say_of_times_is_read() {
        for (said, want) in [
            ("0m0.01s 0m0.02s\n1m2.250s 0m0.75s\n", Some(63_000)),
            ("0m0.000000s 0m0.000000s\n0m0.100000s 0m0.020000s\n", Some(120)),
            ("0m0.01s 0m0.02s\n", None),
            ("x\n1m-2s 0m0s\n", None),
            ("x\n1:02 0:00\n", None),
            ("x\n1m1e19s 1m1e19s\n", None),
        ] {
            assert_eq!(processor(said.as_bytes()), want.map(Duration::from_millis), "{said}");
        }
    }
}
