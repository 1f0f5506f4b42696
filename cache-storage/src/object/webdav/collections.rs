//! Parents of objects, which WebDAV does not make by itself.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Method, Request, StatusCode};
use object_store::client::{HttpClient, HttpRequestBody};
use object_store::path::Path;
use object_store::{Error, Result};
use url::Url;

use super::put::refusal;

/// The collections that are known to be there.
#[derive(Debug, Default)]
pub(super) struct Collections(Mutex<BTreeSet<String>>);

impl Collections {
    /// Makes the object's parents below `root`, unless they are there.
    pub(super) async fn make_parents(
        &self,
        client: &HttpClient,
        root: &Url,
        object: &Path,
    ) -> Result<()> {
        let parts: Vec<_> = object.parts().collect();
        let Some((_, parents)) = parts.split_last() else { return Ok(()) };
        for depth in 1..=parents.len() {
            let mut url = root.clone();
            if let Ok(mut path) = url.path_segments_mut() {
                // With a final slash: some servers insist on it.
                path.extend(&parents[..depth]).push("");
            }
            if self.known().contains(url.as_str()) {
                continue;
            }
            make(client, &url).await?;
            self.known().insert(url.into());
        }
        Ok(())
    }

    /// Forgets everything: something was missing after all.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    /// Every change is one call: the set is whole even if a panic poisoned the lock.
    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn make(client: &HttpClient, url: &Url) -> Result<()> {
    let method = Method::from_bytes(b"MKCOL").map_err(|e| other(e.into()))?;
    let request = Request::builder().method(method).uri(url.as_str());
    let request = request.body(HttpRequestBody::empty()).map_err(|e| other(e.into()))?;
    let response = client.execute(request).await.map_err(|e| other(e.into()))?;
    match response.status() {
        status if status.is_success() => Ok(()),
        // It is there (RFC 4918, section 9.3.1).
        StatusCode::METHOD_NOT_ALLOWED => Ok(()),
        // Those above the address's own path need not be ours to make; writing will tell.
        StatusCode::CONFLICT | StatusCode::FORBIDDEN => Ok(()),
        status => Err(refusal(url.path(), status)),
    }
}

pub(super) fn other(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "WebDAV", source }
}
