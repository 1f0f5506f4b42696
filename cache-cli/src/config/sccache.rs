//! The variables of sccache that say where it shares, in our terms.
//!
//! Their names and meaning: <https://github.com/mozilla/sccache/blob/main/docs/Configuration.md>. Of
//! several remotes the first counts, in sccache's own order, as far as there is a backend for it. What
//! larder stores has nothing to do with what sccache stores, so it goes below `larder` in the prefix.

use super::remote::{Access, Options};
use super::{Origin, Problem, Setting};

/// Gives the value of one of sccache's variables, whoever says it.
pub(crate) type Ask<'a> = &'a dyn Fn(&'static str) -> Option<Setting<String>>;

/// The last part of each prefix.
const OWN: &str = "larder";

/// A remote in our terms.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) url: Setting<String>,
    pub(crate) access: Setting<Access>,
    pub(crate) options: Options,
}

/// The remote that sccache would use, if we can.
pub(crate) fn remote(ask: Ask<'_>, problems: &mut Vec<Problem>) -> Option<Found> {
    let mut reader = Reader { ask, problems, options: Options::new() };
    reader.s3().or_else(|| reader.gcs()).or_else(|| reader.azure()).or_else(|| reader.webdav())
}

/// What is set and has no counterpart here, with what to do.
pub(crate) fn unsupported(ask: Ask<'_>) -> Vec<(&'static str, &'static str)> {
    const NO_SERVER: &str =
        "larder has no such backend; name an S3, GCS, Azure or WebDAV server in remote.url";
    const NO_GITHUB: &str =
        "larder does not use GitHub's cache service; cache-cli/docs/remote.md has recipes";
    const AS_S3: &str = "larder reaches this store by its S3 interface: set remote.url to \
                         s3://BUCKET and remote.options.endpoint";
    const NO_TOKENS: &str = "set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials";
    let all = [
        ("SCCACHE_REDIS", NO_SERVER),
        ("SCCACHE_REDIS_ENDPOINT", NO_SERVER),
        ("SCCACHE_REDIS_CLUSTER_ENDPOINTS", NO_SERVER),
        ("SCCACHE_MEMCACHED", NO_SERVER),
        ("SCCACHE_MEMCACHED_ENDPOINT", NO_SERVER),
        ("SCCACHE_GHA_ENABLED", NO_GITHUB),
        ("SCCACHE_GHA_VERSION", NO_GITHUB),
        ("SCCACHE_OSS_BUCKET", AS_S3),
        ("SCCACHE_COS_BUCKET", AS_S3),
        ("SCCACHE_GCS_CREDENTIALS_URL", NO_TOKENS),
        ("SCCACHE_GCS_SERVICE_ACCOUNT", NO_TOKENS),
    ];
    all.into_iter().filter(|(name, _)| ask(name).is_some_and(|set| !is_off(&set.value))).collect()
}

fn is_off(value: &str) -> bool {
    ["false", "off", "0", ""].contains(&value.to_ascii_lowercase().as_str())
}

struct Reader<'a> {
    ask: Ask<'a>,
    problems: &'a mut Vec<Problem>,
    options: Options,
}

impl Reader<'_> {
    fn s3(&mut self) -> Option<Found> {
        let bucket = (self.ask)("SCCACHE_BUCKET")?;
        self.option("region", "SCCACHE_REGION");
        let secure = self.truth("SCCACHE_S3_USE_SSL");
        if let Some(mut endpoint) = (self.ask)("SCCACHE_ENDPOINT") {
            let (scheme, host) = match endpoint.value.split_once("://") {
                Some((scheme, host)) => (scheme, host),
                // sccache's default, so that the same variables reach the same server.
                None => ("http", endpoint.value.as_str()),
            };
            let scheme = secure.map_or(scheme, |secure| if secure { "https" } else { "http" });
            endpoint.value = format!("{scheme}://{}", host.trim_end_matches('/'));
            self.options.insert("endpoint".into(), endpoint);
        }
        let host_style = self.truth("SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE") == Some(true);
        self.fixed(host_style, "virtual_hosted_style_request", "true", {
            "SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE"
        });
        let encrypted = self.truth("SCCACHE_S3_SERVER_SIDE_ENCRYPTION") == Some(true);
        self.fixed(encrypted, "server_side_encryption", "AES256", {
            "SCCACHE_S3_SERVER_SIDE_ENCRYPTION"
        });
        let anybody = self.truth("SCCACHE_S3_NO_CREDENTIALS") == Some(true);
        self.fixed(anybody, "skip_signature", "true", "SCCACHE_S3_NO_CREDENTIALS");
        let mut found = self.found("s3", bucket, "SCCACHE_S3_KEY_PREFIX", "SCCACHE_S3_RW_MODE");
        if anybody {
            // Whom nobody knows may only read.
            let origin = Origin::Env("SCCACHE_S3_NO_CREDENTIALS");
            found.access = Setting { value: Access::Read, origin };
        }
        Some(found)
    }

    fn gcs(&mut self) -> Option<Found> {
        let bucket = (self.ask)("SCCACHE_GCS_BUCKET")?;
        self.option("application_credentials", "SCCACHE_GCS_KEY_PATH");
        let mut found = self.found("gs", bucket, "SCCACHE_GCS_KEY_PREFIX", "SCCACHE_GCS_RW_MODE");
        if found.access.origin == Origin::Default {
            // Of all its remotes this is the one that sccache only reads unless told otherwise.
            found.access = Setting { value: Access::Read, origin: found.url.origin.clone() };
        }
        Some(found)
    }

    fn azure(&mut self) -> Option<Found> {
        let connection = (self.ask)("SCCACHE_AZURE_CONNECTION_STRING")?;
        let container = (self.ask)("SCCACHE_AZURE_BLOB_CONTAINER")?;
        self.options.insert("connection_string".into(), connection);
        Some(self.found("az", container, "SCCACHE_AZURE_KEY_PREFIX", "SCCACHE_AZURE_RW_MODE"))
    }

    fn webdav(&mut self) -> Option<Found> {
        let endpoint = (self.ask)("SCCACHE_WEBDAV_ENDPOINT")?;
        self.option("username", "SCCACHE_WEBDAV_USERNAME");
        self.option("password", "SCCACHE_WEBDAV_PASSWORD");
        self.option("bearer_token", "SCCACHE_WEBDAV_TOKEN");
        let access = self.access("SCCACHE_WEBDAV_RW_MODE");
        let below = self.below("SCCACHE_WEBDAV_KEY_PREFIX");
        let value = format!("{}/{below}", endpoint.value.trim_end_matches('/'));
        let url = Setting { value, origin: endpoint.origin };
        Some(Found { url, access, options: std::mem::take(&mut self.options) })
    }

    fn found(
        &mut self,
        scheme: &str,
        bucket: Setting<String>,
        prefix: &'static str,
        mode: &'static str,
    ) -> Found {
        let value = format!("{scheme}://{}/{}", bucket.value, self.below(prefix));
        Found {
            url: Setting { value, origin: bucket.origin },
            access: self.access(mode),
            options: std::mem::take(&mut self.options),
        }
    }

    /// The path below a bucket or server, as it stands in a URL.
    fn below(&self, prefix: &'static str) -> String {
        let prefix = (self.ask)(prefix).map_or_else(String::new, |set| set.value);
        let parts = prefix.split('/').filter(|part| !part.is_empty()).chain([OWN]);
        parts.map(encoded).collect::<Vec<_>>().join("/")
    }

    fn option(&mut self, option: &str, name: &'static str) {
        if let Some(set) = (self.ask)(name) {
            self.options.insert(option.into(), set);
        }
    }

    fn fixed(&mut self, wanted: bool, option: &str, value: &str, name: &'static str) {
        if wanted {
            let set = Setting { value: value.to_owned(), origin: Origin::Env(name) };
            self.options.insert(option.into(), set);
        }
    }

    /// sccache's words for truth values, in any case of letters.
    fn truth(&mut self, name: &'static str) -> Option<bool> {
        let set = (self.ask)(name)?;
        match set.value.to_ascii_lowercase().as_str() {
            "true" | "on" | "1" => Some(true),
            "false" | "off" | "0" => Some(false),
            _ => self.wrong(name, &set, "not a truth value", "write true or false"),
        }
    }

    fn access(&mut self, name: &'static str) -> Setting<Access> {
        let Some(set) = (self.ask)(name) else { return Setting::default(Access::ReadWrite) };
        let value = match set.value.as_str() {
            "READ_WRITE" => Access::ReadWrite,
            "READ_ONLY" => Access::Read,
            _ => {
                let fix = "write READ_ONLY or READ_WRITE";
                self.wrong(name, &set, "not a known value", fix).unwrap_or(Access::Read)
            }
        };
        Setting { value, origin: set.origin }
    }

    fn wrong<T>(
        &mut self,
        name: &str,
        set: &Setting<String>,
        message: &str,
        fix: &str,
    ) -> Option<T> {
        self.problems.push(Problem {
            place: match &set.origin {
                Origin::Env(_) => "environment".into(),
                other => other.to_string(),
            },
            key: name.into(),
            value: format!("{:?}", set.value),
            message: message.into(),
            fix: fix.into(),
        });
        None
    }
}

/// A part of a path in a URL (RFC 3986, 3.3: unreserved characters stay).
fn encoded(part: &str) -> String {
    let mut out = String::new();
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests;
