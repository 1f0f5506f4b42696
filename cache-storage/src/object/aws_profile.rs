//! The AWS tools' shared files: keys, region and endpoint of a profile.
//!
//! Their format: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>. Profiles that
//! get their keys elsewhere (single sign-on, a program, another profile's role) are refused with a
//! hint, as `object_store` cannot follow them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use object_store::aws::AmazonS3ConfigKey as Key;

use super::config::{ObjectStoreConfig, Setting};
use super::gather::Gathered;
use crate::Result;

/// Keys of a profile that we follow.
const KEYS: [(&str, Key); 7] = [
    ("aws_access_key_id", Key::AccessKeyId),
    ("aws_secret_access_key", Key::SecretAccessKey),
    ("aws_session_token", Key::Token),
    ("region", Key::Region),
    ("endpoint_url", Key::Endpoint),
    ("web_identity_token_file", Key::WebIdentityTokenFile),
    ("role_arn", Key::RoleArn),
];
/// Keys of a profile that say that its keys are elsewhere.
const ELSEWHERE: [&str; 5] =
    ["sso_session", "sso_start_url", "credential_process", "source_profile", "credential_source"];

/// What the chosen profile says; nothing where there is none. If `complete`, other settings have
/// the credentials already, and a profile without them is no mistake.
pub(super) fn read(config: &ObjectStoreConfig, complete: bool) -> Result<Gathered<Key>> {
    let chosen = config.first("profile", &["AWS_PROFILE"]);
    let name = chosen.as_ref().map_or("default", |setting| setting.value.as_str());
    let mut values = BTreeMap::new();
    let mut found = false;
    // Of a key in both files the credentials file's counts.
    for (variable, file) in
        [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
    {
        let Some(path) = path(config, variable, file) else { continue };
        let Some(section) = section(&path, name, config.variable(variable))? else { continue };
        found = true;
        values.extend(section.into_iter().map(|(key, value)| (key, (value, path.clone()))));
    }
    if let (Some(chosen), false) = (&chosen, found) {
        return Err(chosen.wrong(format!("there is no profile {name:?} in the AWS files")));
    }
    let has_keys =
        values.contains_key("aws_access_key_id") || values.contains_key("web_identity_token_file");
    let elsewhere = ELSEWHERE.iter().find(|key| values.contains_key(**key));
    if let (Some(key), false, false) = (elsewhere, has_keys, complete) {
        let setting = Setting { value: String::new(), origin: format!("AWS profile {name}") };
        return Err(setting.wrong(format!(
            "its keys come by {key}, which is not supported; put them into the environment with \
             `aws configure export-credentials --profile {name} --format env`"
        )));
    }
    let none = ObjectStoreConfig::default();
    let mut gathered = Gathered::from_options(&none, |_| false);
    for (text, key) in KEYS {
        if let Some((value, path)) = values.remove(text) {
            let origin = format!("{text} of profile {name} in {}", path.display());
            gathered.set(key, Setting { value, origin });
        }
    }
    Ok(gathered)
}

fn path(config: &ObjectStoreConfig, variable: &str, file: &str) -> Option<PathBuf> {
    match config.variable(variable) {
        Some(setting) => Some(setting.value.into()),
        None => Some(Path::new(&config.variable("HOME")?.value).join(".aws").join(file)),
    }
}

/// The profile's keys in one file. A file that is not there is no mistake unless it was named.
fn section(
    path: &Path,
    profile: &str,
    named: Option<Setting>,
) -> Result<Option<BTreeMap<String, String>>> {
    match (std::fs::read_to_string(path), named) {
        (Ok(text), _) => Ok(parse(&text, profile)),
        (Err(e), Some(named)) => Err(named.wrong(format!("{}: {e}", path.display()))),
        (Err(e), None) if e.kind() == ErrorKind::NotFound => Ok(None),
        // Somebody else's file in what is called our home.
        (Err(_), None) => Ok(None),
    }
}

fn parse(text: &str, profile: &str) -> Option<BTreeMap<String, String>> {
    let (mut inside, mut found) = (false, None::<BTreeMap<String, String>>);
    for line in text.lines() {
        let entry = line.trim();
        if entry.is_empty() || entry.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = entry.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            // `config` writes `[profile name]`, `credentials` writes `[name]`.
            let header = header.trim();
            let name = header.strip_prefix("profile ").unwrap_or(header).trim();
            inside = name == profile;
            if inside {
                found.get_or_insert_default();
            }
        } else if inside
            // What is indented belongs to a key of services within the profile.
            && !line.starts_with([' ', '\t'])
            && let (Some((key, value)), Some(keys)) = (entry.split_once('='), found.as_mut())
            && !value.trim().is_empty()
        {
            keys.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n\n[profile work]\n# note\nregion=us-east-2\n\
        s3 =\n  endpoint_url = http://wrong\nendpoint_url = http://localhost:1\n[profile sso]\n\
        sso_session = corp\n";
    const CREDENTIALS: &str = "[work]\naws_access_key_id = AK\naws_secret_access_key = a=b/c\n";

    fn config(profile: Option<&str>) -> (tempfile::TempDir, ObjectStoreConfig) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        let mut config = ObjectStoreConfig::default();
        config.environment.insert("HOME".into(), home.path().to_str().unwrap().into());
        if let Some(profile) = profile {
            config.environment.insert("AWS_PROFILE".into(), profile.into());
        }
        (home, config)
    }

    fn value(gathered: &Gathered<Key>, key: Key) -> Option<&str> {
        gathered.get(&key).map(|setting| setting.value.as_str())
    }

    #[test]
    fn a_profile_is_put_together_from_both_files() {
        let (_home, config) = config(Some("work"));
        let gathered = read(&config, false).unwrap();
        assert_eq!(value(&gathered, Key::AccessKeyId), Some("AK"));
        assert_eq!(value(&gathered, Key::SecretAccessKey), Some("a=b/c"));
        assert_eq!(value(&gathered, Key::Region), Some("us-east-2"));
        assert_eq!(value(&gathered, Key::Endpoint), Some("http://localhost:1"));
        let origin = &gathered.get(&Key::AccessKeyId).unwrap().origin;
        assert!(origin.starts_with("aws_access_key_id of profile work in "), "{origin}");
    }

    #[test]
    fn without_a_choice_the_default_profile_counts() {
        let (_home, config) = config(None);
        let gathered = read(&config, false).unwrap();
        assert_eq!(value(&gathered, Key::Region), Some("eu-west-1"));
        assert_eq!(value(&gathered, Key::AccessKeyId), None);
        let nowhere = ObjectStoreConfig::default();
        assert_eq!(value(&read(&nowhere, false).unwrap(), Key::Region), None);
    }

    #[test]
    fn mistakes_name_the_setting() {
        let (_home, mut config) = config(Some("absent"));
        let message = |config: &ObjectStoreConfig, complete| {
            read(config, complete).err().map(|e| e.to_string())
        };
        let absent = message(&config, false).unwrap();
        assert_eq!(absent, "AWS_PROFILE: there is no profile \"absent\" in the AWS files");
        config.options.insert("profile".into(), "sso".into());
        let sso = message(&config, false).unwrap();
        assert!(sso.starts_with("AWS profile sso: its keys come by sso_session"), "{sso}");
        assert_eq!(message(&config, true), None, "the keys come from elsewhere");
        config.environment.insert("AWS_CONFIG_FILE".into(), "/absent/file".into());
        let file = message(&config, false).unwrap();
        assert!(file.starts_with("AWS_CONFIG_FILE: /absent/file: "), "{file}");
    }
}
