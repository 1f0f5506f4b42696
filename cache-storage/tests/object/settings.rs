//! Mistakes in the configuration are told by the setting to look at.

use std::collections::BTreeMap;

use bytes::Bytes;
use cache_storage::object::{ObjectStoreBackend, ObjectStoreConfig};
use cache_storage::{Store, StoreError};

use crate::proxy::{Fault, Proxy, Rule};
use crate::servers::{Server, config, open};
use crate::tools::{Proxied, create, key, noise, write};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The setting that an error names, after its kind.
fn blamed(error: &StoreError) -> String {
    match error {
        StoreError::Denied { setting, .. } => format!("denied: {setting}"),
        StoreError::Misconfigured { setting, .. } => format!("misconfigured: {setting}"),
        other => format!("{other:?}"),
    }
}

async fn reading(config: &ObjectStoreConfig) -> String {
    let Err(error) = open(config).get_record(&key("settings")).await else {
        return "nothing".into();
    };
    println!("{error}");
    blamed(&error)
}

#[tokio::test]
async fn s3_says_which_setting_is_wrong() {
    let Some(address) = Server::S3.address() else { return };
    let right = Server::S3.config(&address, "settings");
    assert_eq!(reading(&right).await, "nothing");
    let with = |name: &str, value: &str| {
        let mut config = right.clone();
        config.options.insert(name.into(), value.into());
        config
    };
    let other_bucket = ObjectStoreConfig { url: "s3://no-such-bucket/x".into(), ..right.clone() };
    assert_eq!(reading(&other_bucket).await, "misconfigured: url");
    let identity = with("access_key_id", "nobody");
    assert_eq!(reading(&identity).await, "denied: option access_key_id");
    let secret = with("secret_access_key", "guessed");
    assert_eq!(reading(&secret).await, "denied: option secret_access_key");
}

#[tokio::test]
async fn settings_of_the_environment_are_named_as_they_are_there() {
    let Some(address) = Server::S3.address() else { return };
    let mut config = config("s3://larder/environment", BTreeMap::new());
    config.environment = map(&[
        ("AWS_ENDPOINT_URL", &address),
        ("AWS_ACCESS_KEY_ID", "larder"),
        ("AWS_SECRET_ACCESS_KEY", "larder-secret"),
        ("AWS_REGION", "us-east-1"),
    ]);
    assert_eq!(reading(&config).await, "nothing");
    config.environment.insert("AWS_SECRET_ACCESS_KEY".into(), "guessed".into());
    assert_eq!(reading(&config).await, "denied: AWS_SECRET_ACCESS_KEY");
    config.options = map(&[("access_key_id", "larder"), ("secret_access_key", "larder-secret")]);
    config.environment.insert("AWS_SESSION_TOKEN".into(), "of the other key".into());
    assert_eq!(reading(&config).await, "nothing", "options come first, and all of one login");
}

#[tokio::test]
async fn a_profile_is_enough() {
    let Some(address) = Server::S3.address() else { return };
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let profile = |secret: &str| {
        let text = format!(
            "[profile team]\nendpoint_url = {address}\nregion = us-east-1\n\
             aws_access_key_id = larder\naws_secret_access_key = {secret}\n"
        );
        std::fs::write(home.path().join(".aws/config"), text).unwrap();
    };
    let mut config = config("s3://larder/profile", map(&[("profile", "team")]));
    config.environment = map(&[("HOME", home.path().to_str().unwrap())]);
    profile("larder-secret");
    assert_eq!(reading(&config).await, "nothing");
    profile("guessed");
    let blamed = reading(&config).await;
    assert!(blamed.starts_with("denied: aws_secret_access_key of profile team in "), "{blamed}");
}

#[tokio::test]
async fn who_may_only_read_is_told_so() {
    let Some(address) = Server::S3.address() else { return };
    let mut config = Server::S3.config(&address, "reader");
    config
        .options
        .extend(map(&[("access_key_id", "reader"), ("secret_access_key", "reader-secret")]));
    let store = open(&config);
    assert_eq!(store.get_record(&key("reader")).await.unwrap(), None);
    let error = create(&store, "reader", &Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
    let error = write(&store, &noise("reader", 10)).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
    let error = write(&store, &noise("reader", 20 << 20)).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
}

#[tokio::test]
async fn azure_says_which_setting_is_wrong() {
    let Some(address) = Server::Azure.address() else { return };
    let right = Server::Azure.config(&address, "settings");
    assert_eq!(reading(&right).await, "nothing");
    let other_bucket = ObjectStoreConfig { url: "az://no-such-bucket/x".into(), ..right.clone() };
    assert_eq!(reading(&other_bucket).await, "misconfigured: url");
    let mut other_key = right.clone();
    other_key.options.insert("account_key".into(), "Z3Vlc3NlZA==".into());
    assert_eq!(reading(&other_key).await, "denied: option account_key");
    let mut connected = right.clone();
    let key = connected.options["account_key"].clone();
    connected.options = BTreeMap::new();
    connected.environment = map(&[(
        "AZURE_STORAGE_CONNECTION_STRING",
        &format!("AccountName=devstoreaccount1;AccountKey={key};BlobEndpoint={address};"),
    )]);
    assert_eq!(reading(&connected).await, "nothing");
}

#[tokio::test]
async fn webdav_says_which_setting_is_wrong() {
    let Some(address) = Server::WebDav.address() else { return };
    let private = format!("{address}/private/settings");
    let bytes = Bytes::from_static(b"x");
    let login = [("username", "larder"), ("password", "secret")];
    let right = open(&config(&private, map(&login)));
    right.delete_record(&key("settings")).await.unwrap();
    create(&right, "settings", &bytes).await.unwrap();
    let in_url = config(&private.replace("://", "://larder:secret@"), BTreeMap::new());
    assert_eq!(reading(&in_url).await, "nothing");
    let wrong = config(&private, map(&[("username", "larder"), ("password", "guessed")]));
    assert_eq!(reading(&wrong).await, "denied: option password");
    let none = config(&private, BTreeMap::new());
    assert_eq!(reading(&none).await, "denied: option username");
    let error = write(&open(&none), &bytes).await.unwrap_err();
    assert_eq!(blamed(&error), "denied: option username");
}

/// Answers of servers that are not at hand: a bucket in another region, and a clock that is wrong.
#[tokio::test]
async fn region_and_clock_are_named() {
    let Some(there) = Proxied::new(Server::S3, "answers").await else { return };
    let answers = [
        (
            "301 Moved Permanently",
            "<Error><Code>PermanentRedirect</Code></Error>",
            "misconfigured: option region",
        ),
        (
            "400 Bad Request",
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
            "misconfigured: option region",
        ),
        (
            "403 Forbidden",
            "<Error><Code>RequestTimeTooSkewed</Code></Error>",
            "misconfigured: system clock",
        ),
        ("403 Forbidden", "<Error><Code>ExpiredToken</Code></Error>", "denied: AWS_SESSION_TOKEN"),
        (
            "501 Not Implemented",
            "<Error><Code>NotImplemented</Code></Error>",
            "misconfigured: option conditional_put",
        ),
    ];
    for (status, body, setting) in answers {
        there.proxy.add(Rule::always(Fault::Answer(status, body)));
        assert_eq!(reading(&there.config).await, setting, "{body}");
    }
}

/// Credentials by a service, as containers have them.
#[tokio::test]
async fn credentials_of_a_container_are_fetched() {
    let Some(address) = Server::S3.address() else { return };
    let service = Proxy::start(&address).await;
    service.add(Rule::always(Fault::Answer(
        "200 OK",
        r#"{"AccessKeyId": "larder", "SecretAccessKey": "larder-secret", "Token": "",
            "Expiration": "2126-01-01T00:00:00Z"}"#,
    )));
    let token = tempfile::NamedTempFile::new().unwrap();
    let mut config = config("s3://larder/container", map(&[("endpoint", &address)]));
    config.environment = map(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{}/x", service.address())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.path().to_str().unwrap()),
    ]);
    reading(&config).await;
    assert_eq!(service.requests(), 1);
}

#[tokio::test]
async fn no_credentials_at_all_is_told() {
    let mut config = config("s3://larder/none", BTreeMap::new());
    config.environment = map(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    let error = ObjectStoreBackend::open(&config).unwrap_err();
    assert_eq!(blamed(&error), "misconfigured: AWS_ACCESS_KEY_ID");
}

#[tokio::test]
async fn a_server_without_conditions_can_be_used() {
    let Some(address) = Server::S3.address() else { return };
    let mut config = Server::S3.config(&address, "unconditional");
    config.options.insert("conditional_put".into(), "disabled".into());
    let store = open(&config);
    assert!(store.capabilities().last_write_wins);
    cache_storage::conformance::all(&store).await;
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable() {
    let proxy = Proxy::start("http://127.0.0.1:1").await;
    let address = proxy.instead_of("http://127.0.0.1:1");
    drop(proxy);
    let store = open(&config(&address, BTreeMap::new()));
    let error = store.get_record(&key("nobody")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn what_cannot_be_opened_names_the_setting() {
    type Options = &'static [(&'static str, &'static str)];
    let cases: &[(&str, Options, &str)] = &[
        ("ftp://host/x", &[], "url"),
        ("s3://b", &[("acces_key_id", "typo")], "option acces_key_id"),
        ("s3://b", &[("allow_http", "true")], "option allow_http"),
        ("s3://b", &[("endpoint", "host:9000")], "option endpoint"),
        ("s3://b", &[("ca_file", "/absent.pem")], "option ca_file"),
        ("s3://b", &[("profile", "absent")], "option profile"),
        ("s3://b", &[("access_key_id", "x")], "option access_key_id"),
        ("s3://b", &[("secret_access_key", "x")], "option secret_access_key"),
        ("s3://b", &[("unsigned_payload", "perhaps")], "option unsigned_payload"),
        ("gs://b", &[("service_account", "/absent.json")], "option service_account"),
        ("az://c", &[("account_name", "a"), ("account_key", "no base64!")], "option account_key"),
        ("az://c", &[], "AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://c", &[("connection_string", "nonsense")], "option connection_string"),
        ("az://c", &[("use_emulator", "true")], "option use_emulator"),
        ("https://h/", &[("user", "x")], "option user"),
        ("https://h/", &[("bearer_token", "x\ny")], "option bearer_token"),
        ("file:///proc/nothing/here", &[], "url"),
        ("memory:", &[("region", "x")], "option region"),
    ];
    for (url, options, setting) in cases {
        let error = ObjectStoreBackend::open(&config(url, map(options))).unwrap_err();
        assert_eq!(blamed(&error), format!("misconfigured: {setting}"), "{url} {options:?}");
    }
}

#[tokio::test]
async fn a_missing_file_of_credentials_is_named() {
    let mut config = config("s3://larder/token", BTreeMap::new());
    config.environment = map(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/absent/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r"),
    ]);
    let error = ObjectStoreBackend::open(&config).unwrap_err();
    assert_eq!(blamed(&error), "misconfigured: AWS_WEB_IDENTITY_TOKEN_FILE");
    assert!(error.to_string().contains("/absent/token"), "{error}");
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let mut config = Server::S3.config("https://s3.example", "shown");
    config.environment.insert("AWS_SECRET_ACCESS_KEY".into(), "larder-secret".into());
    let shown = format!("{config:?} {:?}", open(&config));
    assert!(shown.contains("s3://larder/shown") && !shown.contains("larder-secret"), "{shown}");
    config.url = "https://me:larder-secret@host/".into();
    config.options.clear();
    let shown = format!("{config:?} {:?}", open(&config));
    assert!(shown.contains("host") && !shown.contains("larder-secret"), "{shown}");
}

#[test]
fn requests_need_a_runtime() {
    let error = ObjectStoreBackend::open(&config("https://h/", BTreeMap::new())).unwrap_err();
    assert!(matches!(error, StoreError::Unsupported(_)), "{error:?}");
}
