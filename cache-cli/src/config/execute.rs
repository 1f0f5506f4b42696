//! Where units are compiled beside this machine, and how.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use cache_rustc::engine::Local;
use serde::{Deserialize, Serialize};

use super::remote::Options;
use super::values::{self, Unusable};
use super::{Env, Origin, Problem, Setting, remote, take, text};

/// The variable of all options.
const OPTIONS: &str = "LARDER_EXECUTE_OPTIONS";
/// The words for what this machine does meanwhile.
const LOCAL: [(&str, Local); 3] =
    [("race", Local::Race), ("fallback", Local::Fallback), ("never", Local::Never)];
/// Options that anybody may see. Whatever is not among them counts as a secret.
const PUBLIC: [&str; 7] = [
    "token_file",
    "ca_file",
    "client_certificate",
    "client_key",
    "server_name",
    "digest",
    "compression",
];

/// The settings of `[execute]`.
#[derive(Clone, Debug)]
pub(crate) struct ExecuteConfig {
    /// The engine's address; `None`: there is none.
    pub(crate) url: Setting<Option<String>>,
    /// What this machine does while a unit is compiled elsewhere.
    pub(crate) local: Setting<Local>,
    /// How the engine is reached.
    pub(crate) options: Options,
    /// Whether it is not used because of a mistake in its settings.
    pub(crate) withheld: bool,
}

impl Default for ExecuteConfig {
    fn default() -> Self {
        Self {
            url: Setting::default(None),
            local: Setting::default(Local::default()),
            options: Options::new(),
            withheld: false,
        }
    }
}

/// Everything that is needed to use an engine, as one process tells another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecuteSettings {
    pub(crate) url: String,
    pub(crate) options: BTreeMap<String, String>,
    /// Where the state of what is shared is kept.
    pub(crate) state: PathBuf,
}

impl ExecuteSettings {
    /// The directory for what is known of the engine on this machine.
    pub(crate) fn dir(&self) -> PathBuf {
        let name = cache_core::Digest::of(self.url.as_bytes()).to_hex();
        self.state.join("engines-v1").join(name.get(..16).unwrap_or_default())
    }
}

impl ExecuteConfig {
    /// The settings; `None` when no engine is configured.
    pub(crate) fn settings(&self, state: PathBuf) -> Option<ExecuteSettings> {
        let url = self.url.value.clone()?;
        let options = self.options.iter();
        let options = options.map(|(name, set)| (name.clone(), set.value.clone())).collect();
        Some(ExecuteSettings { url, options, state })
    }

    /// The word for what this machine does meanwhile.
    pub(crate) fn local_name(&self) -> &'static str {
        let found = LOCAL.iter().find(|(_, local)| *local == self.local.value);
        found.map_or("race", |(name, _)| name)
    }

    /// An option's value as it may be shown.
    pub(crate) fn shown_option(name: &str, value: &str) -> String {
        if PUBLIC.contains(&name) { value.to_owned() } else { "(not shown)".to_owned() }
    }

    /// Takes what the environment says. An engine with a mistake in its settings is not used at all.
    pub(super) fn read_env(&mut self, env: Env<'_>, problems: &mut Vec<Problem>) {
        take(env, "LARDER_EXECUTE", &|v| url(&text(v)), &mut self.url, problems);
        if matches!(self.url.origin, Origin::Env(_)) {
            // An address and its options belong together.
            self.options.clear();
        }
        take(env, "LARDER_EXECUTE_LOCAL", &|v| local(&text(v)), &mut self.local, problems);
        let mut given = Setting::default(BTreeMap::new());
        let parse = |value: &OsString| remote::options(&text(value));
        take(env, OPTIONS, &parse, &mut given, problems);
        for (name, value) in given.value {
            self.options.insert(name, Setting { value, origin: Origin::Env(OPTIONS) });
        }
        let is_ours = |problem: &Problem| {
            problem.key.starts_with("LARDER_EXECUTE") || problem.key.starts_with("execute")
        };
        self.withheld |= problems.iter().any(is_ours);
        if self.withheld {
            self.url.value = None;
        }
        // Any option may be a secret.
        let of_options = problems.iter_mut().filter(|problem| problem.key == OPTIONS);
        of_options.for_each(|problem| problem.value.clear());
    }
}

/// `grpc://` or `grpcs://` with a host. `off` is none.
pub(super) fn url(value: &str) -> Result<Option<String>, Unusable> {
    if value == "off" {
        return Ok(None);
    }
    let host = value.strip_prefix("grpc://").or_else(|| value.strip_prefix("grpcs://"));
    match host {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(Some(value.to_owned())),
        _ => Err(Unusable {
            message: "not the address of an engine".into(),
            fix: "write grpc://HOST:PORT, grpcs://HOST, either with /INSTANCE, or off".into(),
        }),
    }
}

pub(super) fn local(value: &str) -> Result<Local, Unusable> {
    values::one_of(value, &LOCAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> (ExecuteConfig, Vec<Problem>) {
        let (mut config, mut problems) = (ExecuteConfig::default(), Vec::new());
        let env = |name: &str| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        config.read_env(&env, &mut problems);
        (config, problems)
    }

    #[test]
    fn an_engine_is_an_address_with_options() {
        let (config, problems) = load(&[
            ("LARDER_EXECUTE", "grpcs://engine.example/main"),
            ("LARDER_EXECUTE_LOCAL", "fallback"),
            ("LARDER_EXECUTE_OPTIONS", "token=s3cret,header.x-team=core"),
        ]);
        assert_eq!(problems, []);
        assert_eq!(config.local.value, Local::Fallback);
        let settings = config.settings("/state".into()).unwrap();
        assert_eq!(settings.url, "grpcs://engine.example/main");
        assert_eq!(settings.options["header.x-team"], "core");
        assert_eq!(ExecuteConfig::shown_option("token", "s3cret"), "(not shown)");
    }

    #[test]
    fn with_a_mistake_it_is_not_used() {
        for (name, value) in [
            ("LARDER_EXECUTE", "http://engine:1"),
            ("LARDER_EXECUTE_LOCAL", "sometimes"),
            ("LARDER_EXECUTE_OPTIONS", "s3cret"),
        ] {
            let (config, problems) = load(&[("LARDER_EXECUTE", "grpc://h:1"), (name, value)]);
            let (config, problems) = match name {
                "LARDER_EXECUTE" => load(&[(name, value)]),
                _ => (config, problems),
            };
            assert!(config.settings("/state".into()).is_none(), "{name}");
            assert_eq!(problems.len(), 1, "{name}");
            assert!(!problems[0].value.contains("s3cret"));
        }
    }
}
