//! An engine, as seen from here.

use std::fmt;
use std::sync::Arc;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tonic::{Response, Status};

use pb::action_cache_client::ActionCacheClient;
use pb::capabilities_client::CapabilitiesClient;
use pb::content_addressable_storage_client::ContentAddressableStorageClient;
use pb::execution_client::ExecutionClient;

use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;

use crate::address::Address;
use crate::connection::{self, Service};
use crate::retry::{retrying, within};
use crate::status::Blame;
use crate::{DigestFunction, Limits, ReapiConfig, RemoteError, Result, ServerCapabilities};

/// No answer is longer than this, whatever an engine sends: batches are smaller, and the result of
/// an action with thousands of outputs still fits.
const LONGEST_MESSAGE: usize = 64 << 20;

/// A connection to an engine, and what is known about it. Cheap to clone; clones share all.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ReapiConfig,
    address: Address,
    service: Service,
    blame: Blame,
    runtime: Handle,
    capabilities: OnceCell<ServerCapabilities>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.inner.blame.server)
            .field("instance", &self.inner.address.instance)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client. No request is made and nothing is connected: what only the engine knows
    /// shows at the first request.
    ///
    /// # Errors
    /// [`RemoteError::Misconfigured`], naming the setting; [`RemoteError::Unsupported`] outside of
    /// a tokio runtime. The runtime needs I/O and time.
    pub fn open(config: &ReapiConfig) -> Result<Self> {
        config.check_names()?;
        config.digest()?;
        config.compression()?;
        let address = Address::parse(&config.url)?;
        let runtime = Handle::try_current()
            .map_err(|_| RemoteError::Unsupported("requests outside of a tokio runtime".into()))?;
        let service = connection::open(config, &address)?;
        let blame =
            Blame { server: address.authority(), identity: connection::identity_setting(config) };
        let inner = Inner {
            config: config.clone(),
            address,
            service,
            blame,
            runtime,
            capabilities: OnceCell::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the engine can do: asked once, then remembered. A failure is not remembered.
    ///
    /// # Errors
    /// What the request meets; [`RemoteError::Misconfigured`] when engine and configuration do not
    /// suit each other.
    pub async fn capabilities(&self) -> Result<&ServerCapabilities> {
        self.inner.capabilities.get_or_try_init(|| self.ask_capabilities()).await
    }

    async fn ask_capabilities(&self) -> Result<ServerCapabilities> {
        let answer = self
            .ask("GetCapabilities", || {
                let request = pb::GetCapabilitiesRequest { instance_name: self.instance() };
                let mut capabilities = CapabilitiesClient::new(self.service());
                async move { capabilities.get_capabilities(request).await }
            })
            .await;
        match answer {
            Ok(answer) => ServerCapabilities::read(&answer, &self.inner.config),
            Err(RemoteError::Unsupported(_)) => ServerCapabilities::unknown(&self.inner.config),
            Err(error) => Err(error),
        }
    }

    /// The digest function, for those who work with digests: they have asked for capabilities.
    pub(crate) fn known_digest_function(&self) -> DigestFunction {
        self.inner.capabilities.get().map_or(DigestFunction::Sha256, |can| can.digest_function)
    }

    /// One request with one answer: in time, and repeated while that is worth it.
    pub(crate) async fn ask<T, F>(&self, what: &str, request: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        retrying(self.limits(), || self.ask_once(what, request())).await
    }

    /// One request with one answer, in time.
    pub(crate) async fn ask_once<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        let answer = async {
            let response = request.await.map_err(|status| self.blame().explain(&status, what))?;
            Ok(response.into_inner())
        };
        within(self.limits().idle, what, answer).await
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.config.limits
    }

    pub(crate) fn blame(&self) -> &Blame {
        &self.inner.blame
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    pub(crate) fn read_only(&self) -> bool {
        self.inner.config.read_only
    }

    pub(crate) fn instance(&self) -> String {
        self.inner.address.instance.clone()
    }

    /// A resource's name below the instance.
    pub(crate) fn resource(&self, name: &str) -> String {
        self.inner.address.resource(name)
    }

    fn service(&self) -> Service {
        self.inner.service.clone()
    }

    pub(crate) fn storage(&self) -> ContentAddressableStorageClient<Service> {
        ContentAddressableStorageClient::new(self.service())
            .max_decoding_message_size(LONGEST_MESSAGE)
    }

    pub(crate) fn streams(&self) -> ByteStreamClient<Service> {
        ByteStreamClient::new(self.service()).max_decoding_message_size(LONGEST_MESSAGE)
    }

    pub(crate) fn results(&self) -> ActionCacheClient<Service> {
        ActionCacheClient::new(self.service()).max_decoding_message_size(LONGEST_MESSAGE)
    }

    pub(crate) fn executions(&self) -> ExecutionClient<Service> {
        ExecutionClient::new(self.service()).max_decoding_message_size(LONGEST_MESSAGE)
    }

    pub(crate) fn operations(&self) -> OperationsClient<Service> {
        OperationsClient::new(self.service())
    }
}
