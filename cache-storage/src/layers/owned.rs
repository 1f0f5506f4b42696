//! A blob's stream that keeps its store alive.

use std::sync::Arc;

use bytes::Bytes;
use cache_core::Digest;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use futures::{FutureExt, SinkExt, StreamExt};

use crate::{Result, SizedBlob, Store, StoreError};

/// Reads a blob of a store that may be dropped meanwhile. The stream drives the reading itself,
/// and ends it when it is dropped.
///
/// # Errors
/// As [`Store::read_sized_blob`].
pub(super) async fn owned_blob(
    store: Arc<dyn Store>,
    digest: Digest,
) -> Result<SizedBlob<'static>> {
    let (opened, answer) = oneshot::channel();
    let (mut pieces, received) = mpsc::channel::<Result<Bytes>>(0);
    let reading = async move {
        let mut bytes = match store.read_sized_blob(&digest).await {
            Ok(SizedBlob { size, bytes }) => {
                let _ = opened.send(Ok(size));
                bytes
            }
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        };
        while let Some(piece) = bytes.next().await {
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    };
    let (answer, reading) = match select(answer, reading.boxed()).await {
        Either::Left((answer, reading)) => (answer, reading),
        Either::Right(((), answer)) => (answer.await, futures::future::ready(()).boxed()),
    };
    let size = answer.map_err(|_| StoreError::Unavailable("reading stopped".into()))??;
    let nothing = futures::stream::once(reading).filter_map(|()| async { None });
    Ok(SizedBlob { size, bytes: futures::stream::select(nothing, received).boxed() })
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::super::tests::{away, faulty, is_away, put, rest};
    use super::*;
    use crate::testing::Fault;

    #[test]
    fn the_stream_is_that_of_the_store() {
        let store = faulty();
        let bytes: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        let digest = put(&*store, &bytes);
        let read = |store| block_on(async { rest(owned_blob(store, digest).await?.bytes).await });
        assert_eq!(read(store.clone()).unwrap(), bytes);
        store.always(Some(Fault::Breaks(away())));
        assert!(is_away(&read(store.clone())));
        store.always(Some(Fault::Error(away())));
        assert!(is_away(&block_on(owned_blob(store.clone(), digest))));
        store.always(None);
        let blob = block_on(owned_blob(store.clone(), digest)).unwrap();
        assert_eq!(blob.size, Some(40_000));
        drop(blob);
        assert_eq!(Arc::strong_count(&store), 1, "nothing is left of a stream that was dropped");
    }
}
