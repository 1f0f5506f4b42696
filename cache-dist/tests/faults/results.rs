//! Answers that make no sense, and bytes that are not what they should be.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use cache_dist::{Control, DigestFunction, Executor, OutputKind, RemoteError};

use crate::support::Quirks;
use crate::{action, inputs, noise, start};

async fn run_with(quirks: Quirks) -> Result<cache_dist::Executed, RemoteError> {
    let (_engine, executor) = start(quirks).await;
    executor.execute(&action(), &inputs(DigestFunction::Sha256), &Control::new()).await
}

fn file(path: &str, digest: Option<pb::Digest>) -> pb::ActionResult {
    let file = pb::OutputFile { path: path.into(), digest, ..Default::default() };
    pb::ActionResult { output_files: vec![file], ..Default::default() }
}

fn digest(hash: &str, size_bytes: i64) -> Option<pb::Digest> {
    Some(pb::Digest { hash: hash.into(), size_bytes })
}

#[tokio::test]
async fn results_that_make_no_sense_are_refused() {
    let hash = "ab".repeat(32);
    let cases = [
        file("/etc/passwd", digest(&hash, 1)),
        file("../out/file", digest(&hash, 1)),
        file("out/file/../../x", digest(&hash, 1)),
        file("out/other", digest(&hash, 1)),
        file("out/file", None),
        file("out/file", digest("short", 1)),
        file("out/file", digest(&hash, -1)),
        file("out/file", digest(&hash.replace('b', "g"), 1)),
    ];
    for result in cases {
        let error = run_with(Quirks { result: Some(result.clone()), ..Quirks::default() }).await;
        assert!(matches!(error, Err(RemoteError::Garbage(_))), "{result:?}: {error:?}");
    }
    let error = run_with(Quirks { undecodable: true, ..Quirks::default() }).await;
    assert!(matches!(error, Err(RemoteError::Garbage(_))), "{error:?}");
}

/// A tree that is not there, one that does not decode, one whose parts are not in it.
#[tokio::test]
async fn output_directories_that_make_no_sense_are_refused() {
    for bytes in [None, Some(vec![0xff; 9]), Some(tree_without_its_part())] {
        let (engine, executor) = start(Quirks::default()).await;
        let digest = match &bytes {
            None => digest(&"ab".repeat(32), 9),
            Some(bytes) => {
                let digest = engine.state.insert(bytes);
                self::digest(&digest.hex(), i64::try_from(digest.size).unwrap())
            }
        };
        let directory = pb::OutputDirectory {
            path: "out/file".into(),
            tree_digest: digest,
            ..Default::default()
        };
        let result = pb::ActionResult { output_directories: vec![directory], ..Default::default() };
        engine.state.change(|quirks| quirks.result = Some(result));
        let inputs = inputs(DigestFunction::Sha256);
        let error = executor.execute(&action(), &inputs, &Control::new()).await.unwrap_err();
        match bytes {
            None => assert!(matches!(error, RemoteError::Missing(_)), "{error:?}"),
            Some(_) => assert!(matches!(error, RemoteError::Garbage(_)), "{error:?}"),
        }
    }
}

fn tree_without_its_part() -> Vec<u8> {
    let node = pb::DirectoryNode { name: "x".into(), digest: digest(&"ab".repeat(32), 9) };
    let root = pb::Directory { directories: vec![node], ..Default::default() };
    prost::Message::encode_to_vec(&pb::Tree { root: Some(root), children: Vec::new() })
}

/// The bytes of an output: small ones come in a batch, large ones as a stream.
#[tokio::test]
async fn outputs_with_wrong_bytes_are_noticed() {
    for length in [100, 6 << 20] {
        let right = noise(length);
        let mut other = right.clone();
        other[length / 2] ^= 1;
        let longer = [&right[..], b"x"].concat();
        for wrong in [&other, &longer, &right[..length - 1].to_vec()] {
            let (engine, executor) = start(Quirks::default()).await;
            let stored = engine.state.insert(&right);
            engine.state.damage(stored, wrong);
            let size = i64::try_from(length).unwrap();
            let result = file("out/file", digest(&stored.hex(), size));
            engine.state.change(|quirks| quirks.result = Some(result));
            let inputs = inputs(DigestFunction::Sha256);
            let executed = executor.execute(&action(), &inputs, &Control::new()).await.unwrap();
            let OutputKind::File { content, .. } = &executed.outputs[0].kind else { panic!() };
            let error = content.read().await.unwrap_err();
            assert!(
                matches!(error, RemoteError::Corrupt { .. } | RemoteError::Garbage(_)),
                "{length}: {error:?}"
            );
            let scratch = tempfile::tempdir().unwrap();
            assert!(content.write_to(&scratch.path().join("file")).await.is_err());
        }
    }
}

/// The result is in the cache, and its outputs are not any more.
#[tokio::test]
async fn a_kept_result_without_its_outputs_is_run_again() {
    let (engine, executor) = start(Quirks::default()).await;
    let inputs = inputs(DigestFunction::Sha256);
    let mut action = action();
    action.outputs = vec!["tree".into()];
    let gone = pb::OutputDirectory {
        path: "tree".into(),
        tree_digest: digest(&"ab".repeat(32), 9),
        ..Default::default()
    };
    let result = pb::ActionResult { output_directories: vec![gone], ..Default::default() };
    engine.state.change(|quirks| quirks.result = Some(result));
    assert!(executor.execute(&action, &inputs, &Control::new()).await.is_err());
    engine.state.change(|quirks| quirks.result = None);
    let executed = executor.execute(&action, &inputs, &Control::new()).await.unwrap();
    assert!(!executed.cached);
    assert_eq!(engine.state.count("run"), 2);
}
