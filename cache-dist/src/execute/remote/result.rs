//! The result of an action, from the engine's message.

use std::collections::HashMap;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::google::protobuf::Timestamp;
use bytes::Bytes;
use prost::Message;

use crate::execute::outcome::Place;
use crate::execute::{Action, Executed, Output, OutputContent, OutputKind, Timings};
use crate::inputs::names;
use crate::{Cas, CasDigest, RemoteError, Result, Uploaded};

/// Reads a result; fetches the streams and the lists of directories, but not the outputs.
#[allow(deprecated)]
pub(super) async fn read(
    cas: &Cas,
    action: &Action,
    result: &pb::ActionResult,
    cached: bool,
) -> Result<Executed> {
    let mut outputs = Vec::new();
    for file in &result.output_files {
        let path = allowed(action, &file.path)?;
        outputs.push(Output { path, kind: output_file(cas, file).await? });
    }
    let links =
        [&result.output_symlinks, &result.output_file_symlinks, &result.output_directory_symlinks];
    for link in links.into_iter().flatten() {
        let path = allowed(action, &link.path)?;
        // Servers of version 2.0 and 2.1 clients' sake fill in old and new fields.
        if !outputs.iter().any(|output| output.path == path) {
            outputs.push(Output { path, kind: OutputKind::Symlink(link.target.clone()) });
        }
    }
    for directory in &result.output_directories {
        let path = allowed(action, &directory.path)?;
        let digest = CasDigest::required(directory.tree_digest.as_ref(), "an output directory")?;
        let tree = pb::Tree::decode(cas.read_whole(digest).await?).map_err(|e| {
            RemoteError::Garbage(format!("the tree of {path} does not decode: {e}"))
        })?;
        flatten(cas, path, &tree, &mut outputs).await?;
    }
    let (stdout, stderr) = tokio::try_join!(
        stream(cas, &result.stdout_raw, result.stdout_digest.as_ref()),
        stream(cas, &result.stderr_raw, result.stderr_digest.as_ref()),
    )?;
    let metadata = result.execution_metadata.clone().unwrap_or_default();
    Ok(Executed {
        exit_code: result.exit_code,
        stdout,
        stderr,
        outputs,
        cached,
        timings: timings(&metadata),
        worker: metadata.worker,
        uploaded: Uploaded::default(),
    })
}

/// A path that was asked for, or below one: an engine does not say where else files are written.
fn allowed(action: &Action, path: &str) -> Result<String> {
    let asked = action.outputs.iter().any(|output| {
        path.strip_prefix(output.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if asked && names(path).is_ok() {
        return Ok(path.to_owned());
    }
    Err(RemoteError::Garbage(format!("output {path:?}, which was not asked for")))
}

async fn output_file(cas: &Cas, file: &pb::OutputFile) -> Result<OutputKind> {
    let digest = CasDigest::required(file.digest.as_ref(), "an output file")?;
    let function = cas.client().capabilities().await?.digest_function;
    let here = !file.contents.is_empty() && function.of(&file.contents) == digest;
    let place = match here {
        true => Place::Bytes(Bytes::copy_from_slice(&file.contents)),
        false => Place::Remote(cas.clone(), digest),
    };
    let (size, executable) = (digest.size, file.is_executable);
    Ok(OutputKind::File { content: OutputContent(place), size, executable })
}

async fn stream(cas: &Cas, raw: &[u8], digest: Option<&pb::Digest>) -> Result<Bytes> {
    match digest.and_then(CasDigest::from_message) {
        Some(digest) if raw.is_empty() && digest.size > 0 => cas.read_whole(digest).await,
        _ => Ok(Bytes::copy_from_slice(raw)),
    }
}

/// All that is in an output directory, parents first.
async fn flatten(
    cas: &Cas,
    path: String,
    tree: &pb::Tree,
    outputs: &mut Vec<Output>,
) -> Result<()> {
    let function = cas.client().capabilities().await?.digest_function;
    let children: HashMap<CasDigest, &pb::Directory> =
        tree.children.iter().map(|child| (function.of(&child.encode_to_vec()), child)).collect();
    let root = tree.root.clone().unwrap_or_default();
    let mut left = vec![(path, &root)];
    // A tree that repeats a directory ever deeper could be longer than any memory.
    const MOST: usize = 1_000_000;
    while let Some((path, directory)) = left.pop() {
        outputs.push(Output { path: path.clone(), kind: OutputKind::Directory });
        if outputs.len() > MOST {
            return Err(RemoteError::Garbage(format!("more than {MOST} outputs")));
        }
        for file in &directory.files {
            let digest =
                CasDigest::required(file.digest.as_ref(), "a file of an output directory")?;
            let content = OutputContent(Place::Remote(cas.clone(), digest));
            let kind =
                OutputKind::File { content, size: digest.size, executable: file.is_executable };
            outputs.push(Output { path: below(&path, &file.name)?, kind });
        }
        for link in &directory.symlinks {
            let kind = OutputKind::Symlink(link.target.clone());
            outputs.push(Output { path: below(&path, &link.name)?, kind });
        }
        for node in &directory.directories {
            let digest = CasDigest::required(node.digest.as_ref(), "an output directory")?;
            let child = children.get(&digest).ok_or_else(|| {
                RemoteError::Garbage(format!("the tree of {path} lacks {digest}"))
            })?;
            left.push((below(&path, &node.name)?, child));
        }
    }
    Ok(())
}

fn below(path: &str, name: &str) -> Result<String> {
    if names(name).is_ok_and(|names| names.len() == 1) {
        return Ok(format!("{path}/{name}"));
    }
    Err(RemoteError::Garbage(format!("an output directory with a file named {name:?}")))
}

fn timings(metadata: &pb::ExecutedActionMetadata) -> Timings {
    let between = |from: &Option<Timestamp>, to: &Option<Timestamp>| {
        let nanos =
            |time: &Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        let span = nanos(to.as_ref()?) - nanos(from.as_ref()?);
        Some(Duration::from_nanos(u64::try_from(span).ok()?))
    };
    Timings {
        queued: between(&metadata.queued_timestamp, &metadata.worker_start_timestamp),
        inputs: between(
            &metadata.input_fetch_start_timestamp,
            &metadata.input_fetch_completed_timestamp,
        ),
        run: between(&metadata.execution_start_timestamp, &metadata.execution_completed_timestamp),
        outputs: between(
            &metadata.output_upload_start_timestamp,
            &metadata.output_upload_completed_timestamp,
        ),
    }
}
