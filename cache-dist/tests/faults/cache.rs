//! Blobs on engines with limits and moods.

use cache_dist::{Cas, CasDigest, Content, DigestFunction, RemoteError};

use crate::support::{Engine, Quirks};
use crate::{client, config, noise};

async fn start(quirks: Quirks) -> (Engine, Cas) {
    let engine = Engine::start(quirks).await;
    let cas = Cas::new(client(&engine));
    (engine, cas)
}

/// Blobs of these lengths, all different.
fn blobs(function: DigestFunction, lengths: &[usize]) -> Vec<(CasDigest, Content)> {
    let one = |(number, length): (usize, &usize)| {
        let mut bytes = noise(*length);
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        (function.of(&bytes), Content::Bytes(bytes.into()))
    };
    lengths.iter().enumerate().map(one).collect()
}

async fn come_back(cas: &Cas, blobs: &[(CasDigest, Content)]) {
    for (digest, content) in blobs {
        let Content::Bytes(bytes) = content else { unreachable!() };
        assert!(cas.read_whole(*digest).await.unwrap() == *bytes, "{digest}");
    }
    let digests: Vec<_> = blobs.iter().map(|(digest, _)| *digest).collect();
    let all = cas.read_many(&digests).await.unwrap();
    assert!(all.iter().zip(blobs).all(|(read, (_, content))| {
        matches!((read, content), (Ok(read), Content::Bytes(bytes)) if read == bytes)
    }));
}

#[tokio::test]
async fn batches_are_limited_to_64_kib() {
    let quirks = Quirks { batch: 64 << 10, message_limit: 64 << 10, ..Quirks::default() };
    let (engine, cas) = start(quirks).await;
    let lengths: Vec<usize> = (0..60).map(|i| 100 + i * 1500).collect();
    let blobs = blobs(DigestFunction::Sha256, &lengths);
    let uploaded = cas.upload(&blobs).await.unwrap();
    assert_eq!(uploaded.blobs, 60);
    assert!(engine.state.count("BatchUpdateBlobs") > 5 && engine.state.count("Write") > 5);
    come_back(&cas, &blobs).await;
    // Thousands of names are more than one message takes, too.
    let many = self::blobs(DigestFunction::Sha256, &vec![10; 3000]);
    let names: Vec<_> = many.iter().map(|(digest, _)| *digest).collect();
    assert_eq!(cas.missing(&names).await.unwrap().len(), 3000);
}

/// BuildGrid.
#[tokio::test]
async fn limited_reads_are_data_loss() {
    let (engine, cas) = start(Quirks { no_limited_reads: true, ..Quirks::default() }).await;
    let blobs = blobs(DigestFunction::Sha256, &[10, 6 << 20]);
    cas.upload(&blobs).await.unwrap();
    come_back(&cas, &blobs).await;
    engine.state.change(|quirks| quirks.break_reads = (2, 1 << 20));
    come_back(&cas, &blobs).await;
}

#[tokio::test]
async fn broken_reads_go_on_where_they_broke() {
    for zstd in [false, true] {
        let (engine, cas) = start(Quirks { zstd, ..Quirks::default() }).await;
        let bytes = b"larder ".repeat(1 << 20);
        let digest = engine.state.insert(&bytes);
        engine.state.change(|quirks| quirks.break_reads = (3, 1 << 20));
        assert!(cas.read_whole(digest).await.unwrap() == bytes);
        assert_eq!(engine.state.count("Read"), 4);
    }
}

#[tokio::test]
async fn truncated_reads_are_noticed() {
    for zstd in [false, true] {
        let (engine, cas) =
            start(Quirks { truncate: Some(3 << 20), zstd, ..Quirks::default() }).await;
        let digest = engine.state.insert(&noise(6 << 20));
        let error = cas.read_whole(digest).await.unwrap_err();
        assert!(matches!(error, RemoteError::Corrupt { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn broken_writes_go_on_where_they_broke() {
    let (engine, cas) = start(Quirks { break_writes: (2, 2 << 20), ..Quirks::default() }).await;
    let blobs = blobs(DigestFunction::Sha256, &[6 << 20]);
    cas.upload(&blobs).await.unwrap();
    come_back(&cas, &blobs).await;
    assert!(engine.state.count("QueryWriteStatus") >= 1);
    let received = engine.state.received();
    assert!(received < (6 << 20) + (1 << 20), "{received} bytes: not all over again");
}

#[tokio::test]
async fn a_forgotten_write_begins_anew() {
    let (engine, cas) = start(Quirks { break_writes: (1, 2 << 20), ..Quirks::default() }).await;
    engine.state.fail("QueryWriteStatus", 9, tonic::Code::NotFound);
    let blobs = blobs(DigestFunction::Sha256, &[6 << 20]);
    cas.upload(&blobs).await.unwrap();
    come_back(&cas, &blobs).await;
}

#[tokio::test]
async fn blake3_is_used_where_it_is_offered() {
    let (_engine, cas) = start(Quirks { blake3: true, ..Quirks::default() }).await;
    let function = cas.client().capabilities().await.unwrap().digest_function;
    assert_eq!(function, DigestFunction::Blake3);
    let blobs = blobs(function, &[10, 6 << 20]);
    cas.upload(&blobs).await.unwrap();
    come_back(&cas, &blobs).await;
    assert_eq!(cas.missing(&[blobs[0].0, blobs[1].0]).await.unwrap(), []);
}

#[tokio::test]
async fn zstd_is_used_where_it_is_offered() {
    let text = b"larder ".repeat(1 << 20);
    let blobs: Vec<_> = [1000, text.len()]
        .map(|length| text[..length].to_vec())
        .into_iter()
        .map(|bytes| (DigestFunction::Sha256.of(&bytes), Content::Bytes(bytes.into())))
        .collect();
    let mut received = Vec::new();
    for (zstd, option) in [(false, ""), (true, ""), (true, "none")] {
        let engine = Engine::start(Quirks { zstd, ..Quirks::default() }).await;
        let config = config(&engine).with_option("compression", option);
        let cas = Cas::new(cache_dist::Client::open(&config).unwrap());
        cas.upload(&blobs).await.unwrap();
        come_back(&cas, &blobs).await;
        received.push(engine.state.received());
    }
    let all: u64 = blobs.iter().map(|(digest, _)| digest.size).sum();
    assert_eq!([received[0], received[2]], [all, all], "plain");
    assert!(received[1] < all / 10, "{received:?}");
}

#[tokio::test]
async fn an_engine_that_names_other_blobs_is_not_believed() {
    let (_engine, cas) = start(Quirks { names_others: true, ..Quirks::default() }).await;
    let error = cas.missing(&[DigestFunction::Sha256.of(b"x")]).await.unwrap_err();
    assert!(matches!(error, RemoteError::Garbage(_)), "{error:?}");
}

#[tokio::test]
async fn overload_passes() {
    let (engine, cas) = start(Quirks::default()).await;
    let blobs = blobs(DigestFunction::Sha256, &[10, 6 << 20]);
    for request in ["FindMissingBlobs", "BatchUpdateBlobs", "Write", "BatchReadBlobs", "Read"] {
        engine.state.fail(request, 2, tonic::Code::Unavailable);
    }
    cas.upload(&blobs).await.unwrap();
    come_back(&cas, &blobs).await;
}
