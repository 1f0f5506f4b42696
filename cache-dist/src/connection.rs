//! The connection to an engine: one for all requests, made when the first needs it.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use prost::Message;
use tonic::metadata::{Ascii, Binary, BinaryMetadataKey, MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::address::Address;
use crate::config::option_name;
use crate::{ReapiConfig, RemoteError, Result};

/// What requests are sent through.
pub(crate) type Service = InterceptedService<Channel, Headers>;

/// The pause between HTTP/2 pings. Servers close a connection that has more than one in five
/// minutes, whatever is going on in it (gRPC's proposal A8: `permit_keepalive_time`).
const PING: Duration = Duration::from_secs(330);
/// A reader that stops in the middle of a blob holds so many unread bytes…
const STREAM_WINDOW: u32 = 1 << 20;
/// …of so many that the connection may hold: beyond 64 such readers others would wait for them.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// The header that names the client's tool (comments of `RequestMetadata` in REAPI).
const METADATA: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

/// Makes the connection, without connecting yet. Within a tokio runtime only.
///
/// # Errors
/// [`RemoteError::Misconfigured`], naming the option.
pub(crate) fn open(config: &ReapiConfig, address: &Address) -> Result<Service> {
    let scheme = if address.tls { "https" } else { "http" };
    let wrong = |e: tonic::transport::Error| RemoteError::misconfigured("url", e.to_string());
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", address.authority()))
        .and_then(|endpoint| endpoint.user_agent(concat!("larder/", env!("CARGO_PKG_VERSION"))))
        .map_err(wrong)?
        .connect_timeout(config.limits.connect)
        .tcp_keepalive(Some(config.limits.keepalive))
        .tcp_keepalive_interval(Some(config.limits.keepalive / 3))
        .tcp_keepalive_retries(Some(3))
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(config.limits.idle)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if address.tls {
        endpoint = endpoint.tls_config(tls(config)?).map_err(|e| {
            RemoteError::misconfigured(tls_setting(config), crate::status::causes(&e))
        })?;
    } else if let Some(name) = ["ca_file", "client_certificate", "client_key", "server_name"]
        .into_iter()
        .find(|name| config.option(name).is_some())
    {
        let reason = "it is about TLS, and grpc:// is without; write grpcs://";
        return Err(RemoteError::misconfigured(option_name(name), reason));
    }
    let headers = Headers::new(config)?;
    Ok(InterceptedService::new(endpoint.connect_lazy(), headers))
}

/// Which option to blame for TLS that cannot be set up.
fn tls_setting(config: &ReapiConfig) -> String {
    let given = ["client_key", "ca_file"].into_iter().find(|name| config.option(name).is_some());
    option_name(given.unwrap_or("ca_file"))
}

fn tls(config: &ReapiConfig) -> Result<ClientTlsConfig> {
    let mut tls = ClientTlsConfig::new().timeout(config.limits.connect);
    tls = match read_option(config, "ca_file")? {
        Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
        None => tls.with_native_roots(),
    };
    if let Some(name) = config.option("server_name") {
        tls = tls.domain_name(name);
    }
    let identity = (read_option(config, "client_certificate")?, read_option(config, "client_key")?);
    match identity {
        (None, None) => Ok(tls),
        (Some(certificate), Some(key)) => Ok(tls.identity(Identity::from_pem(certificate, key))),
        (Some(_), None) => Err(half("client_key", "client_certificate")),
        (None, Some(_)) => Err(half("client_certificate", "client_key")),
    }
}

fn half(missing: &str, given: &str) -> RemoteError {
    RemoteError::misconfigured(option_name(missing), format!("it is needed beside {given}"))
}

/// The content of the file that an option names.
fn read_option(config: &ReapiConfig, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(path) = config.option(name) else { return Ok(None) };
    fs::read(path).map(Some).map_err(|e| {
        RemoteError::misconfigured(option_name(name), format!("cannot read {path}: {e}"))
    })
}

/// The setting that proves who we are.
pub(crate) fn identity_setting(config: &ReapiConfig) -> String {
    let given = ["token", "token_file", "client_certificate"]
        .into_iter()
        .find(|name| config.option(name).is_some());
    match given
        .map(str::to_owned)
        .or_else(|| config.headers().next().map(|(name, _)| format!("header.{name}")))
    {
        Some(name) => option_name(&name),
        None => "option token, which is not set".to_owned(),
    }
}

/// Puts the same headers on each request.
#[derive(Clone)]
pub(crate) struct Headers {
    ascii: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
    tool: MetadataValue<Binary>,
}

impl std::fmt::Debug for Headers {
    /// Without values: there are secrets among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ascii.iter().map(|(name, _)| name)).finish()
    }
}

impl Headers {
    fn new(config: &ReapiConfig) -> Result<Self> {
        let mut ascii = Vec::new();
        for (name, value) in config.headers() {
            let setting = || option_name(&format!("header.{name}"));
            let key = name.to_ascii_lowercase().parse().map_err(|_| {
                RemoteError::misconfigured(setting(), "this is no name of a header")
            })?;
            ascii.push((key, header_value(value, setting)?));
        }
        if let Some((setting, token)) = token(config)? {
            let value = header_value(&format!("Bearer {token}"), || option_name(setting))?;
            ascii.push((MetadataKey::from_static("authorization"), value));
        }
        Ok(Self { ascii, tool: MetadataValue::from_bytes(&metadata().encode_to_vec()) })
    }
}

fn header_value(value: &str, setting: impl Fn() -> String) -> Result<MetadataValue<Ascii>> {
    let mut value: MetadataValue<Ascii> = value.parse().map_err(|_| {
        RemoteError::misconfigured(setting(), "its value has characters that no header may have")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The bearer token, and which option it is from.
fn token(config: &ReapiConfig) -> Result<Option<(&'static str, String)>> {
    if let Some(token) = config.option("token") {
        return Ok(Some(("token", token.to_owned())));
    }
    let Some(bytes) = read_option(config, "token_file")? else { return Ok(None) };
    match String::from_utf8(bytes) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(("token_file", text.trim().to_owned()))),
        _ => Err(RemoteError::misconfigured(option_name("token_file"), "there is no token in it")),
    }
}

/// Says of a request which action it is for.
pub(crate) fn name_action<T>(request: &mut Request<T>, action: &str, label: &str) {
    let metadata = pb::RequestMetadata {
        action_id: action.to_owned(),
        target_id: label.to_owned(),
        ..metadata()
    };
    let value = MetadataValue::from_bytes(&metadata.encode_to_vec());
    request.metadata_mut().insert_bin(BinaryMetadataKey::from_static(METADATA), value);
}

/// Who sends requests. Engines show it beside what they log, and all requests of one process
/// belong together.
fn metadata() -> pb::RequestMetadata {
    static INVOCATION: LazyLock<String> = LazyLock::new(crate::unique::name);
    let details = pb::ToolDetails {
        tool_name: "larder".into(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
    };
    pb::RequestMetadata {
        tool_details: Some(details),
        tool_invocation_id: INVOCATION.clone(),
        ..pb::RequestMetadata::default()
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        for (name, value) in &self.ascii {
            metadata.insert(name.clone(), value.clone());
        }
        let key = BinaryMetadataKey::from_static(METADATA);
        if metadata.get_bin(&key).is_none() {
            metadata.insert_bin(key, self.tool.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &ReapiConfig) -> String {
        let address = Address::parse(&config.url).unwrap();
        match open(config, &address) {
            Err(RemoteError::Misconfigured { setting, .. }) => setting,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_wrong_option_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let junk = dir.path().join("junk");
        fs::write(&junk, "-----BEGIN NOTHING-----").unwrap();
        let junk = junk.to_str().unwrap();
        let plain = ReapiConfig::new("grpc://127.0.0.1:1");
        let tls = ReapiConfig::new("grpcs://127.0.0.1:1");
        let cases = [
            (plain.clone().with_option("ca_file", "/x"), "option ca_file"),
            (plain.clone().with_option("token_file", "/nowhere"), "option token_file"),
            (plain.clone().with_option("token", "a\u{7f}b"), "option token"),
            (plain.with_option("header.a b", "c"), "option header.a b"),
            (tls.clone().with_option("ca_file", "/nowhere"), "option ca_file"),
            (
                tls.clone().with_option("ca_file", junk).with_option("client_key", junk),
                "option client_certificate",
            ),
            (
                tls.with_option("ca_file", junk)
                    .with_option("client_key", junk)
                    .with_option("client_certificate", junk),
                "option client_key",
            ),
        ];
        for (config, setting) in cases {
            assert_eq!(refused(&config), setting, "{config:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = ReapiConfig::new("grpc://h:1")
            .with_option("token", "hidden")
            .with_option("header.x-key", "hidden too");
        let headers = Headers::new(&config).unwrap();
        let shown = format!("{config:?} {headers:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        assert_eq!(headers.ascii.len(), 2);
    }
}
