//! What sccache is told, by its configuration file and its variables.
//!
//! Its file and keys: <https://github.com/mozilla/sccache/blob/main/docs/Configuration.md>. A variable
//! wins over the file, and the variable that names a remote over the whole section of the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml_edit::{Document, TableLike, Value};

use crate::config::sccache::{self, Found};
use crate::config::{Origin, Problem, Setting, size};

/// Section and key of the file, and the variable that means the same.
const KEYS: [(&str, &str, &str); 32] = [
    ("s3", "bucket", "SCCACHE_BUCKET"),
    ("s3", "endpoint", "SCCACHE_ENDPOINT"),
    ("s3", "region", "SCCACHE_REGION"),
    ("s3", "use_ssl", "SCCACHE_S3_USE_SSL"),
    ("s3", "key_prefix", "SCCACHE_S3_KEY_PREFIX"),
    ("s3", "no_credentials", "SCCACHE_S3_NO_CREDENTIALS"),
    ("s3", "server_side_encryption", "SCCACHE_S3_SERVER_SIDE_ENCRYPTION"),
    ("s3", "enable_virtual_host_style", "SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE"),
    ("s3", "rw_mode", "SCCACHE_S3_RW_MODE"),
    ("gcs", "bucket", "SCCACHE_GCS_BUCKET"),
    ("gcs", "key_prefix", "SCCACHE_GCS_KEY_PREFIX"),
    ("gcs", "cred_path", "SCCACHE_GCS_KEY_PATH"),
    ("gcs", "rw_mode", "SCCACHE_GCS_RW_MODE"),
    ("gcs", "service_account", "SCCACHE_GCS_SERVICE_ACCOUNT"),
    ("gcs", "credential_url", "SCCACHE_GCS_CREDENTIALS_URL"),
    ("azure", "container", "SCCACHE_AZURE_BLOB_CONTAINER"),
    ("azure", "connection_string", "SCCACHE_AZURE_CONNECTION_STRING"),
    ("azure", "key_prefix", "SCCACHE_AZURE_KEY_PREFIX"),
    ("azure", "rw_mode", "SCCACHE_AZURE_RW_MODE"),
    ("webdav", "endpoint", "SCCACHE_WEBDAV_ENDPOINT"),
    ("webdav", "key_prefix", "SCCACHE_WEBDAV_KEY_PREFIX"),
    ("webdav", "username", "SCCACHE_WEBDAV_USERNAME"),
    ("webdav", "password", "SCCACHE_WEBDAV_PASSWORD"),
    ("webdav", "token", "SCCACHE_WEBDAV_TOKEN"),
    ("redis", "endpoint", "SCCACHE_REDIS_ENDPOINT"),
    ("redis", "cluster_endpoints", "SCCACHE_REDIS_CLUSTER_ENDPOINTS"),
    ("memcached", "endpoint", "SCCACHE_MEMCACHED_ENDPOINT"),
    ("gha", "enabled", "SCCACHE_GHA_ENABLED"),
    ("oss", "bucket", "SCCACHE_OSS_BUCKET"),
    ("cos", "bucket", "SCCACHE_COS_BUCKET"),
    ("disk", "dir", "SCCACHE_DIR"),
    ("disk", "size", "SCCACHE_CACHE_SIZE"),
];
/// The variable of each section that makes the file's section void.
const DECISIVE: [(&str, &str); 4] = [
    ("s3", "SCCACHE_BUCKET"),
    ("gcs", "SCCACHE_GCS_BUCKET"),
    ("azure", "SCCACHE_AZURE_CONNECTION_STRING"),
    ("webdav", "SCCACHE_WEBDAV_ENDPOINT"),
];

/// What sccache is told, in its own terms and in ours.
#[derive(Debug, Default)]
pub(super) struct Theirs {
    /// By variable, wherever it was said.
    settings: BTreeMap<&'static str, Setting<String>>,
    /// Whether compilations are to be distributed.
    distributed: bool,
}

impl Theirs {
    /// Reads sccache's file and the environment.
    ///
    /// # Errors
    /// When the file is there and cannot be understood.
    pub(super) fn read() -> Result<Self> {
        let env = |name: &str| {
            let value = std::env::var_os(name)?.into_string().ok()?;
            Some(value).filter(|value| !value.is_empty())
        };
        let file = file(&env);
        let text = match &file {
            Some(path) => super::change::read(path)?,
            None => String::new(),
        };
        let path = file.unwrap_or_default();
        Self::of(&path, &text, &env).with_context(|| path.display().to_string())
    }

    fn of(path: &Path, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let document = Document::parse(text).context("not TOML, which larder could read")?;
        let section = |name: &str| document.get("cache")?.get(name)?.as_table_like();
        let mut settings = BTreeMap::new();
        for (name, key, variable) in KEYS {
            let overruled = DECISIVE
                .iter()
                .any(|(section, decisive)| *section == name && env(decisive).is_some());
            let from_file = section(name).filter(|_| !overruled).and_then(|table| {
                let (value, at) = value(table, key)?;
                let line = text.get(..at).map_or(1, |text| text.matches('\n').count() + 1);
                Some(Setting { value, origin: Origin::File { path: path.into(), line } })
            });
            let from_env = env(variable).map(|value| {
                let origin = Origin::Env(variable);
                Setting { value, origin }
            });
            if let Some(setting) = from_env.or(from_file) {
                settings.insert(variable, setting);
            }
        }
        let distributed = document.get("dist").and_then(|dist| dist.get("scheduler_url")).is_some();
        Ok(Self { settings, distributed })
    }

    /// Where it shares, if that is possible for us, and what is wrong with what it is told.
    pub(super) fn remote(&self) -> (Option<Found>, Vec<Problem>) {
        let mut problems = Vec::new();
        let found = sccache::remote(&|name| self.settings.get(name).cloned(), &mut problems);
        (found, problems)
    }

    /// How much disk it may take, if that was said.
    pub(super) fn size(&self) -> Option<&Setting<String>> {
        let setting = self.settings.get("SCCACHE_CACHE_SIZE")?;
        size(&setting.value).is_ok().then_some(setting)
    }

    /// What is not taken over, and stays as it is.
    pub(super) fn notes(&self) -> Vec<String> {
        let ask = |name: &'static str| self.settings.get(name).cloned();
        let mut notes: Vec<String> = sccache::unsupported(&ask)
            .into_iter()
            .map(|(name, fix)| {
                let origin = self.settings.get(name).map(|set| set.origin.to_string());
                format!("{name} ({}) is not taken over: {fix}", origin.unwrap_or_default())
            })
            .collect();
        if self.distributed {
            notes.push("dist.scheduler_url is not taken over: larder distributes nothing".into());
        }
        let store = self.settings.get("SCCACHE_DIR").map(|set| PathBuf::from(&set.value));
        let store = store.or_else(|| {
            let standard = std::env::home_dir()?.join(".cache/sccache");
            standard.is_dir().then_some(standard)
        });
        if let Some(store) = store {
            notes.push(format!(
                "sccache's own store, {}, is left as it is; larder cannot use it",
                store.display()
            ));
        }
        notes
    }
}

/// sccache's configuration file, as it looks for it.
fn file(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(named) = env("SCCACHE_CONF") {
        return Some(named.into());
    }
    if cfg!(target_os = "macos") {
        let library = std::env::home_dir()?.join("Library/Application Support");
        return Some(library.join("Mozilla.sccache/config"));
    }
    let named = env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named.or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(base.join("sccache/config"))
}

/// A value as text, and where it stands; an empty one counts as none.
fn value(table: &dyn TableLike, key: &str) -> Option<(String, usize)> {
    let item = table.get(key)?;
    let text = match item.as_value()? {
        Value::String(text) => text.value().clone(),
        Value::Integer(number) => number.value().to_string(),
        Value::Boolean(truth) => truth.value().to_string(),
        _ => return None,
    };
    let at = item.span().or_else(|| table.key(key).and_then(toml_edit::Key::span));
    (!text.is_empty()).then_some((text, at.map_or(0, |span| span.start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs(text: &str, vars: &[(&str, &str)]) -> Theirs {
        let env = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        Theirs::of(Path::new("/config"), text, &env).expect("understood")
    }

    const FILE: &str = "[cache.disk]\nsize = 7516192768\n\n[cache.s3]\nbucket = \"b\"\n\
        endpoint = \"h:1\"\nuse_ssl = true\nkey_prefix = \"p\"\n";

    #[test]
    fn the_file_means_what_the_variables_mean() {
        let theirs = theirs(FILE, &[]);
        let (found, problems) = theirs.remote();
        let found = found.expect("a remote");
        assert_eq!(problems, []);
        assert_eq!(found.url.value, "s3://b/p/larder");
        assert_eq!(found.url.origin, Origin::File { path: "/config".into(), line: 5 });
        assert_eq!(found.options["endpoint"].value, "https://h:1");
        assert_eq!(theirs.size().map(|size| size.value.as_str()), Some("7516192768"));
    }

    #[test]
    fn a_variable_that_names_a_remote_makes_the_files_section_void() {
        let theirs = theirs(FILE, &[("SCCACHE_BUCKET", "c"), ("SCCACHE_CACHE_SIZE", "3G")]);
        let found = theirs.remote().0.expect("a remote");
        assert_eq!(found.url.value, "s3://c/larder");
        assert!(found.options.is_empty());
        assert_eq!(theirs.size().map(|size| size.value.as_str()), Some("3G"));
    }

    #[test]
    fn what_is_not_taken_over_is_named_with_its_place() {
        let text =
            "[cache.redis]\nendpoint = \"redis://h\"\n[dist]\nscheduler_url = \"http://h\"\n";
        let theirs = theirs(text, &[]);
        assert!(theirs.remote().0.is_none());
        let notes = theirs.notes();
        assert!(notes[0].starts_with("SCCACHE_REDIS_ENDPOINT (/config:2) is not taken over"));
        assert!(notes[1].starts_with("dist.scheduler_url is not taken over"), "{notes:?}");
    }
}
