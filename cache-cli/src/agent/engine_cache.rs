//! The cache of an engine of the Bazel Remote Execution API as a remote.

use std::time::Duration;

use cache_dist::{Limits, ReapiConfig, ReapiStore};
use cache_storage::StoreError;

use crate::config::{Access, RemoteSettings};

/// Whether the address is one of these.
pub(crate) fn is_meant(url: &str) -> bool {
    ["grpc://", "grpcs://"].iter().any(|scheme| url.starts_with(scheme))
}

/// Opens it; no request is made. Within a tokio runtime.
///
/// # Errors
/// What is wrong with the settings.
pub(crate) fn open(settings: &RemoteSettings, limits: Limits) -> Result<ReapiStore, StoreError> {
    ReapiStore::open(&ReapiConfig {
        url: settings.url.clone(),
        options: settings.options.clone(),
        read_only: settings.access == Access::Read,
        limits,
    })
}

/// The limits where a person waits.
pub(crate) fn short() -> Limits {
    let (connect, idle) = (Duration::from_secs(3), Duration::from_secs(5));
    Limits { connect, idle, retries: 0, ..Limits::default() }
}
