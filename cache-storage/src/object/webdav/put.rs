//! Writing: on condition, and streamed.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use object_store::client::{HttpClient, HttpRequestBody};
use object_store::{
    Error, MultipartUpload, PutMode, PutPayload, PutResult, Result, UpdateVersion, UploadPart,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use super::super::reply::{self, Fault, Reply};
use super::collections::other;

/// The error that a status stands for.
pub(super) fn refusal(path: &str, status: StatusCode) -> Error {
    let (path, source) = (path.to_owned(), format!("the server answers {status}").into());
    match status {
        StatusCode::NOT_FOUND => Error::NotFound { path, source },
        StatusCode::UNAUTHORIZED => Error::Unauthenticated { path, source },
        StatusCode::FORBIDDEN => Error::PermissionDenied { path, source },
        StatusCode::PRECONDITION_FAILED => Error::Precondition { path, source },
        _ => other(source),
    }
}

/// One `PUT` that the server is asked to do only if the object is as `mode` says. It is not
/// repeated: after a lost answer nobody could tell who changed the object.
pub(super) async fn conditional(
    client: &HttpClient,
    url: &Url,
    payload: PutPayload,
    mode: PutMode,
) -> Result<PutResult> {
    let mut request = Request::builder().method(Method::PUT).uri(url.as_str());
    request = match mode {
        PutMode::Create => request.header(IF_NONE_MATCH, HeaderValue::from_static("*")),
        PutMode::Update(UpdateVersion { e_tag: Some(tag), .. }) => request.header(IF_MATCH, tag),
        PutMode::Update(_) | PutMode::Overwrite => request,
    };
    let request = request.body(HttpRequestBody::from(payload)).map_err(|e| other(e.into()))?;
    let response = client.execute(request).await.map_err(|e| other(e.into()))?;
    if response.status().is_success() {
        return Ok(done(response.headers()));
    }
    Err(refusal(url.path(), response.status()))
}

fn done(headers: &HeaderMap) -> PutResult {
    let e_tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    PutResult { e_tag, version: None, extensions: http::Extensions::default() }
}

/// Bytes that are handed to the connection at a time.
const SLICE: usize = 64 << 10;

type Answer = reqwest::Result<reqwest::Response>;

/// One `PUT` whose body comes in parts. WebDAV has no multipart upload; the server shows the object
/// when the body has ended. It cannot be repeated, as its parts are gone by then.
#[derive(Debug)]
pub(super) struct Streamed {
    url: Url,
    idle: Duration,
    parts: Option<mpsc::Sender<io::Result<Bytes>>>,
    request: JoinHandle<Answer>,
}

impl Streamed {
    /// Begins the request, in the runtime that is current.
    pub(super) fn begin(client: &reqwest::Client, url: Url, idle: Duration) -> Self {
        let (parts, body) = mpsc::channel(1);
        let body = futures::stream::unfold(body, |mut body| async move {
            body.recv().await.map(|part| (part, body))
        });
        let request = client.put(url.clone()).body(reqwest::Body::wrap_stream(body)).send();
        Self { url, idle, parts: Some(parts), request: tokio::spawn(request) }
    }

    async fn answer(&mut self) -> Result<PutResult> {
        let host = self.url.authority().to_owned();
        let fault = |fault: Fault, text: String| {
            reply::note(Reply {
                host: host.clone(),
                text: text.clone(),
                fault: Some(fault),
                ..Reply::default()
            });
            other(text.into())
        };
        let response = match timeout(self.idle, &mut self.request).await {
            Err(_) => {
                return Err(fault(Fault::TimedOut, format!("no answer within {:?}", self.idle)));
            }
            Ok(Err(e)) => return Err(other(e.into())),
            Ok(Ok(Err(e))) => {
                return Err(fault(Fault::Connection, super::super::client::innermost(&e)));
            }
            Ok(Ok(Ok(response))) => response,
        };
        if response.status().is_success() {
            return Ok(done(response.headers()));
        }
        let status = response.status();
        reply::note(Reply::of(host, status.as_u16(), response.headers(), b""));
        Err(refusal(self.url.path(), status))
    }
}

#[async_trait]
impl MultipartUpload for Streamed {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (parts, idle) = (self.parts.clone(), self.idle);
        Box::pin(async move {
            let Some(parts) = parts else { return Err(other("the upload has ended".into())) };
            for mut piece in data {
                while !piece.is_empty() {
                    let slice = piece.split_to(piece.len().min(SLICE));
                    match timeout(idle, parts.send(Ok(slice))).await {
                        Ok(Ok(())) => {}
                        // The server has answered already; what, `complete` will say.
                        Ok(Err(_)) => return Ok(()),
                        Err(elapsed) => return Err(other(elapsed.into())),
                    }
                }
            }
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.parts = None;
        self.answer().await
    }

    /// Breaks the body off before its end: the server has no whole object, and drops it.
    async fn abort(&mut self) -> Result<()> {
        self.request.abort();
        self.parts = None;
        Ok(())
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.request.abort();
    }
}
