//! Where outcomes are shared, and how.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use cache_core::{Digest, Hasher};
use cache_storage::object::without_password;
use serde::{Deserialize, Serialize};

use super::values::Unusable;
use super::{Env, Origin, Problem, Setting, sccache, take, text, values};

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

/// When outcomes are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fetch {
    /// When that takes less time than making them.
    #[default]
    WhenFaster,
    /// Whenever the remote has them and answers: where computing costs more than waiting.
    Always,
}

impl Fetch {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WhenFaster => "when-faster",
            Self::Always => "always",
        }
    }
}

/// The variable of all options.
const OPTIONS: &str = "LARDER_REMOTE_OPTIONS";

/// The backend's options by name.
pub(crate) type Options = BTreeMap<String, Setting<String>>;

/// The settings of `[remote]`.
#[derive(Clone, Debug)]
pub(crate) struct RemoteConfig {
    /// The address; `None`: there is no remote.
    pub(crate) url: Setting<Option<String>>,
    /// What may be done with it.
    pub(crate) access: Setting<Access>,
    /// When outcomes are fetched.
    pub(crate) fetch: Setting<Fetch>,
    /// The backend's options.
    pub(crate) options: Options,
    /// Public keys whose records are accepted; none: all are.
    pub(crate) trusted: Setting<Vec<String>>,
    /// The file of the key that signs what is stored.
    pub(crate) signing_key: Setting<Option<PathBuf>>,
    /// Whether it is not used because of a mistake in its settings.
    pub(crate) withheld: bool,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            url: Setting::default(None),
            access: Setting::default(Access::default()),
            fetch: Setting::default(Fetch::default()),
            options: Options::new(),
            trusted: Setting::default(Vec::new()),
            signing_key: Setting::default(None),
            withheld: false,
        }
    }
}

/// Everything that is needed to use a remote, as one process tells another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteSettings {
    pub(crate) url: String,
    pub(crate) access: Access,
    pub(crate) fetch: Fetch,
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
    /// Names the remote, whoever uses it with whatever credentials: a new password does not make it
    /// another one, a server at another address does.
    pub(crate) fn id(&self) -> Digest {
        let mut hasher = Hasher::keyed("larder 2026-11 remote v1");
        hasher.field(self.shown_url().as_bytes());
        for (name, value) in self.options.iter().chain(&self.environment) {
            for part in where_to(name, value) {
                hasher.field(name.as_bytes()).field(part.as_bytes());
            }
        }
        hasher.finish()
    }

    /// The directory for what is known of the remote on this machine.
    pub(crate) fn dir(&self) -> PathBuf {
        let id = self.id().to_hex();
        self.state.join("remotes-v1").join(id.get(..16).unwrap_or_default())
    }

    /// The address as it may be shown.
    pub(crate) fn shown_url(&self) -> String {
        without_password(&self.url)
    }
}

/// What an option or variable says about which server and account is meant; mostly nothing.
fn where_to<'v>(name: &str, value: &'v str) -> Vec<&'v str> {
    let name = name.to_ascii_lowercase();
    if name.ends_with("connection_string") {
        let says = |part: &&str| {
            let key = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
            ["accountname", "blobendpoint", "endpointsuffix"].contains(&&*key)
        };
        return value.split(';').filter(says).collect();
    }
    let names = ["endpoint", "endpoint_url", "endpoint_url_s3", "account_name", "base_url"];
    let says = names.iter().any(|end| name.ends_with(end)) || name == "azure_storage_account";
    if says { vec![value] } else { Vec::new() }
}

/// Beginnings of the names of variables that backends look at, in small letters.
const PREFIXES: [&str; 7] = ["aws_", "azure_", "cloudsdk_", "gce_", "google_", "identity_", "msi_"];
const NAMES: [&str; 7] =
    ["all_proxy", "home", "http_proxy", "https_proxy", "no_proxy", "ssl_cert_dir", "ssl_cert_file"];
/// Options that anybody may see. Whatever is not among them counts as a secret.
const PUBLIC: [&str; 20] = [
    "access_key_id",
    "account_name",
    "application_credentials",
    "base_url",
    "ca_file",
    "client_id",
    "compression",
    "conditional_put",
    "digest",
    "endpoint",
    "no_proxy",
    "profile",
    "region",
    "server_name",
    "server_side_encryption",
    "service_account",
    "skip_signature",
    "tenant_id",
    "username",
    "virtual_hosted_style_request",
];

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
        let options = self.options.iter();
        Some(RemoteSettings {
            url,
            access: self.access.value,
            fetch: self.fetch.value,
            options: options.map(|(name, set)| (name.clone(), set.value.clone())).collect(),
            environment: vars.filter_map(text).collect(),
            trusted: self.trusted.value.clone(),
            signing_key: self.signing_key.value.clone(),
            store,
            state,
        })
    }

    /// Takes what the environment says, and where nobody says anything about a remote, what the
    /// variables of sccache say.
    ///
    /// A remote with a mistake in its settings is not used at all: without its list of trusted keys,
    /// say, it would be trusted with everything.
    pub(super) fn read_env(&mut self, env: Env<'_>, problems: &mut Vec<Problem>) {
        take(env, "LARDER_REMOTE", &|v| url(&text(v)), &mut self.url, problems);
        if matches!(self.url.origin, Origin::Env(_)) {
            // An address and its options belong together.
            self.options.clear();
        }
        take(env, "LARDER_REMOTE_MODE", &|v| access(&text(v)), &mut self.access, problems);
        take(env, "LARDER_REMOTE_FETCH", &|v| fetch(&text(v)), &mut self.fetch, problems);
        let mut given = Setting::default(BTreeMap::new());
        take(env, OPTIONS, &|v| options(&text(v)), &mut given, problems);
        for (name, value) in given.value {
            self.options.insert(name, Setting { value, origin: Origin::Env(OPTIONS) });
        }
        let keys = |v: &OsString| keys(text(v).split(','));
        take(env, "LARDER_REMOTE_TRUSTED_KEYS", &keys, &mut self.trusted, problems);
        let path = |v: &OsString| values::absolute(v).map(Some);
        take(env, "LARDER_REMOTE_SIGNING_KEY", &path, &mut self.signing_key, problems);
        self.withheld |= problems.iter().any(is_about_remote);
        if self.url.origin == Origin::Default && !self.withheld {
            self.read_sccache(env, problems);
            self.withheld = problems.iter().any(is_about_remote);
        }
        if self.withheld {
            self.url.value = None;
        }
        // Any option may be a secret.
        let of_options = problems.iter_mut().filter(|problem| problem.key == OPTIONS);
        of_options.for_each(|problem| problem.value.clear());
    }

    fn read_sccache(&mut self, env: Env<'_>, problems: &mut Vec<Problem>) {
        let ask = |name: &'static str| {
            let value = env(name)?.into_string().ok()?;
            Some(Setting { value, origin: Origin::Env(name) })
        };
        let Some(found) = sccache::remote(&ask, problems) else { return };
        self.url = Setting { value: Some(found.url.value), origin: found.url.origin };
        if self.access.origin == Origin::Default {
            self.access = found.access;
        }
        for (name, setting) in found.options {
            self.options.entry(name).or_insert(setting);
        }
    }

    /// Whether the remote is that of sccache's variables.
    pub(crate) fn is_of_sccache(&self) -> bool {
        matches!(self.url.origin, Origin::Env(name) if name != "LARDER_REMOTE")
    }
}

fn is_about_remote(problem: &Problem) -> bool {
    ["LARDER_REMOTE", "SCCACHE_", "remote"].iter().any(|start| problem.key.starts_with(start))
}

/// Whether the value of an option may be shown.
pub(crate) fn is_public(option: &str) -> bool {
    PUBLIC.contains(&option)
}

/// An option's value as it may be shown.
pub(crate) fn shown_option(name: &str, value: &str) -> String {
    if is_public(name) { without_password(value) } else { "(not shown)".to_owned() }
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
        fix: "write one such as s3://bucket/prefix, gs://, az://, https://, grpc://host:port or \
              file:///path, or off"
            .into(),
    })
}

pub(super) fn access(value: &str) -> Result<Access, Unusable> {
    values::one_of(value, &[("read", Access::Read), ("read-write", Access::ReadWrite)])
}

pub(super) fn fetch(value: &str) -> Result<Fetch, Unusable> {
    values::one_of(value, &[("when-faster", Fetch::WhenFaster), ("always", Fetch::Always)])
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
        fix: "write NAME=VALUE, with a comma between two; values with commas go into the file"
            .into(),
    })
}

/// Public keys as `larder key show` prints them.
pub(super) fn keys<'v>(values: impl Iterator<Item = &'v str>) -> Result<Vec<String>, Unusable> {
    let mut keys = Vec::new();
    for value in values.map(str::trim).filter(|value| !value.is_empty()) {
        if value.parse::<cache_storage::layers::PublicKey>().is_err() {
            let message = match value.starts_with("ed25519-secret:") {
                true => "this is a secret key, which only its owner may see".to_owned(),
                false => format!("{value:?} is not a public key"),
            };
            return Err(Unusable { message, fix: "write what `larder key show` prints".into() });
        }
        keys.push(value.to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
