//! The URL of an engine.

use http::Uri;

use crate::{RemoteError, Result};

/// What the URL stands for in messages.
const URL: &str = "url";

/// A URL in its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The engine's part to talk to; empty is a name too.
    pub(crate) instance: String,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| RemoteError::misconfigured(URL, reason);
        let example = "write grpc://HOST:PORT, grpcs://HOST or either with /INSTANCE";
        let text = text.trim();
        let uri: Uri = text.parse().map_err(|e| {
            wrong(format!("{:?} is no address: {e}; {example}", without_login(text)))
        })?;
        let tls = match uri.scheme_str() {
            Some("grpc") => false,
            Some("grpcs") => true,
            other => {
                return Err(wrong(format!(
                    "{:?} is not supported; {example}",
                    other.unwrap_or("")
                )));
            }
        };
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err(wrong("it has a user name; what proves who you are is an option".into()));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(wrong("neither ? nor # may occur in it; settings are options".into()));
        }
        let host = uri.host().unwrap_or_default().to_owned();
        let port = match (uri.port_u16(), tls) {
            (Some(port), _) => port,
            (None, true) => 443,
            (None, false) => return Err(wrong(format!("it has no port; {example}"))),
        };
        let instance = uri.path().trim_matches('/').to_owned();
        Ok(Self { tls, host, port, instance })
    }

    /// `HOST:PORT`, for messages.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A resource of this instance: `[INSTANCE/]NAME`.
    pub(crate) fn resource(&self, name: &str) -> String {
        match self.instance.as_str() {
            "" => name.to_owned(),
            instance => format!("{instance}/{name}"),
        }
    }
}

/// The URL without user name and password, if there are any, for messages.
pub(crate) fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(tls: bool, host: &str, port: u16, instance: &str) -> Address {
        Address { tls, host: host.into(), port, instance: instance.into() }
    }

    #[test]
    fn addresses_have_host_port_and_instance() {
        let cases = [
            ("grpc://127.0.0.1:8980", address(false, "127.0.0.1", 8980, "")),
            ("grpc://cache.example:1/", address(false, "cache.example", 1, "")),
            ("grpc://[::1]:8980/main", address(false, "[::1]", 8980, "main")),
            ("grpcs://remote.example", address(true, "remote.example", 443, "")),
            ("grpcs://remote.example:8443/a/b", address(true, "remote.example", 8443, "a/b")),
        ];
        for (text, expected) in cases {
            assert_eq!(Address::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn wrong_addresses_are_refused_with_an_example_and_without_secrets() {
        for text in
            ["", "host:1", "http://host:1", "grpc://host", "grpc://h:1?x=y", "grpc://h:1/a#b"]
        {
            let error = Address::parse(text).unwrap_err();
            assert!(
                matches!(&error, RemoteError::Misconfigured { setting, .. } if setting == "url")
            );
        }
        let error = Address::parse("grpc://user:secret@h:1").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let error = Address::parse("grpc://user:secret@h h:1").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn resources_are_below_the_instance() {
        assert_eq!(address(false, "h", 1, "").resource("blobs/x/1"), "blobs/x/1");
        assert_eq!(address(false, "h", 1, "a/b").resource("blobs/x/1"), "a/b/blobs/x/1");
    }
}
