//! Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey as Key, MicrosoftAzureBuilder};
use object_store::{ClientOptions, ObjectStore};

use super::blame::{Blame, Part};
use super::client::Connector;
use super::config::{ObjectStoreConfig, Setting, misconfigured};
use super::gather::Gathered;
use super::location::{Location, URL};
use super::opened::Opened;
use super::swap::Swap;
use crate::Result;

const OPTIONS: &str = "account_name, account_key, sas_token, connection_string, client_id, \
    client_secret, tenant_id, endpoint, ca_file, no_proxy, and the other keys of object_store's \
    AzureConfigKey";
const DEFAULTS: &[(Part, &str)] = &[
    (Part::Identity, "AZURE_STORAGE_ACCOUNT_NAME"),
    (Part::Secret, "AZURE_STORAGE_ACCOUNT_KEY"),
    (Part::Token, "AZURE_STORAGE_SAS_TOKEN"),
    (Part::Endpoint, "AZURE_STORAGE_ACCOUNT_NAME"),
    (Part::Certificate, "SSL_CERT_FILE"),
];
/// Replaced together.
const LOGIN: [Key; 5] =
    [Key::AccountName, Key::AccessKey, Key::SasKey, Key::Token, Key::ClientSecret];
/// Names that Azure's own command line uses besides those of `object_store`.
const VARIABLES: [(&str, Key); 2] =
    [("AZURE_STORAGE_ACCOUNT", Key::AccountName), ("AZURE_STORAGE_KEY", Key::AccessKey)];

/// The emulator has an address in the process's environment; `endpoint` says it instead.
fn ours(key: &Key) -> bool {
    !matches!(key, Key::Client(_) | Key::ContainerName | Key::UseEmulator)
}

pub(super) fn open(config: &ObjectStoreConfig, location: &Location) -> Result<Opened> {
    let own = ["connection_string", "ca_file", "no_proxy"];
    let known = |name: &str| own.contains(&name) || name.parse().is_ok_and(|key| ours(&key));
    config.check_options(known, OPTIONS)?;
    let settings = settings(config)?;
    let endpoint = settings.get(&Key::Endpoint);
    let allow_http = endpoint.is_some_and(|setting| setting.value.starts_with("http://"));
    let mut blame = Blame::new(location, DEFAULTS);
    let secrets = [(Part::Secret, Key::SasKey), (Part::Secret, Key::ClientSecret)];
    settings.name(&mut blame, &secrets);
    settings.name(
        &mut blame,
        &[
            (Part::Identity, Key::AccountName),
            (Part::Secret, Key::AccessKey),
            (Part::Token, Key::SasKey),
            (Part::Endpoint, Key::AccountName),
            (Part::Endpoint, Key::Endpoint),
        ],
    );
    let has_key = settings.get(&Key::AccessKey).or(settings.get(&Key::SasKey)).is_some();
    if !has_key {
        settings.check_files(&[Key::FederatedTokenFile])?;
    }
    let connector = Connector::new(config, !(allow_http && has_key))?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(&location.bucket)
        .with_client_options(ClientOptions::new().with_allow_http(allow_http))
        .with_retry(connector.retry())
        .with_http_connector(connector);
    for (key, value) in settings.values() {
        builder = builder.with_config(key, value);
    }
    let store = builder.build().map_err(|e| {
        let key = settings.get(&Key::AccessKey).or(settings.get(&Key::SasKey));
        settings.refusal(&e, key.map_or(URL, |setting| setting.origin.as_str()))
    })?;
    let store = Arc::new(store) as Arc<dyn ObjectStore>;
    Ok(Opened { store, blame, swap: Swap::Native })
}

/// The environment, then options; of each, single values before the connection string.
fn settings(config: &ObjectStoreConfig) -> Result<Gathered<Key>> {
    let mut environment = Gathered::from_environment(config, "AZURE_", ours);
    for (name, key) in VARIABLES {
        if let (None, Some(setting)) = (environment.get(&key), config.variable(name)) {
            environment.set(key, setting);
        }
    }
    add_connection(&mut environment, config.variable("AZURE_STORAGE_CONNECTION_STRING"))?;
    let mut options = Gathered::from_options(config, ours);
    add_connection(&mut options, config.option("connection_string"))?;
    environment.overlay(options, &LOGIN);
    if environment.get(&Key::AccountName).is_none() {
        return Err(misconfigured(
            "AZURE_STORAGE_ACCOUNT_NAME",
            "no storage account is set, here, as option account_name or in a connection string",
        ));
    }
    Ok(environment)
}

/// The parts of a connection string that are not set otherwise. Its format:
/// <https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string>.
fn add_connection(settings: &mut Gathered<Key>, connection: Option<Setting>) -> Result<()> {
    let Some(connection) = connection else { return Ok(()) };
    let part = |name: &str| {
        let mut parts = connection.value.split(';').filter_map(|part| part.split_once('='));
        let value = parts.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?.1.trim();
        let origin = format!("{name} in {}", connection.origin);
        (!value.is_empty()).then(|| Setting { value: value.to_owned(), origin })
    };
    let endpoint = part("BlobEndpoint").or_else(|| {
        let (account, suffix) = (part("AccountName")?, part("EndpointSuffix")?);
        let protocol = part("DefaultEndpointsProtocol");
        let protocol = protocol.as_ref().map_or("https", |protocol| protocol.value.as_str());
        let value = format!("{protocol}://{}.blob.{}", account.value, suffix.value);
        Some(Setting { value, origin: suffix.origin })
    });
    let parts = [
        (Key::AccountName, part("AccountName").or_else(|| account_of(endpoint.as_ref()?))),
        (Key::AccessKey, part("AccountKey")),
        (Key::SasKey, part("SharedAccessSignature")),
        (Key::Endpoint, endpoint),
    ];
    if parts.iter().all(|(_, setting)| setting.is_none()) {
        return Err(connection.wrong("it has none of AccountName, AccountKey and BlobEndpoint"));
    }
    for (key, setting) in parts {
        if let (None, Some(setting)) = (settings.get(&key), setting) {
            settings.set(key, setting);
        }
    }
    Ok(())
}

/// The account whose address this is.
fn account_of(endpoint: &Setting) -> Option<Setting> {
    let host = endpoint.value.split_once("://")?.1;
    let (account, _) = host.split_once(".blob.")?;
    Some(Setting { value: account.to_owned(), origin: endpoint.origin.clone() })
}
