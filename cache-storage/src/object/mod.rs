//! A store in the cloud or behind HTTP: S3 and what speaks its language, Google Cloud Storage,
//! Azure Blob Storage, WebDAV; also a directory or memory, by the same rules.
//!
//! # Addresses
//!
//! | URL                             | store                                                  |
//! |---------------------------------|--------------------------------------------------------|
//! | `s3://BUCKET/PREFIX`            | S3; another server of its kind by the option `endpoint` |
//! | `gs://BUCKET/PREFIX`            | Google Cloud Storage; not exercised by our tests, for want of a server |
//! | `az://CONTAINER/PREFIX`         | Azure Blob Storage                                     |
//! | `https://HOST/PATH`, `http://…` | WebDAV                                                 |
//! | `file:///PATH`                  | a directory, such as a network mount                   |
//! | `memory:`                       | memory of this process                                 |
//!
//! Plain http is spoken only where an address says `http://`. Redirects are not followed.
//!
//! # Options and variables
//!
//! An option comes before a variable, a variable before a file. The environment is passed in
//! ([`ObjectStoreConfig::environment`]).
//!
//! - All with TLS: `ca_file` (else `AWS_CA_BUNDLE`, `SSL_CERT_FILE`), a file of certificates (PEM) to
//!   trust besides the system's; `no_proxy`. Proxies are those of `HTTPS_PROXY`, `http_proxy` and
//!   `ALL_PROXY`, except for the hosts in `NO_PROXY`.
//! - S3: `access_key_id`, `secret_access_key`, `session_token`, `region`, `endpoint`, each with the
//!   variable `AWS_…` of the AWS tools (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`); `profile` (else
//!   `AWS_PROFILE`) of the shared files below `HOME`; `conditional_put = "disabled"` for servers that
//!   cannot write on condition; further keys as in
//!   [`AmazonS3ConfigKey`](object_store::aws::AmazonS3ConfigKey). Without keys: web identity,
//!   container credentials, then the instance's metadata, unless `AWS_EC2_METADATA_DISABLED=true`.
//! - GCS: as in [`GoogleConfigKey`](object_store::gcp::GoogleConfigKey), `GOOGLE_…`; else what gcloud
//!   left below `HOME`, then the instance's metadata.
//! - Azure: `account_name`, `account_key`, `sas_token`, `connection_string`, `endpoint`;
//!   `AZURE_STORAGE_…`, and further keys as in
//!   [`AzureConfigKey`](object_store::azure::AzureConfigKey). Without keys: the managed identity.
//! - WebDAV: `username`, `password` (also in the URL), or `bearer_token`.
//!
//! Three things the libraries below take from the process all the same: where the system keeps its
//! certificates (`SSL_CERT_FILE`, `SSL_CERT_DIR`); `GCE_METADATA_HOST` and its kin; and, if the
//! passed-in home has no credentials for Google, those of the process's home.
//!
//! # Names
//!
//! Below the prefix there is one object for each record and blob:
//!
//! ```text
//! v1/records/ab/ab…   64 hexadecimal digits: the recipe's key
//! v1/blobs/ab/ab…     64 hexadecimal digits: the digest of the plain bytes
//! ```
//!
//! `ab` are the first two of these digits. Whatever else lies below the prefix is left alone. A
//! change of what names or bytes mean changes `v1`; older programs then find nothing.
//!
//! # Bytes
//!
//! A header, then the plain bytes or one zstd frame of them: compressed is what gets smaller by a
//! sixteenth in its first 64 KiB.
//!
//! | bytes | field    | value                                                            |
//! |-------|----------|------------------------------------------------------------------|
//! | 4     | magic    | `89 6C 64 6F` (`\x89ldo`)                                        |
//! | 1     | version  | 1                                                                |
//! | 1     | encoding | 0: the plain bytes follow; 1: one zstd frame ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)) |
//! | 2     | reserved | 0                                                                |
//! | 8     | length   | of the plain bytes, little-endian                                |
//!
//! A frame's window is at most 8 MiB, so that a reader needs no more memory than that whatever the
//! length; more bytes than announced are never made. Records have at most 64 MiB, blobs 16 GiB.
//!
//! Blobs stream in parts of 8 MiB, of which about two are in memory. An upload that is broken off
//! is taken back; for what is left when the process is killed, give the bucket a rule that drops
//! incomplete uploads after a day.
//!
//! # Compare-and-swap
//!
//! S3, GCS, Azure and memory compare by themselves: a swap is atomic for all writers. WebDAV has no
//! such duty, a file system no such call: there the swap is atomic within a process, and between
//! processes one of two writers at the same instant may undo what the other added to a record, which
//! costs a miss and never a wrong hit. WebDAV servers that do heed `If-Match` make it atomic.
//! After a dropped connection a write may be repeated that had succeeded: it then gives
//! [`Conflict`](crate::StoreError::Conflict), as if somebody else had won.
//!
//! # Failures
//!
//! Requests are repeated and given up after small [limits](RequestLimits). What a server refuses is
//! told by what to look at: [`Misconfigured`](crate::StoreError::Misconfigured) and
//! [`Denied`](crate::StoreError::Denied) name the option, variable or file entry that the value came
//! from.

mod ask;
mod aws_profile;
mod azure;
mod blame;
mod blobs;
mod client;
mod config;
mod damaged;
mod encoder;
mod envelope;
mod gather;
mod gcs;
mod layout;
mod location;
mod opened;
mod records;
mod reply;
mod runtime;
mod s3;
mod survey;
mod swap;
mod tls;
mod upload;
mod webdav;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

pub use config::{ObjectStoreConfig, RequestLimits};
pub use location::without_password;

use crate::{
    BlobStream, Capabilities, Expected, RecordKeyStream, Result, Revision, SizedBlob, Store,
    StoreError, StoredRecord,
};
use ask::ask;
use blame::{Blame, Doing};
use damaged::Damaged;
use layout::Layout;
use location::{Location, Scheme};
use opened::Opened;
use runtime::Runtime;
use swap::Swap;

/// A store on `object_store`. The [module](self) says which, and how they are configured.
pub struct ObjectStoreBackend {
    /// For messages; without secrets.
    url: String,
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    blame: Blame,
    swap: Swap,
    damaged: Damaged,
    runtime: Runtime,
    capabilities: Capabilities,
    /// Longest wait for the next piece of an answer; none for stores without requests.
    idle: Option<Duration>,
}

impl fmt::Debug for ObjectStoreBackend {
    /// Without what it is made of: there are secrets in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreBackend")
            .field("url", &self.url)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

impl ObjectStoreBackend {
    /// Opens a store. No request is made: what only the server knows shows at the first one. To ask
    /// it right away, [get](Store::get_record) any record.
    ///
    /// Stores with requests are opened inside a tokio runtime that has I/O and time enabled, and
    /// used while it lives and runs; whoever polls the futures of the store need not be in it.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`], naming the setting; [`StoreError::Unsupported`] outside of a
    /// runtime.
    pub fn open(config: &ObjectStoreConfig) -> Result<Self> {
        let location = Location::parse(&config.url)?;
        let runtime = Runtime::current();
        let remote = !matches!(location.scheme, Scheme::File | Scheme::Memory);
        if remote && !runtime.is_there() {
            return Err(StoreError::Unsupported("requests outside of a tokio runtime"));
        }
        let Opened { store, blame, swap } = Opened::new(config, &location)?;
        // Of writers in other processes; those in this one wait for each other.
        let last_write_wins = matches!(swap, Swap::Locked { .. });
        Ok(Self {
            url: location.url.to_string(),
            store,
            layout: Layout::new(&location.prefix),
            blame,
            swap,
            damaged: Damaged::default(),
            runtime,
            capabilities: Capabilities::default()
                .with_write(!config.read_only)
                .with_remote(remote)
                .with_last_write_wins(last_write_wins),
            idle: remote.then_some(config.limits.idle),
        })
    }

    /// The address, without user name and password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn check_writable(&self) -> Result<()> {
        match self.capabilities.write {
            true => Ok(()),
            false => Err(StoreError::ReadOnly(format!("{} is used for reading only", self.url))),
        }
    }

    /// Removes an object; absent is success.
    async fn remove(&self, path: &Path, what: &str) -> Result<()> {
        self.check_writable()?;
        match ask(self.store.delete(path)).await {
            Err(failure) if !failure.is_absent() => {
                Err(failure.explain(&self.blame, Doing::Writing, what))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for ObjectStoreBackend {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get_record(&self, key: &RecipeKey) -> Result<Option<StoredRecord>> {
        self.runtime.enter(Box::pin(self.load_record(key))).await
    }

    async fn put_record(
        &self,
        key: &RecipeKey,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Revision> {
        self.runtime.enter(Box::pin(self.swap_record(key, &bytes, &expected))).await
    }

    async fn list_records(&self) -> Result<RecordKeyStream<'_>> {
        Ok(self.list_keys())
    }

    async fn delete_record(&self, key: &RecipeKey) -> Result<()> {
        self.runtime.enter(Box::pin(self.remove_record(key))).await
    }

    async fn contains_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        self.runtime.enter(Box::pin(self.has_blobs(digests))).await
    }

    async fn read_blob(&self, digest: &Digest) -> Result<BlobStream<'_>> {
        Ok(self.read_sized_blob(digest).await?.bytes)
    }

    async fn read_sized_blob(&self, digest: &Digest) -> Result<SizedBlob<'_>> {
        self.runtime.enter(Box::pin(self.open_blob(digest))).await
    }

    async fn write_blob(&self, digest: &Digest, size: u64, bytes: BlobStream<'_>) -> Result<()> {
        self.runtime.enter(Box::pin(self.store_blob(digest, size, bytes))).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        self.runtime.enter(Box::pin(self.remove_blob(digest))).await
    }
}
