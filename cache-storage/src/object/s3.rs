//! S3 and what speaks its language.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};
use object_store::{ClientOptions, ObjectStore};

use super::aws_profile;
use super::blame::{Blame, Part};
use super::client::Connector;
use super::config::{ObjectStoreConfig, misconfigured};
use super::gather::Gathered;
use super::location::{Location, URL};
use super::opened::Opened;
use super::swap::{Asks, Swap};
use crate::Result;

const OPTIONS: &str = "access_key_id, secret_access_key, session_token, region, endpoint, profile, \
    virtual_hosted_style_request, skip_signature, conditional_put, ca_file, no_proxy, and the other \
    keys of object_store's AmazonS3ConfigKey";
/// Replaced together.
const LOGIN: [Key; 3] = [Key::AccessKeyId, Key::SecretAccessKey, Key::Token];
const DEFAULTS: &[(Part, &str)] = &[
    (Part::Identity, "AWS_ACCESS_KEY_ID"),
    (Part::Secret, "AWS_SECRET_ACCESS_KEY"),
    (Part::Token, "AWS_SESSION_TOKEN"),
    (Part::Region, "AWS_REGION"),
    (Part::Endpoint, "AWS_ENDPOINT_URL"),
    (Part::Certificate, "AWS_CA_BUNDLE"),
];

/// The client and the bucket are not the user's to set by options.
fn ours(key: &Key) -> bool {
    !matches!(key, Key::Client(_) | Key::Bucket)
}

pub(super) fn open(config: &ObjectStoreConfig, location: &Location) -> Result<Opened> {
    let own = ["profile", "ca_file", "no_proxy"];
    let known = |name: &str| own.contains(&name) || name.parse().is_ok_and(|key| ours(&key));
    config.check_options(known, OPTIONS)?;
    let settings = settings(config)?;
    let endpoint = settings.get(&Key::S3Endpoint).or(settings.get(&Key::Endpoint)).cloned();
    let allow_http = match &endpoint {
        None => false,
        Some(setting) if setting.value.starts_with("https://") => false,
        Some(setting) if setting.value.starts_with("http://") => true,
        Some(setting) => return Err(setting.wrong("it must begin with https:// or http://")),
    };
    let mut blame = Blame::new(location, DEFAULTS);
    let regions = [(Part::Region, Key::DefaultRegion), (Part::Region, Key::Region)];
    settings.name(&mut blame, &regions);
    settings.name(
        &mut blame,
        &[
            (Part::Identity, Key::ContainerCredentialsRelativeUri),
            (Part::Identity, Key::ContainerCredentialsFullUri),
            (Part::Identity, Key::WebIdentityTokenFile),
            (Part::Identity, Key::AccessKeyId),
            (Part::Secret, Key::SecretAccessKey),
            (Part::Token, Key::Token),
        ],
    );
    if let Some(endpoint) = endpoint {
        blame.set(Part::Endpoint, &endpoint.origin);
    }
    let (key_id, secret) = (settings.get(&Key::AccessKeyId), settings.get(&Key::SecretAccessKey));
    match (key_id, secret) {
        (Some(key), None) => return Err(key.wrong("there is no secret access key to go with it")),
        (None, Some(secret)) => return Err(secret.wrong("there is no key id to go with it")),
        _ => {}
    }
    let has_login = key_id.is_some();
    if !has_login {
        settings.check_files(&[Key::WebIdentityTokenFile, Key::ContainerAuthorizationTokenFile])?;
    }
    let connector = Connector::new(config, !(allow_http && has_login))?;
    let conditional = settings.get(&Key::ConditionalPut);
    let swap = if conditional.is_some_and(|setting| setting.value == "disabled") {
        Swap::locked(Asks::Nothing)
    } else {
        Swap::Native
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&location.bucket)
        // One DELETE for one object: not every server has the bulk form.
        .with_config(Key::DisableBulkDelete, "true")
        .with_client_options(ClientOptions::new().with_allow_http(allow_http))
        .with_retry(connector.retry())
        .with_http_connector(connector);
    for (key, value) in settings.values() {
        builder = builder.with_config(key, value);
    }
    let store = builder.build().map_err(|e| settings.refusal(&e, URL))?;
    Ok(Opened { store: Arc::new(store) as Arc<dyn ObjectStore>, blame, swap })
}

/// Profile, then environment, then options; each later one wins.
fn settings(config: &ObjectStoreConfig) -> Result<Gathered<Key>> {
    let environment = Gathered::from_environment(config, "AWS_", ours);
    let options = Gathered::from_options(config, ours);
    let has_login = |settings: &Gathered<Key>| {
        settings.get(&Key::AccessKeyId).or(settings.get(&Key::SecretAccessKey)).is_some()
    };
    let has_role = |settings: &Gathered<Key>| settings.get(&Key::WebIdentityTokenFile).is_some();
    let complete = [&environment, &options].iter().any(|s| has_login(s) || has_role(s));
    let mut settings = aws_profile::read(config, complete)?;
    settings.overlay(environment, &LOGIN);
    settings.overlay(options, &LOGIN);
    // An explicit variable that the AWS tools have for machines that are not instances.
    let metadata = config.variable("AWS_EC2_METADATA_DISABLED");
    let metadata_off = metadata.is_some_and(|setting| setting.value.eq_ignore_ascii_case("true"));
    let other_ways = [
        Key::SkipSignature,
        Key::WebIdentityTokenFile,
        Key::ContainerCredentialsRelativeUri,
        Key::ContainerCredentialsFullUri,
    ];
    if metadata_off && !has_login(&settings) && other_ways.iter().all(|k| settings.get(k).is_none())
    {
        return Err(misconfigured("AWS_ACCESS_KEY_ID", "no credentials are set"));
    }
    Ok(settings)
}
