//! What the tests are made of.

use bytes::{Bytes, BytesMut};
use cache_core::{Digest, RecipeKey};
use cache_storage::object::{ObjectStoreBackend, ObjectStoreConfig};
use cache_storage::{BlobStream, Expected, Result, Store};
use futures::StreamExt;

use crate::proxy::Proxy;
use crate::servers::{Server, open};

/// Bytes that do not compress, different for each `seed`.
pub(crate) fn noise(seed: &str, length: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(length + Digest::LEN);
    let mut block = Digest::of(seed.as_bytes());
    while bytes.len() < length {
        bytes.extend_from_slice(block.as_bytes());
        block = Digest::of(block.as_bytes());
    }
    bytes.truncate(length);
    bytes.freeze()
}

pub(crate) fn key(seed: &str) -> RecipeKey {
    RecipeKey(Digest::of(seed.as_bytes()))
}

/// The bytes as a stream of one piece.
pub(crate) fn stream(bytes: &Bytes) -> BlobStream<'static> {
    futures::stream::iter([Ok(bytes.clone())]).boxed()
}

pub(crate) async fn write(store: &dyn Store, bytes: &Bytes) -> Result<Digest> {
    let digest = Digest::of(bytes);
    store.write_blob(&digest, bytes.len() as u64, stream(bytes)).await.map(|()| digest)
}

pub(crate) async fn read(store: &dyn Store, digest: &Digest) -> Result<Bytes> {
    let mut pieces = store.read_blob(digest).await?;
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole.freeze())
}

pub(crate) async fn create(store: &dyn Store, seed: &str, bytes: &Bytes) -> Result<()> {
    store.put_record(&key(seed), bytes.clone(), Expected::Absent).await.map(drop)
}

/// A store behind a proxy.
pub(crate) struct Proxied {
    pub(crate) proxy: Proxy,
    pub(crate) store: ObjectStoreBackend,
    /// The same store without the proxy.
    pub(crate) direct: ObjectStoreBackend,
    pub(crate) config: ObjectStoreConfig,
}

impl Proxied {
    /// `None`, after saying so, where the server does not run.
    pub(crate) async fn new(server: Server, prefix: &str) -> Option<Self> {
        let address = server.address()?;
        let proxy = Proxy::start(&address).await;
        let config = server.config(&proxy.instead_of(&address), prefix);
        let direct = open(&server.config(&address, prefix));
        Some(Self { store: open(&config), proxy, direct, config })
    }
}
