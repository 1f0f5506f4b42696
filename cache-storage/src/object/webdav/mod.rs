//! WebDAV ([RFC 4918](https://www.rfc-editor.org/rfc/rfc4918)): what `object_store` has of it, and
//! what we need besides: parents of new objects, streamed and conditional writing, credentials, and
//! listing without `Depth: infinity`, which many servers refuse.

mod collections;
mod put;
mod store;

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use object_store::http::HttpBuilder;
use object_store::{ClientOptions, ObjectStore};

use super::blame::{Blame, Part};
use super::client::Connector;
use super::config::{ObjectStoreConfig, Setting, misconfigured};
use super::location::{Location, URL};
use super::opened::Opened;
use super::swap::{Asks, Swap};
use crate::Result;
use store::WebDav;

const OPTIONS: [&str; 5] = ["username", "password", "bearer_token", "ca_file", "no_proxy"];
const DEFAULTS: &[(Part, &str)] = &[
    (Part::Identity, "option username"),
    (Part::Secret, "option username"),
    (Part::Certificate, "option ca_file"),
];

pub(super) fn open(config: &ObjectStoreConfig, location: &Location) -> Result<Opened> {
    config.check_options(|name| OPTIONS.contains(&name), &OPTIONS.join(", "))?;
    let mut blame = Blame::new(location, DEFAULTS);
    let mut headers = HeaderMap::new();
    if let Some(authorization) = authorization(config, location, &mut blame)? {
        headers.insert(AUTHORIZATION, authorization);
    }
    let allow_http = location.url.scheme() == "http";
    let connector = Connector::new(config, !allow_http)?.with_headers(headers);
    let failed = |e: &dyn std::error::Error| misconfigured(URL, e.to_string());
    let client = connector.client(allow_http).map_err(|e| failed(&e))?;
    let service = connector.service(client.clone());
    // All names begin at the server's root, the URL's own path included: in listings,
    // `object_store` does not take that path off again.
    let mut root = location.url.clone();
    root.set_path("/");
    let inner = HttpBuilder::new()
        .with_url(root.as_str())
        .with_client_options(ClientOptions::new().with_allow_http(allow_http))
        .with_retry(connector.retry())
        .with_http_connector(connector)
        .build()
        .map_err(|e| failed(&e))?;
    let store = WebDav::new(inner, root, service, client, config.limits.idle);
    let store = Arc::new(store) as Arc<dyn ObjectStore>;
    Ok(Opened { store, blame, swap: Swap::locked(Asks::All) })
}

fn authorization(
    config: &ObjectStoreConfig,
    location: &Location,
    blame: &mut Blame,
) -> Result<Option<HeaderValue>> {
    let header = |setting: &Setting, text: String| {
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| setting.wrong("it has characters that a header cannot have"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    };
    if let Some(token) = config.option("bearer_token") {
        blame.set(Part::Identity, &token.origin);
        blame.set(Part::Secret, &token.origin);
        return header(&token, format!("Bearer {}", token.value));
    }
    let (user, password) = match (config.option("username"), &location.login) {
        (Some(user), _) => (user, config.option("password")),
        (None, Some((user, password))) => {
            let part = |value: &String| Setting { value: value.clone(), origin: URL.into() };
            (part(user), Some(part(password)))
        }
        (None, None) => return Ok(None),
    };
    blame.set(Part::Identity, &user.origin);
    let password = password.unwrap_or(Setting {
        value: String::new(),
        origin: super::config::option_name("password"),
    });
    blame.set(Part::Secret, &password.origin);
    let login = format!("{}:{}", user.value, password.value);
    header(&user, format!("Basic {}", base64(login.as_bytes())))
}

/// Base64 with padding ([RFC 4648](https://www.rfc-editor.org/rfc/rfc4648), section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n)) as usize & 63];
            text.push(if n <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
