use std::collections::HashMap;

use super::super::Config;
use super::*;

const KEY: &str = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn load(file: &str, env: &[(&str, &str)]) -> Config {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("c.toml");
    std::fs::write(&path, file).expect("write");
    let mut env: HashMap<String, OsString> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    env.insert("HOME".into(), "/home/u".into());
    env.insert("LARDER_CONFIG".into(), path.into());
    Config::load_from(&|name| env.get(name).cloned())
}

fn remote(file: &str, env: &[(&str, &str)]) -> RemoteConfig {
    let config = load(file, env);
    assert_eq!(config.problems, []);
    config.remote
}

fn said(file: &str, env: &[(&str, &str)]) -> Vec<String> {
    let config = load(file, env);
    assert!(config.remote.withheld && config.remote.url.value.is_none(), "not used");
    config.problems.iter().map(ToString::to_string).collect()
}

fn settings(remote: &RemoteConfig, vars: &[(&str, &str)]) -> Option<RemoteSettings> {
    let vars = vars.iter().map(|(name, value)| (name.into(), value.into()));
    remote.settings("/store".into(), "/state".into(), vars)
}

#[test]
fn without_a_word_there_is_no_remote() {
    let remote = remote("size = \"1G\"\n", &[("AWS_REGION", "x")]);
    assert_eq!(remote.url.value, None);
    assert_eq!(settings(&remote, &[]), None);
}

#[test]
fn each_key_of_the_file_is_read() {
    let file = format!(
        "[remote]\nurl = \"s3://b/p\"\nmode = \"read\"\ntrusted-keys = [\"{KEY}\"]\n\
         signing-key = \"~/k\"\n\n[remote.options]\nregion = \"r\"\nskip_signature = true\n"
    );
    let remote = remote(&file, &[]);
    assert_eq!(remote.url.value.as_deref(), Some("s3://b/p"));
    assert!(matches!(remote.url.origin, Origin::File { line: 2, .. }));
    assert_eq!(remote.access.value, Access::Read);
    assert_eq!(remote.trusted.value, [KEY]);
    assert_eq!(remote.signing_key.value, Some("/home/u/k".into()));
    assert_eq!(remote.options["region"].value, "r");
    assert!(matches!(remote.options["region"].origin, Origin::File { line: 8, .. }));
    assert_eq!(remote.options["skip_signature"].value, "true");
}

#[test]
fn each_variable_is_read_and_wins() {
    let file = "remote.url = \"s3://b\"\nremote.mode = \"read\"\nremote.options.region = \"r\"\n";
    let remote = remote(
        file,
        &[
            ("LARDER_REMOTE", "az://c"),
            ("LARDER_REMOTE_MODE", "read-write"),
            ("LARDER_REMOTE_FETCH", "always"),
            ("LARDER_REMOTE_OPTIONS", "account_name=a, endpoint=http://h?x=y"),
            ("LARDER_REMOTE_TRUSTED_KEYS", &format!("{KEY}, {KEY}")),
            ("LARDER_REMOTE_SIGNING_KEY", "/k"),
        ],
    );
    assert_eq!(remote.url.value.as_deref(), Some("az://c"));
    assert_eq!(remote.url.origin, Origin::Env("LARDER_REMOTE"));
    assert_eq!(remote.access.value, Access::ReadWrite);
    assert_eq!(remote.fetch.value, Fetch::Always);
    assert_eq!(remote.trusted.value, [KEY, KEY]);
    assert_eq!(remote.signing_key.value, Some("/k".into()));
    let options: Vec<_> = remote.options.iter().map(|(name, set)| (&**name, &*set.value)).collect();
    let want = [("account_name", "a"), ("endpoint", "http://h?x=y")];
    assert_eq!(options, want, "those of another address do not stay");
}

#[test]
fn variables_add_options_to_the_address_of_the_file() {
    let file = "remote.url = \"s3://b\"\nremote.options = { region = \"r\", endpoint = \"e\" }\n";
    let remote = remote(file, &[("LARDER_REMOTE_OPTIONS", "region=s")]);
    let options: Vec<_> = remote.options.iter().map(|(name, set)| (&**name, &*set.value)).collect();
    assert_eq!(options, [("endpoint", "e"), ("region", "s")]);
}

#[test]
fn off_is_no_remote_and_not_that_of_sccache_either() {
    for (file, env) in [
        ("remote.url = \"s3://b\"\n", vec![("LARDER_REMOTE", "off")]),
        ("remote.url = \"off\"\n", vec![("SCCACHE_BUCKET", "b")]),
        ("", vec![("LARDER_REMOTE", "off"), ("SCCACHE_BUCKET", "b")]),
    ] {
        assert_eq!(remote(file, &env).url.value, None, "{file} {env:?}");
    }
}

#[test]
fn mistakes_name_key_value_and_fix_and_the_remote_is_not_used() {
    for (file, place, fix) in [
        ("remote.url = \"bucket\"", ":1: remote.url = \"bucket\": not a URL", "s3://bucket/prefix"),
        ("remote.mode = \"raed\"", ":1: remote.mode = \"raed\": not a known value", "write read "),
        (
            "remote.fetch = \"never\"",
            ":1: remote.fetch = \"never\": not a known",
            "when-faster, always",
        ),
        ("remote.trusted-keys = [\"x\"]", ": \"x\" is not a public key", "larder key show"),
        ("remote.signing-key = 3", ":1: remote.signing-key = 3: not a text", "double quotes"),
        ("remote.ulr = \"x\"", ":1: remote.ulr = \"x\": not a known key", "write remote.url"),
        ("remote.options = 3", ": remote.options: not an option", "[remote.options]"),
        ("remote.options.x = []", ": remote.options.x: not an option", "NAME = "),
        ("remote = \"s3://b\"", ":1: remote = \"s3://b\": not a known key", "remote.url"),
    ] {
        let said = said(&format!("{file}\n"), &[("LARDER_REMOTE", "s3://b")]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(place) && said[0].contains(fix), "{file}: {}", said[0]);
    }
    for (name, value, want) in [
        ("LARDER_REMOTE", "b", "environment: LARDER_REMOTE = \"b\": not a URL"),
        ("LARDER_REMOTE_MODE", "rw", "environment: LARDER_REMOTE_MODE = \"rw\": not a known value"),
        (
            "LARDER_REMOTE_FETCH",
            "no",
            "environment: LARDER_REMOTE_FETCH = \"no\": not a known value",
        ),
        ("LARDER_REMOTE_OPTIONS", "x", "environment: LARDER_REMOTE_OPTIONS: not a list of options"),
        ("LARDER_REMOTE_TRUSTED_KEYS", "x", "\"x\" is not a public key"),
        (
            "LARDER_REMOTE_SIGNING_KEY",
            "k",
            "LARDER_REMOTE_SIGNING_KEY = \"k\": not an absolute path",
        ),
    ] {
        let said = said("remote.url = \"s3://b\"\n", &[(name, value), ("SCCACHE_BUCKET", "other")]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(want), "{}", said[0]);
    }
}

#[test]
fn with_a_file_that_cannot_be_understood_no_remote_is_used() {
    let said = said("remote.trusted-keys = = 3\n", &[("LARDER_REMOTE", "s3://b")]);
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn secrets_are_not_repeated() {
    let secret = "ed25519-secret:9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let all = [
        said(&format!("remote.trusted-keys = [\"{secret}\"]\n"), &[]),
        said("", &[("LARDER_REMOTE_TRUSTED_KEYS", secret)]),
        said("", &[("LARDER_REMOTE_OPTIONS", "password=9d61b19deffd,x")]),
        said("[remote.options]\npassword = [\"9d61b19deffd\"]\n", &[]),
        said("remote.urls = \"https://u:9d61b19deffd@h/\"\n", &[]),
    ];
    for said in all.concat() {
        assert!(!said.contains("9d61b19deffd"), "{said}");
    }
}

#[test]
fn sccaches_variables_count_where_nobody_says_anything_else() {
    let env = [
        ("SCCACHE_BUCKET", "b"),
        ("SCCACHE_ENDPOINT", "https://h"),
        ("SCCACHE_REGION", "r"),
        ("LARDER_REMOTE_MODE", "read"),
        ("LARDER_REMOTE_OPTIONS", "region=mine"),
    ];
    let theirs = remote("", &env);
    assert!(theirs.is_of_sccache());
    assert_eq!(theirs.url.origin, Origin::Env("SCCACHE_BUCKET"));
    assert_eq!(theirs.url.value.as_deref(), Some("s3://b/larder"));
    assert_eq!(theirs.access.value, Access::Read);
    assert_eq!(theirs.options["endpoint"].origin, Origin::Env("SCCACHE_ENDPOINT"));
    assert_eq!(theirs.options["region"].value, "mine");
    let ours = remote("remote.url = \"s3://c\"\n", &[("SCCACHE_BUCKET", "b")]);
    assert_eq!(ours.url.value.as_deref(), Some("s3://c"));
    assert!(!ours.is_of_sccache());
    let wrong = said("", &[("SCCACHE_BUCKET", "b"), ("SCCACHE_S3_RW_MODE", "read")]);
    assert_eq!(wrong.len(), 1);
}

#[test]
fn only_variables_of_backends_are_passed_on() {
    let remote = remote("remote.url = \"s3://b\"\n", &[]);
    let vars = [("AWS_PROFILE", "p"), ("HOME", "/h"), ("https_proxy", "x"), ("SECRET_TOKEN", "t")];
    let settings = settings(&remote, &vars).expect("a remote");
    let names: Vec<_> = settings.environment.keys().map(String::as_str).collect();
    assert_eq!(names, ["AWS_PROFILE", "HOME", "https_proxy"]);
    let text = serde_json::to_string(&settings).expect("JSON");
    assert_eq!(serde_json::from_str::<RemoteSettings>(&text).expect("the same"), settings);
}

#[test]
fn a_remote_is_the_same_with_other_credentials_and_another_at_another_server() {
    let id = |url: &str, options: &str, vars: &[(&str, &str)]| {
        let remote = remote("", &[("LARDER_REMOTE", url), ("LARDER_REMOTE_OPTIONS", options)]);
        settings(&remote, vars).expect("a remote").id()
    };
    let one = id("s3://b", "endpoint=http://h,secret_access_key=a", &[("AWS_PROFILE", "x")]);
    assert_eq!(one, id("s3://b", "endpoint=http://h,secret_access_key=b", &[]));
    assert_ne!(one, id("s3://b", "endpoint=http://i", &[]));
    assert_ne!(one, id("s3://c", "endpoint=http://h", &[]));
    let (here, there) = ([("AWS_ENDPOINT_URL", "http://h")], [("AWS_ENDPOINT_URL", "http://i")]);
    assert_ne!(id("s3://b", "", &here), id("s3://b", "", &there));
    assert_eq!(id("https://u:p@h/x", "", &[]), id("https://u:q@h/x", "", &[]));
    let account = |text: &str| id("az://c", &format!("connection_string={text}"), &[]);
    assert_eq!(account("AccountName=a;AccountKey=k"), account("AccountName=a;AccountKey=l"));
    assert_ne!(account("AccountName=a;AccountKey=k"), account("AccountName=b;AccountKey=k"));
}
