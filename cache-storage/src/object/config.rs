//! What a user says about a store in the cloud.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{Result, StoreError};

/// Where an [`ObjectStoreBackend`](super::ObjectStoreBackend) is and how it is reached.
#[derive(Clone, Default)]
pub struct ObjectStoreConfig {
    /// The store's address; the [module](super) lists the schemes.
    pub url: String,
    /// Options by name; the [module](super) lists them. They come before the environment.
    pub options: BTreeMap<String, String>,
    /// The environment of whoever asks: variables by name. The process's own is not looked at.
    pub environment: BTreeMap<String, String>,
    /// Refuse every write without asking the server.
    pub read_only: bool,
    /// How long requests may take.
    pub limits: RequestLimits,
}

impl fmt::Debug for ObjectStoreConfig {
    /// Without values of options and variables: there are secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreConfig")
            .field("url", &super::location::without_password(&self.url))
            .field("options", &self.options.keys())
            .field("read_only", &self.read_only)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How long requests may take, and how often they are tried. Small, because whoever waits for a
/// cache could be compiling; budgets for whole operations are a layer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// For making a connection, TLS included. Default: 2 s.
    pub connect: Duration,
    /// From the request to the first byte of the answer, and from each part of an answer to the
    /// next. A request with a body has a second more per 64 KiB of it. Default: 5 s.
    pub idle: Duration,
    /// How often a request is repeated after a dropped connection, a time-out or an answer of
    /// 408, 429 or 5xx; never more than a minute after the first try. Default: 2.
    pub retries: usize,
    /// The pause before the first repetition; doubled, with jitter, before each further one.
    /// Default: 100 ms.
    pub pause: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            idle: Duration::from_secs(5),
            retries: 2,
            pause: Duration::from_millis(100),
        }
    }
}

/// A value and which setting it came from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: String,
}

impl Setting {
    pub(super) fn wrong(&self, reason: impl Into<String>) -> StoreError {
        misconfigured(&self.origin, reason)
    }
}

pub(super) fn misconfigured(setting: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Misconfigured { setting: setting.to_owned(), reason: reason.into() }
}

impl ObjectStoreConfig {
    /// A variable of the environment; an empty one counts as unset.
    pub(super) fn variable(&self, name: &str) -> Option<Setting> {
        let value = self.environment.get(name).filter(|value| !value.is_empty())?;
        Some(Setting { value: value.clone(), origin: name.to_owned() })
    }

    /// An option, with surrounding blanks removed; an empty one counts as unset.
    pub(super) fn option(&self, name: &str) -> Option<Setting> {
        let value = self.options.get(name).map(|value| value.trim()).filter(|v| !v.is_empty())?;
        Some(Setting { value: value.to_owned(), origin: option_name(name) })
    }

    /// The first of an option and variables that is set.
    pub(super) fn first(&self, option: &str, variables: &[&str]) -> Option<Setting> {
        self.option(option).or_else(|| variables.iter().find_map(|name| self.variable(name)))
    }

    /// Refuses options that the scheme does not have.
    pub(super) fn check_options(&self, known: impl Fn(&str) -> bool, names: &str) -> Result<()> {
        match self.options.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(misconfigured(
                &option_name(name),
                format!("there is no such option for this kind of store; there are: {names}"),
            )),
        }
    }
}

/// How an option is called in messages.
pub(super) fn option_name(name: &str) -> String {
    format!("option {name}")
}
