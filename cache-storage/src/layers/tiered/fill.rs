//! Bringing to the fast store what was read from the slow one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};

use super::Tiers;
use crate::layers::owned::owned_blob;
use crate::{BlobStream, Expected, Result, SizedBlob, StoreError};

/// Pieces that a reader may be behind.
const AHEAD: usize = 4;

/// To the reader: a piece, or with `None` the good end.
type Message = Result<Option<Bytes>>;

impl Tiers {
    /// Brings a record, unless there is one, or something was deleted since it was read.
    pub(super) async fn fill_record(&self, key: &RecipeKey, bytes: Bytes, deletes: u64) {
        let _order = self.order.lock().await;
        if self.deletes.load(Ordering::SeqCst) == deletes {
            // What cannot be brought is read from the slow store again.
            let _ = self.fast.put_record(key, bytes, Expected::Absent).await;
        }
    }

    /// Takes a blob away again that was brought while something was deleted.
    async fn settle_blob(&self, digest: &Digest, deletes: u64) {
        let _order = self.order.lock().await;
        if self.deletes.load(Ordering::SeqCst) != deletes {
            let _ = self.fast.delete_blob(digest).await;
        }
    }

    /// Brings a record that only the slow store has. Whether there was one.
    pub(super) async fn fetch_record(&self, key: &RecipeKey) -> bool {
        let deletes = self.deletes.load(Ordering::SeqCst);
        match self.of_slow(self.slow.get_record(key).await).flatten() {
            Some(found) => {
                self.fill_record(key, found.bytes, deletes).await;
                true
            }
            None => false,
        }
    }

    /// Brings a blob that only the slow store has. Whether it could be read to its end.
    pub(super) async fn fetch_blob(self: Arc<Self>, digest: &Digest) -> bool {
        let deletes = self.deletes.load(Ordering::SeqCst);
        let slow = owned_blob(self.slow.clone(), *digest).await;
        let Some(blob) = self.of_slow(slow) else { return false };
        let (work, blob) = through(self, *digest, blob, deletes);
        let read = blob.bytes.all(|piece| std::future::ready(piece.is_ok()));
        futures::future::join(work, read).await.1
    }
}

/// Splits a blob of the slow store: into work that brings it to the fast one, and what a reader
/// gets meanwhile. The work goes on when the reader has left, and the reader gets its bytes though
/// the fast store takes none.
pub(super) fn through(
    tiers: Arc<Tiers>,
    digest: Digest,
    blob: SizedBlob<'static>,
    deletes: u64,
) -> (impl Future<Output = ()> + Send + 'static, SizedBlob<'static>) {
    let (reader, messages) = mpsc::channel::<Message>(AHEAD);
    let SizedBlob { size, bytes } = blob;
    let mut source = Source { bytes, reader, sending: None, ended: false };
    let work = async move {
        let filled = match size {
            Some(size) => {
                let tee = source.tee();
                let written = tiers.fast.write_blob(&digest, size, tee).await;
                source.finish().await;
                written.is_ok()
            }
            None => source.spool(&tiers, &digest).await,
        };
        if filled {
            tiers.settle_blob(&digest, deletes).await;
        }
    };
    (work, SizedBlob { size, bytes: received(messages) })
}

/// What a reader gets. Work that ended before the blob did is an error, not an end.
fn received(messages: mpsc::Receiver<Message>) -> BlobStream<'static> {
    futures::stream::unfold(Some(messages), |messages| async move {
        let mut messages = messages?;
        match messages.next().await {
            Some(Ok(Some(piece))) => Some((Ok(piece), Some(messages))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            None => {
                let error = StoreError::Unavailable("the work in the background was ended".into());
                Some((Err(error), None))
            }
        }
    })
    .boxed()
}

/// A blob of the slow store and its reader.
struct Source {
    bytes: BlobStream<'static>,
    reader: mpsc::Sender<Message>,
    /// On its way to the reader.
    sending: Option<Message>,
    /// Whether the end or an error was met.
    ended: bool,
}

impl Source {
    /// The next piece, once the reader has it or has left.
    async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.ended {
            return None;
        }
        let item = self.bytes.next().await;
        self.ended = !matches!(item, Some(Ok(_)));
        let message = match &item {
            Some(Ok(piece)) => Ok(Some(piece.clone())),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(None),
        };
        self.sending = Some(message);
        self.send().await;
        item
    }

    /// Sends what is to be sent. It stays in place until then, for a caller that is dropped.
    async fn send(&mut self) {
        let ready = std::future::poll_fn(|context| self.reader.poll_ready(context)).await;
        if let Some(message) = self.sending.take()
            && ready.is_ok()
        {
            let _ = self.reader.start_send(message);
        }
    }

    /// The bytes, for the fast store, each piece given to the reader first.
    fn tee(&mut self) -> BlobStream<'_> {
        futures::stream::unfold(self, |source| async move {
            let item = source.next().await?;
            Some((item, source))
        })
        .boxed()
    }

    /// Gives the reader what the fast store did not want.
    async fn finish(&mut self) {
        if self.sending.is_some() {
            self.send().await;
        }
        while !self.reader.is_closed() && self.next().await.is_some() {}
        let _ = self.reader.flush().await;
    }

    /// Gives the reader all, and the fast store too if it was not too much to keep. Whether it was
    /// brought.
    async fn spool(&mut self, tiers: &Tiers, digest: &Digest) -> bool {
        let (mut kept, mut length, mut fits) = (Vec::new(), 0, true);
        while fits || !self.reader.is_closed() {
            match self.next().await {
                Some(Ok(piece)) => {
                    length += piece.len();
                    fits &= length <= tiers.spool;
                    if fits {
                        kept.push(Ok(piece));
                    } else {
                        kept.clear();
                    }
                }
                Some(Err(_)) => return false,
                None => break,
            }
        }
        if !fits {
            return false;
        }
        let kept = futures::stream::iter(kept).boxed();
        tiers.fast.write_blob(digest, length as u64, kept).await.is_ok()
    }
}
