//! A WebDAV server as an `ObjectStore`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::client::HttpClient;
use object_store::http::HttpStore;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

use super::collections::Collections;
use super::put::{self, Streamed};

#[derive(Debug)]
pub(super) struct WebDav {
    inner: Arc<HttpStore>,
    root: Url,
    service: HttpClient,
    client: reqwest::Client,
    idle: Duration,
    collections: Collections,
}

impl WebDav {
    /// `root` is the server's own; paths are below it.
    pub(super) fn new(
        inner: HttpStore,
        root: Url,
        service: HttpClient,
        client: reqwest::Client,
        idle: Duration,
    ) -> Self {
        let (inner, collections) = (Arc::new(inner), Collections::default());
        Self { inner, root, service, client, idle, collections }
    }

    fn url(&self, path: &Path) -> Url {
        let mut url = self.root.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.extend(path.parts());
        }
        url
    }

    async fn make_parents(&self, path: &Path) -> Result<()> {
        self.collections.make_parents(&self.service, &self.root, path).await
    }

    async fn put(&self, path: &Path, payload: PutPayload, mode: PutMode) -> Result<PutResult> {
        self.make_parents(path).await?;
        let result = match mode {
            PutMode::Overwrite => {
                self.inner.put_opts(path, payload, PutMode::Overwrite.into()).await
            }
            mode => put::conditional(&self.service, &self.url(path), payload, mode).await,
        };
        if !matches!(result, Ok(_) | Err(Error::Precondition { .. })) {
            self.collections.forget();
        }
        result
    }
}

impl fmt::Display for WebDav {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebDAV({})", self.root)
    }
}

#[async_trait]
impl ObjectStore for WebDav {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.put(location, payload, options.mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.make_parents(location).await?;
        Ok(Box::new(Streamed::begin(&self.client, self.url(location), self.idle)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    /// Collection by collection, each when the reader gets there.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let inner = Arc::clone(&self.inner);
        let left = vec![prefix.cloned().unwrap_or_default()];
        let pages = futures::stream::try_unfold((inner, left), |(inner, mut left)| async move {
            let Some(next) = left.pop() else { return Ok::<_, Error>(None) };
            let page = inner.list_with_delimiter(Some(&next)).await?;
            // An object that contains itself would make us go round forever.
            let inside = |path: &Path| path.as_ref().len() > next.as_ref().len();
            left.extend(page.common_prefixes.into_iter().filter(inside));
            Ok(Some((futures::stream::iter(page.objects.into_iter().map(Ok)), (inner, left))))
        });
        pages.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
