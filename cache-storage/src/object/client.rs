//! The HTTP client: one for all kinds of stores, configured by what is passed in alone.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, RetryConfig};
use reqwest::{NoProxy, Proxy};
use tokio::time::timeout;

use super::config::{ObjectStoreConfig, RequestLimits};
use super::reply::{self, Fault, Reply};
use super::tls;
use crate::Result;

/// Longest part of a refusal that is read.
const MAX_REFUSAL: usize = 64 << 10;
/// Bytes of a request's body for which it has one more second.
const BODY_PER_SECOND: usize = 64 << 10;
const AGENT: &str = concat!("larder-cache-storage/", env!("CARGO_PKG_VERSION"));

/// Makes the clients of one store.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tls: Arc<rustls::ClientConfig>,
    proxies: Vec<Proxy>,
    headers: HeaderMap,
    limits: RequestLimits,
    /// For the credentials of an Azure service (`IDENTITY_HEADER`).
    identity: Option<HeaderValue>,
}

impl Connector {
    /// `secure` says whether TLS can occur at all: if not, no certificates are loaded.
    pub(super) fn new(config: &ObjectStoreConfig, secure: bool) -> Result<Self> {
        let identity = config.variable("IDENTITY_HEADER");
        Ok(Self {
            tls: tls::client(config, secure)?,
            proxies: proxies(config)?,
            headers: HeaderMap::new(),
            limits: config.limits,
            identity: identity.and_then(|setting| HeaderValue::try_from(setting.value).ok()),
        })
    }

    /// Sends these headers with every request.
    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The client itself.
    pub(super) fn client(&self, allow_http: bool) -> reqwest::Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured((*self.tls).clone())
            .https_only(!allow_http)
            .default_headers(self.headers.clone())
            .user_agent(AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(self.limits.connect)
            .pool_idle_timeout(Duration::from_secs(30));
        for proxy in &self.proxies {
            builder = builder.proxy(proxy.clone());
        }
        builder.build()
    }

    /// How `object_store` is to repeat requests.
    pub(super) fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: self.limits.pause,
                max_backoff: self.limits.pause * 8,
                base: 2.0,
            },
            max_retries: self.limits.retries,
            retry_timeout: Duration::from_secs(60),
        }
    }

    pub(super) fn service(&self, client: reqwest::Client) -> HttpClient {
        HttpClient::new(Service { client, idle: self.limits.idle, identity: self.identity.clone() })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let client = self.client(allow_http.as_deref() == Some("true"));
        let client = client.map_err(|source| object_store::Error::Generic {
            store: "HTTP client",
            source: Box::new(source),
        })?;
        Ok(self.service(client))
    }
}

/// A proxy for some schemes, given its address.
type MakeProxy = fn(String) -> reqwest::Result<Proxy>;

/// The proxies that the environment names, by curl's rules: `HTTP_PROXY` in capitals is ignored,
/// as a web server may set it from a request.
fn proxies(config: &ObjectStoreConfig) -> Result<Vec<Proxy>> {
    let except = config.first("no_proxy", &["NO_PROXY", "no_proxy"]);
    let except = except.and_then(|setting| NoProxy::from_string(&setting.value));
    let named: [(&[&str], MakeProxy); 3] = [
        (&["https_proxy", "HTTPS_PROXY"], Proxy::https),
        (&["http_proxy"], Proxy::http),
        (&["all_proxy", "ALL_PROXY"], Proxy::all),
    ];
    let mut proxies = Vec::new();
    for (variables, proxy) in named {
        let Some(setting) = variables.iter().find_map(|name| config.variable(name)) else {
            continue;
        };
        let proxy = proxy(setting.value.clone())
            .map_err(|e| setting.wrong(format!("it is not the address of a proxy: {e}")))?;
        proxies.push(proxy.no_proxy(except.clone()));
    }
    Ok(proxies)
}

/// A client that waits only so long and notes what it is refused.
#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    idle: Duration,
    identity: Option<HeaderValue>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        // Only the requests for a managed identity have this header. `object_store` takes the
        // secret that goes with it from the process's environment.
        if request.headers().contains_key("metadata") {
            request.headers_mut().remove("x-identity-header");
            if let Some(identity) = &self.identity {
                request.headers_mut().insert("x-identity-header", identity.clone());
            }
        }
        let body = u64::try_from(request.body().content_length() / BODY_PER_SECOND).unwrap_or(0);
        let wait = self.idle + Duration::from_secs(body);
        let answer = match timeout(wait, self.client.call(request)).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
        };
        match answer {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => refused(host, response, self.idle).await,
            Err(e) => {
                reply::note(unanswered(host, &e, wait));
                Err(e)
            }
        }
    }
}

/// Reads the refusal and hands it on.
async fn refused(
    host: String,
    response: HttpResponse,
    idle: Duration,
) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let (mut text, mut stream) = (Vec::new(), body.bytes_stream());
    // What the server does not finish is not needed.
    while let Ok(Some(Ok(piece))) = timeout(idle, stream.next()).await {
        text.extend_from_slice(&piece);
        if text.len() > MAX_REFUSAL {
            text.truncate(MAX_REFUSAL);
            break;
        }
    }
    reply::note(Reply::of(host, parts.status.as_u16(), &parts.headers, &text));
    Ok(HttpResponse::from_parts(parts, Bytes::from(text).into()))
}

fn unanswered(host: String, error: &HttpError, waited: Duration) -> Reply {
    let fault = tls::fault(error).unwrap_or(match error.kind() {
        HttpErrorKind::Timeout => Fault::TimedOut,
        _ => Fault::Connection,
    });
    let text = match fault {
        Fault::TimedOut => format!("no answer within {waited:?}"),
        Fault::Certificate | Fault::NotTls | Fault::Connection => innermost(error),
    };
    Reply { host, text, fault: Some(fault), ..Reply::default() }
}

/// The text of the cause of all causes; those above it repeat it or say less.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
