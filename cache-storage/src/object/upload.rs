//! An object on its way up, never held whole.

use bytes::BytesMut;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

use super::ask::{Failure, ask};
use super::runtime::Runtime;

/// Bytes of a part. Parts have all the same size but the last, as some servers demand; S3 takes
/// 10,000 of them, each of 5 MiB or more.
pub(super) const PART: usize = 8 << 20;

/// Collects bytes; sends a part whenever there are enough. Only [`Self::complete`] makes the object
/// appear. Dropped before that, it takes back what was sent.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    store: &'a dyn ObjectStore,
    runtime: &'a Runtime,
    path: Path,
    /// Bytes that were not sent yet: at most a part and what one piece adds.
    pub(super) waiting: BytesMut,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl<'a> Upload<'a> {
    pub(super) fn new(store: &'a dyn ObjectStore, runtime: &'a Runtime, path: Path) -> Self {
        Self { store, runtime, path, waiting: BytesMut::new(), parts: None }
    }

    /// Sends the parts that are full.
    pub(super) async fn send_full(&mut self) -> Result<(), Failure> {
        while self.waiting.len() >= PART {
            let part = self.waiting.split_to(PART);
            self.send(part).await?;
        }
        Ok(())
    }

    /// Sends the rest and makes the object appear.
    pub(super) async fn complete(mut self) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.waiting);
        if self.parts.is_none() {
            let payload = PutPayload::from_bytes(rest.freeze());
            return ask(self.store.put(&self.path, payload)).await.map(drop);
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        if let Some(parts) = &mut self.parts {
            ask(parts.complete()).await?;
        }
        self.parts = None;
        Ok(())
    }

    async fn send(&mut self, part: BytesMut) -> Result<(), Failure> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => {
                let begun = ask(self.store.put_multipart(&self.path)).await?;
                self.parts.insert(begun)
            }
        };
        ask(parts.put_part(PutPayload::from_bytes(part.freeze()))).await
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            self.runtime.spawn(async move {
                // If this fails too, the bucket's own rule for incomplete uploads has to.
                let _ = parts.abort().await;
            });
        }
    }
}
