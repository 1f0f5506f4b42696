//! Google Cloud Storage. There is no server to test it against; its requests are `object_store`'s.

use std::path::Path;
use std::sync::Arc;

use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey as Key};
use object_store::{ClientOptions, ObjectStore};

use super::blame::{Blame, Part};
use super::client::Connector;
use super::config::{ObjectStoreConfig, Setting};
use super::gather::Gathered;
use super::location::{Location, URL};
use super::opened::Opened;
use super::swap::Swap;
use crate::Result;

const OPTIONS: &str = "service_account, service_account_key, application_credentials, \
    bearer_token, skip_signature, base_url, ca_file, no_proxy";
const DEFAULTS: &[(Part, &str)] = &[
    (Part::Identity, "GOOGLE_APPLICATION_CREDENTIALS"),
    (Part::Secret, "GOOGLE_APPLICATION_CREDENTIALS"),
    (Part::Token, "GOOGLE_APPLICATION_CREDENTIALS"),
    (Part::Certificate, "SSL_CERT_FILE"),
];
const LOGIN: [Key; 4] =
    [Key::ServiceAccount, Key::ServiceAccountKey, Key::ApplicationCredentials, Key::BearerToken];

fn ours(key: &Key) -> bool {
    !matches!(key, Key::Client(_) | Key::Bucket)
}

pub(super) fn open(config: &ObjectStoreConfig, location: &Location) -> Result<Opened> {
    let own = ["ca_file", "no_proxy"];
    let known = |name: &str| own.contains(&name) || name.parse().is_ok_and(|key| ours(&key));
    config.check_options(known, OPTIONS)?;
    let mut settings = Gathered::from_environment(config, "GOOGLE_", ours);
    settings.overlay(Gathered::from_options(config, ours), &LOGIN);
    if LOGIN.iter().all(|key| settings.get(key).is_none())
        && let Some(found) = user_credentials(config)
    {
        settings.set(Key::ApplicationCredentials, found);
    }
    let base = settings.get(&Key::BaseUrl);
    let allow_http = base.is_some_and(|setting| setting.value.starts_with("http://"));
    let mut blame = Blame::new(location, DEFAULTS);
    for key in LOGIN {
        if let Some(setting) = settings.get(&key) {
            let parts = [Part::Identity, Part::Secret, Part::Token];
            parts.iter().for_each(|part| blame.set(*part, &setting.origin));
        }
    }
    settings.name(&mut blame, &[(Part::Endpoint, Key::BaseUrl)]);
    let connector = Connector::new(config, true)?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&location.bucket)
        .with_client_options(ClientOptions::new().with_allow_http(allow_http))
        .with_retry(connector.retry())
        .with_http_connector(connector);
    for (key, value) in settings.values() {
        builder = builder.with_config(key, value);
    }
    let store = builder.build().map_err(|e| settings.refusal(&e, URL))?;
    let store = Arc::new(store) as Arc<dyn ObjectStore>;
    Ok(Opened { store, blame, swap: Swap::Native })
}

/// What `gcloud auth application-default login` leaves, in the home of whoever asks.
fn user_credentials(config: &ObjectStoreConfig) -> Option<Setting> {
    let directory = match config.variable("CLOUDSDK_CONFIG") {
        Some(setting) => setting.value.into(),
        None => Path::new(&config.variable("HOME")?.value).join(".config/gcloud"),
    };
    let file = directory.join("application_default_credentials.json");
    let value = file.is_file().then(|| file.to_str().map(str::to_owned))??;
    Some(Setting { origin: value.clone(), value })
}
