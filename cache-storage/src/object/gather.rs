//! Collects what the environment and the options say in the terms of one of `object_store`'s kinds.

use std::collections::HashMap;
use std::hash::Hash;
use std::str::FromStr;

use super::blame::{Blame, Part};
use super::config::{ObjectStoreConfig, Setting, misconfigured};
use crate::{Result, StoreError};

/// Settings by key.
pub(super) struct Gathered<K>(HashMap<K, Setting>);

impl<K: FromStr + Hash + Eq + Copy> Gathered<K> {
    /// What the environment says: each variable of which the name begins with `start` and, in lower
    /// case, is a key that `ours` accepts.
    pub(super) fn from_environment(
        config: &ObjectStoreConfig,
        start: &str,
        ours: impl Fn(&K) -> bool,
    ) -> Self {
        let names = config.environment.keys().filter(|name| name.starts_with(start));
        let keys = names.filter_map(|name| {
            let key = name.to_ascii_lowercase().parse().ok().filter(&ours)?;
            Some((key, config.variable(name)?))
        });
        Self(keys.collect())
    }

    /// What the options say.
    pub(super) fn from_options(config: &ObjectStoreConfig, ours: impl Fn(&K) -> bool) -> Self {
        let keys = config.options.keys().filter_map(|name| {
            let key = name.parse().ok().filter(&ours)?;
            Some((key, config.option(name)?))
        });
        Self(keys.collect())
    }

    pub(super) fn get(&self, key: &K) -> Option<&Setting> {
        self.0.get(key)
    }

    pub(super) fn set(&mut self, key: K, setting: Setting) {
        self.0.insert(key, setting);
    }

    /// Takes over what `other` says. Keys of `together` are replaced all or not at all, so that a
    /// key id of one origin never meets the secret of another.
    pub(super) fn overlay(&mut self, other: Self, together: &[K]) {
        if together.iter().any(|key| other.0.contains_key(key)) {
            for key in together {
                self.0.remove(key);
            }
        }
        self.0.extend(other.0);
    }

    /// Remembers where the settings of these parts came from.
    pub(super) fn name(&self, blame: &mut Blame, parts: &[(Part, K)]) {
        for (part, key) in parts {
            if let Some(setting) = self.get(key) {
                blame.set(*part, &setting.origin);
            }
        }
    }

    /// Refuses names of files that are not there. What a token file holds is read anew at each use.
    pub(super) fn check_files(&self, keys: &[K]) -> Result<()> {
        for setting in keys.iter().filter_map(|key| self.get(key)) {
            if let Err(e) = std::fs::metadata(&setting.value) {
                return Err(setting.wrong(format!("{}: {e}", setting.value)));
            }
        }
        Ok(())
    }

    /// What cannot be built of these settings: names the one whose value the message has, or else
    /// `otherwise`.
    pub(super) fn refusal(&self, error: &object_store::Error, otherwise: &str) -> StoreError {
        let text = error.to_string();
        let quoted = |setting: &&Setting| setting.value.len() > 1 && text.contains(&setting.value);
        let origin = self.0.values().find(quoted).map_or(otherwise, |s| s.origin.as_str());
        misconfigured(origin, text)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (K, String)> {
        self.0.iter().map(|(key, setting)| (*key, setting.value.clone()))
    }
}
