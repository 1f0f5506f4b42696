//! What a user says about an engine.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{DigestFunction, RemoteError, Result};

/// Where an engine is and how it is reached.
///
/// # Options
///
/// | option               | meaning                                                              |
/// |----------------------|----------------------------------------------------------------------|
/// | `token`              | sent as `authorization: Bearer TOKEN`                                |
/// | `token_file`         | a file with that token                                               |
/// | `header.NAME`        | sent as header NAME with each request                                |
/// | `ca_file`            | certificates (PEM) to trust, instead of the system's                 |
/// | `client_certificate` | a file (PEM): who we are; with `client_key`                          |
/// | `client_key`         | the file (PEM) with its private key                                  |
/// | `server_name`        | the name in the server's certificate, if it is not the address's     |
/// | `digest`             | `sha256` or `blake3`; by default BLAKE3 where the engine offers it   |
/// | `compression`        | `none` to send and fetch blobs plain though the engine offers zstd   |
///
/// An option that is empty counts as unset; one that is not in the table is an error.
#[derive(Clone, Default)]
pub struct ReapiConfig {
    /// `grpc://HOST:PORT[/INSTANCE]`, or `grpcs://…` for TLS (port 443 if none is given).
    pub url: String,
    /// Options by name.
    pub options: BTreeMap<String, String>,
    /// Refuse every write to the cache without asking the engine.
    pub read_only: bool,
    /// How long requests may take.
    pub limits: Limits,
}

impl fmt::Debug for ReapiConfig {
    /// Without values of options: there are secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReapiConfig")
            .field("url", &crate::address::without_login(&self.url))
            .field("options", &self.options.keys())
            .field("read_only", &self.read_only)
            .field("limits", &self.limits)
            .finish()
    }
}

/// How long requests may take, and how often they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For making a connection, TLS included. Default: 2 s.
    pub connect: Duration,
    /// For an answer, and from each part of a stream to the next. An execution is not bound by it.
    /// Default: 10 s.
    pub idle: Duration,
    /// TCP asks the other side for a sign of life after hearing nothing for so long, and gives up
    /// after a second such time. Default: 30 s.
    pub keepalive: Duration,
    /// How often a request is repeated when the engine was not reached or says that it is
    /// overloaded. Default: 3.
    pub retries: u32,
    /// The pause before the first repetition; doubled, with jitter, before each further one.
    /// Default: 100 ms.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            idle: Duration::from_secs(10),
            keepalive: Duration::from_secs(30),
            retries: 3,
            pause: Duration::from_millis(100),
        }
    }
}

const NAMES: [&str; 8] = [
    "token",
    "token_file",
    "ca_file",
    "client_certificate",
    "client_key",
    "server_name",
    "digest",
    "compression",
];
const HEADER: &str = "header.";

/// How an option is called in messages.
pub(crate) fn option_name(name: &str) -> String {
    format!("option {name}")
}

impl ReapiConfig {
    /// An engine at this address, all else as by default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The same with an option set.
    #[must_use]
    pub fn with_option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    /// An option without surrounding blanks; an empty one is unset.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Names and values of the headers to send.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(HEADER)?, value.trim())))
    }

    /// Refuses options that are not in the table.
    pub(crate) fn check_names(&self) -> Result<()> {
        let known = |name: &str| NAMES.contains(&name) || name.starts_with(HEADER);
        match self.options.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(RemoteError::misconfigured(
                option_name(name),
                format!("there is no such option; there are: {}, {HEADER}NAME", NAMES.join(", ")),
            )),
        }
    }

    /// The digest function asked for; `None` to choose by what the engine offers.
    pub(crate) fn digest(&self) -> Result<Option<DigestFunction>> {
        match self.option("digest") {
            None => Ok(None),
            Some("sha256") => Ok(Some(DigestFunction::Sha256)),
            Some("blake3") => Ok(Some(DigestFunction::Blake3)),
            Some(other) => Err(RemoteError::misconfigured(
                option_name("digest"),
                format!("{other:?} is not known; write sha256 or blake3"),
            )),
        }
    }

    /// Whether blobs may travel compressed.
    pub(crate) fn compression(&self) -> Result<bool> {
        match self.option("compression") {
            None | Some("zstd") => Ok(true),
            Some("none") => Ok(false),
            Some(other) => Err(RemoteError::misconfigured(
                option_name("compression"),
                format!("{other:?} is not known; write zstd or none"),
            )),
        }
    }
}
