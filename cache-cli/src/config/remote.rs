//! Where outcomes are shared, and how.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use cache_core::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use super::{Setting, values::Unusable};

/// What may be done with a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// Outcomes come from it.
    Read,
    /// Outcomes come from it and go to it.
    #[default]
    ReadWrite,
}

impl Access {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        }
    }
}

/// The settings of `[remote]`.
#[derive(Clone, Debug)]
pub(crate) struct RemoteConfig {
    /// The address; `None`: there is no remote.
    pub(crate) url: Setting<Option<String>>,
    /// What may be done with it.
    pub(crate) access: Setting<Access>,
    /// The backend's options.
    pub(crate) options: Setting<BTreeMap<String, String>>,
    /// Public keys whose records are accepted; none: all are.
    pub(crate) trusted: Setting<Vec<String>>,
    /// The file of the key that signs what is stored.
    pub(crate) signing_key: Setting<Option<PathBuf>>,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            url: Setting::default(None),
            access: Setting::default(Access::default()),
            options: Setting::default(BTreeMap::new()),
            trusted: Setting::default(Vec::new()),
            signing_key: Setting::default(None),
        }
    }
}

/// Everything that is needed to use a remote, as one process tells another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteSettings {
    pub(crate) url: String,
    pub(crate) access: Access,
    pub(crate) options: BTreeMap<String, String>,
    /// The variables that backends take credentials and proxies from.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) trusted: Vec<String>,
    pub(crate) signing_key: Option<PathBuf>,
    /// The local store that it stands behind.
    pub(crate) store: PathBuf,
    /// Where the state of what is shared is kept.
    pub(crate) state: PathBuf,
}

impl RemoteSettings {
    /// Names the remote, whoever uses it with whatever credentials.
    pub(crate) fn id(&self) -> Digest {
        let mut hasher = Hasher::keyed("larder 2026-11 remote v1");
        hasher.field(self.url.as_bytes());
        for (name, value) in &self.options {
            hasher.field(name.as_bytes()).field(value.as_bytes());
        }
        hasher.finish()
    }

    /// The directory for what is known of the remote on this machine.
    pub(crate) fn dir(&self) -> PathBuf {
        let id = self.id().to_hex();
        self.state.join("remotes-v1").join(id.get(..16).unwrap_or_default())
    }
}

/// Beginnings of the names of variables that backends look at, in small letters.
const PREFIXES: [&str; 7] = ["aws_", "azure_", "cloudsdk_", "gce_", "google_", "identity_", "msi_"];
const NAMES: [&str; 7] =
    ["all_proxy", "home", "http_proxy", "https_proxy", "no_proxy", "ssl_cert_dir", "ssl_cert_file"];

impl RemoteConfig {
    /// The settings with the variables of this process; `None` when no remote is configured.
    pub(crate) fn settings(
        &self,
        store: PathBuf,
        state: PathBuf,
        vars: impl Iterator<Item = (OsString, OsString)>,
    ) -> Option<RemoteSettings> {
        let url = self.url.value.clone()?;
        let counts = |name: &str| {
            let name = name.to_ascii_lowercase();
            NAMES.contains(&&*name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok().filter(|name| counts(name))?, value.into_string().ok()?))
        };
        Some(RemoteSettings {
            url,
            access: self.access.value,
            options: self.options.value.clone(),
            environment: vars.filter_map(text).collect(),
            trusted: self.trusted.value.clone(),
            signing_key: self.signing_key.value.clone(),
            store,
            state,
        })
    }
}

/// A URL with a scheme; whether there is such a store shows when it is opened. `off` is none.
pub(super) fn url(value: &str) -> Result<Option<String>, Unusable> {
    if value == "off" {
        return Ok(None);
    }
    if value.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty()) {
        return Ok(Some(value.to_owned()));
    }
    Err(Unusable {
        message: "not a URL".into(),
        fix: "write one such as s3://bucket/prefix, gs://, az://, https:// or file:///path, or off"
            .into(),
    })
}

pub(super) fn access(value: &str) -> Result<Access, Unusable> {
    super::values::one_of(value, &[("read", Access::Read), ("read-write", Access::ReadWrite)])
}

/// `NAME=VALUE,NAME=VALUE`.
pub(super) fn options(value: &str) -> Result<BTreeMap<String, String>, Unusable> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    let pairs = value.split(',').filter(|text| !text.trim().is_empty()).map(pair);
    pairs.collect::<Option<_>>().ok_or_else(|| Unusable {
        message: "not a list of options".into(),
        fix: "write NAME=VALUE, with a comma between two".into(),
    })
}

/// Public keys as `larder key show` prints them.
pub(super) fn keys<'v>(values: impl Iterator<Item = &'v str>) -> Result<Vec<String>, Unusable> {
    let mut keys = Vec::new();
    for value in values.map(str::trim).filter(|value| !value.is_empty()) {
        if value.parse::<cache_storage::layers::PublicKey>().is_err() {
            return Err(Unusable {
                message: format!("{value:?} is not a public key"),
                fix: "write what `larder key show` prints".into(),
            });
        }
        keys.push(value.to_owned());
    }
    Ok(keys)
}
