use std::collections::BTreeMap;

use super::*;

/// The URL, the mode and the options that variables come to.
fn read(vars: &[(&'static str, &str)]) -> Option<(String, Access, BTreeMap<String, String>)> {
    let (found, problems) = with_problems(vars);
    assert_eq!(problems, []);
    let found = found?;
    let options = found.options.into_iter().map(|(name, set)| (name, set.value));
    Some((found.url.value, found.access.value, options.collect()))
}

fn with_problems(vars: &[(&'static str, &str)]) -> (Option<Found>, Vec<Problem>) {
    let mut problems = Vec::new();
    let found = remote(&ask(vars), &mut problems);
    (found, problems)
}

fn ask(vars: &[(&'static str, &str)]) -> impl Fn(&'static str) -> Option<Setting<String>> {
    let vars: BTreeMap<&'static str, String> =
        vars.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    move |name| Some(Setting { value: vars.get(name)?.clone(), origin: Origin::Env(name) })
}

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn s3_has_bucket_prefix_endpoint_and_region() {
    assert_eq!(read(&[]), None);
    let plain = read(&[("SCCACHE_BUCKET", "b")]);
    assert_eq!(plain, Some(("s3://b/larder".into(), Access::ReadWrite, options(&[]))));
    let all = read(&[
        ("SCCACHE_BUCKET", "b"),
        ("SCCACHE_S3_KEY_PREFIX", "/team a/x/"),
        ("SCCACHE_ENDPOINT", "minio.lan:9000"),
        ("SCCACHE_REGION", "eu-west-1"),
        ("SCCACHE_S3_RW_MODE", "READ_ONLY"),
        ("SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE", "true"),
        ("SCCACHE_S3_SERVER_SIDE_ENCRYPTION", "1"),
    ]);
    let want = options(&[
        ("endpoint", "http://minio.lan:9000"),
        ("region", "eu-west-1"),
        ("server_side_encryption", "AES256"),
        ("virtual_hosted_style_request", "true"),
    ]);
    assert_eq!(all, Some(("s3://b/team%20a/x/larder".into(), Access::Read, want)));
}

#[test]
fn ssl_decides_over_the_scheme_of_the_endpoint() {
    for (endpoint, ssl, want) in [
        ("h:1", "", "http://h:1"),
        ("h:1", "true", "https://h:1"),
        ("https://h", "", "https://h"),
        ("https://h/", "OFF", "http://h"),
        ("http://h", "on", "https://h"),
    ] {
        let mut vars = vec![("SCCACHE_BUCKET", "b"), ("SCCACHE_ENDPOINT", endpoint)];
        if !ssl.is_empty() {
            vars.push(("SCCACHE_S3_USE_SSL", ssl));
        }
        let (_, _, options) = read(&vars).expect("a remote");
        assert_eq!(options["endpoint"], want, "{endpoint} {ssl}");
    }
}

#[test]
fn without_credentials_a_bucket_is_only_read() {
    let found = read(&[
        ("SCCACHE_BUCKET", "b"),
        ("SCCACHE_S3_NO_CREDENTIALS", "true"),
        ("SCCACHE_S3_RW_MODE", "READ_WRITE"),
    ]);
    let want = options(&[("skip_signature", "true")]);
    assert_eq!(found, Some(("s3://b/larder".into(), Access::Read, want)));
}

#[test]
fn gcs_is_only_read_unless_told_otherwise() {
    let bucket = ("SCCACHE_GCS_BUCKET", "b");
    let found = read(&[bucket, ("SCCACHE_GCS_KEY_PATH", "/k"), ("SCCACHE_GCS_KEY_PREFIX", "p")]);
    let want = options(&[("application_credentials", "/k")]);
    assert_eq!(found, Some(("gs://b/p/larder".into(), Access::Read, want)));
    let found = read(&[bucket, ("SCCACHE_GCS_RW_MODE", "READ_WRITE")]);
    assert_eq!(found, Some(("gs://b/larder".into(), Access::ReadWrite, options(&[]))));
}

#[test]
fn azure_needs_a_connection_string_and_a_container() {
    let connection = ("SCCACHE_AZURE_CONNECTION_STRING", "AccountName=a;AccountKey=k");
    assert_eq!(read(&[connection]), None);
    let container = ("SCCACHE_AZURE_BLOB_CONTAINER", "c");
    let found = read(&[connection, container, ("SCCACHE_AZURE_KEY_PREFIX", "p")]);
    let want = options(&[("connection_string", connection.1)]);
    assert_eq!(found, Some(("az://c/p/larder".into(), Access::ReadWrite, want)));
}

#[test]
fn webdav_has_an_address_a_prefix_and_a_login() {
    let found = read(&[
        ("SCCACHE_WEBDAV_ENDPOINT", "https://h/dav/"),
        ("SCCACHE_WEBDAV_KEY_PREFIX", "x"),
        ("SCCACHE_WEBDAV_USERNAME", "u"),
        ("SCCACHE_WEBDAV_PASSWORD", "p"),
        ("SCCACHE_WEBDAV_TOKEN", "t"),
    ]);
    let want = options(&[("bearer_token", "t"), ("password", "p"), ("username", "u")]);
    assert_eq!(found, Some(("https://h/dav/x/larder".into(), Access::ReadWrite, want)));
}

#[test]
fn of_several_the_first_of_sccaches_order_counts_with_its_own_options() {
    let found = read(&[
        ("SCCACHE_WEBDAV_ENDPOINT", "https://h"),
        ("SCCACHE_WEBDAV_USERNAME", "u"),
        ("SCCACHE_GCS_BUCKET", "g"),
        ("SCCACHE_BUCKET", "b"),
    ]);
    assert_eq!(found, Some(("s3://b/larder".into(), Access::ReadWrite, options(&[]))));
}

#[test]
fn what_cannot_be_meant_is_a_problem_with_its_variable() {
    let (_, problems) = with_problems(&[
        ("SCCACHE_BUCKET", "b"),
        ("SCCACHE_S3_USE_SSL", "perhaps"),
        ("SCCACHE_S3_RW_MODE", "read"),
    ]);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "environment: SCCACHE_S3_USE_SSL = \"perhaps\": not a truth value\n  fix: write true or false",
            "environment: SCCACHE_S3_RW_MODE = \"read\": not a known value\n  fix: write READ_ONLY or READ_WRITE",
        ]
    );
}

#[test]
fn what_has_no_counterpart_is_named() {
    let vars = ask(&[
        ("SCCACHE_REDIS_ENDPOINT", "redis://h"),
        ("SCCACHE_GHA_ENABLED", "on"),
        ("SCCACHE_GHA_VERSION", ""),
        ("SCCACHE_BUCKET", "b"),
    ]);
    let names: Vec<_> = unsupported(&vars).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["SCCACHE_REDIS_ENDPOINT", "SCCACHE_GHA_ENABLED"]);
}
