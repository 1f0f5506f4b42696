//! An engine in this process that misbehaves on demand. It runs no commands: each output of an action
//! has its own path as content.

mod cache;
mod execution;
mod quirks;
mod streams;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::google::bytestream::byte_stream_server::ByteStreamServer;
use bazel_remote_apis::google::longrunning::operations_server::OperationsServer;
use cache_dist::{CasDigest, DigestFunction};
use pb::action_cache_server::ActionCacheServer;
use pb::capabilities_server::CapabilitiesServer;
use pb::content_addressable_storage_server::ContentAddressableStorageServer;
use pb::execution_server::ExecutionServer;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Status};

pub(crate) use quirks::{Missing, Quirks};

/// What the engine holds and what was done to it.
#[derive(Debug)]
pub(crate) struct State {
    quirks: Mutex<Quirks>,
    /// By hexadecimal hash.
    blobs: Mutex<HashMap<String, Vec<u8>>>,
    results: Mutex<HashMap<String, pb::ActionResult>>,
    /// Uploads that were begun, by their names.
    partial: Mutex<HashMap<String, Vec<u8>>>,
    /// How often each request came.
    counts: Mutex<BTreeMap<&'static str, u64>>,
    /// Bytes of blobs that came in, as they travelled.
    received: Mutex<u64>,
    /// The names of operations that were cancelled.
    cancelled: Mutex<BTreeSet<String>>,
    /// Told at each cancellation.
    pub(crate) cancels: Notify,
    /// Told when an execution has begun.
    pub(crate) begun: Notify,
}

/// A running engine; it ends with the runtime.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) state: Arc<State>,
    pub(crate) url: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Engine {
    /// Starts an engine on a free port.
    pub(crate) async fn start(quirks: Quirks) -> Self {
        let limit = quirks.message_limit;
        let state = Arc::new(State {
            quirks: Mutex::new(quirks),
            blobs: Mutex::default(),
            results: Mutex::default(),
            partial: Mutex::default(),
            counts: Mutex::default(),
            received: Mutex::default(),
            cancelled: Mutex::default(),
            cancels: Notify::new(),
            begun: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("grpc://{}", listener.local_addr().unwrap());
        let storage = ContentAddressableStorageServer::from_arc(state.clone());
        let streams = ByteStreamServer::from_arc(state.clone());
        let served = Server::builder()
            .add_service(CapabilitiesServer::from_arc(state.clone()))
            .add_service(storage.max_decoding_message_size(limit))
            .add_service(streams.max_decoding_message_size(limit))
            .add_service(ActionCacheServer::from_arc(state.clone()))
            .add_service(ExecutionServer::from_arc(state.clone()))
            .add_service(OperationsServer::from_arc(state.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(served);
        Self { state, url }
    }
}

impl State {
    /// Changes how it misbehaves from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut locked(&self.quirks));
    }

    /// Has the next requests of this name fail.
    pub(crate) fn fail(&self, request: &'static str, times: u32, code: Code) {
        self.change(|quirks| {
            quirks.fail.insert(request, (times, code));
        });
    }

    fn quirks(&self) -> Quirks {
        locked(&self.quirks).clone()
    }

    /// How often a request of this name came.
    pub(crate) fn count(&self, request: &str) -> u64 {
        locked(&self.counts).get(request).copied().unwrap_or(0)
    }

    pub(crate) fn received(&self) -> u64 {
        *locked(&self.received)
    }

    pub(crate) fn has_cancelled(&self) -> bool {
        !locked(&self.cancelled).is_empty()
    }

    /// Puts a blob there.
    pub(crate) fn insert(&self, bytes: &[u8]) -> CasDigest {
        let digest = self.function().of(bytes);
        locked(&self.blobs).insert(digest.hex(), bytes.to_vec());
        digest
    }

    /// Has other bytes under the name of a blob.
    pub(crate) fn damage(&self, digest: CasDigest, bytes: &[u8]) {
        locked(&self.blobs).insert(digest.hex(), bytes.to_vec());
    }

    fn function(&self) -> DigestFunction {
        match locked(&self.quirks).blake3 {
            true => DigestFunction::Blake3,
            false => DigestFunction::Sha256,
        }
    }

    /// Counts a request, and refuses it if it is one that is to fail now.
    fn note(&self, request: &'static str) -> Result<(), Status> {
        *locked(&self.counts).entry(request).or_default() += 1;
        let mut quirks = locked(&self.quirks);
        match quirks.fail.get_mut(request) {
            Some((times, code)) if *times > 0 => {
                *times -= 1;
                Err(Status::new(*code, "fails on demand"))
            }
            _ => Ok(()),
        }
    }

    fn blob(&self, digest: Option<&pb::Digest>) -> Option<Vec<u8>> {
        locked(&self.blobs).get(&digest?.hash).cloned()
    }
}
