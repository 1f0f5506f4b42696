//! Large blobs stream: what is under way stays small, whatever the blob's length.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cache_core::{Digest, Hasher};
use cache_storage::Store;
use futures::StreamExt;

use crate::servers::Server;
use crate::tools::{Proxied, noise};

const LENGTH: u64 = 256 << 20;
const PIECE: usize = 1 << 20;
/// Two parts, and what the sockets of client and server hold.
const MOST: u64 = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn s3_streams_large_blobs() {
    streams_large_blobs(Server::S3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_streams_large_blobs() {
    streams_large_blobs(Server::Azure).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_streams_large_blobs() {
    streams_large_blobs(Server::WebDav).await;
}

async fn streams_large_blobs(server: Server) {
    let Some(there) = Proxied::new(server, "large").await else { return };
    let there = Arc::new(there);
    let piece = noise("large", PIECE);
    let mut hasher = Hasher::blob();
    for _ in 0..LENGTH / PIECE as u64 {
        hasher.update(&piece);
    }
    let digest = hasher.finish();

    let widest = Arc::new(AtomicU64::new(0));
    let pieces = produced(Arc::clone(&there), piece, Arc::clone(&widest));
    there.store.write_blob(&digest, LENGTH, pieces).await.unwrap();
    let most = widest.load(Ordering::SeqCst);
    println!("{server:?}: at most {most} bytes on the way up");
    assert!(most <= MOST, "{server:?}: {most} bytes were taken and not yet sent");
    assert!(there.proxy.up() >= LENGTH);

    let most = consumed(&there, &digest).await;
    println!("{server:?}: at most {most} bytes on the way down");
    assert!(most <= MOST, "{server:?}: {most} bytes came that nobody had asked for yet");
    there.store.delete_blob(&digest).await.unwrap();
}

/// The blob in pieces; notes how far they get ahead of what the server was given.
fn produced(
    there: Arc<Proxied>,
    piece: Bytes,
    widest: Arc<AtomicU64>,
) -> cache_storage::BlobStream<'static> {
    let pieces = (0..LENGTH / PIECE as u64).map(move |n| {
        let ahead = (n * PIECE as u64).saturating_sub(there.proxy.up());
        widest.fetch_max(ahead, Ordering::SeqCst);
        Ok(piece.clone())
    });
    futures::stream::iter(pieces).boxed()
}

/// Reads the blob; gives how far what comes down gets ahead of what is taken.
async fn consumed(there: &Proxied, digest: &Digest) -> u64 {
    let before = there.proxy.down();
    let mut blob = there.store.read_sized_blob(digest).await.unwrap();
    assert_eq!(blob.size, Some(LENGTH));
    let (mut taken, mut widest) = (0, 0);
    while let Some(piece) = blob.bytes.next().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= PIECE, "a piece of {} bytes", piece.len());
        taken += piece.len() as u64;
        widest = widest.max((there.proxy.down() - before).saturating_sub(taken));
    }
    assert_eq!(taken, LENGTH);
    widest
}
