//! Settings of a remote by the names under which the user wrote them.
//!
//! The library below calls the address `url`, and an option `option NAME`.

use super::{Origin, RemoteConfig};

impl RemoteConfig {
    /// A setting that the library names, perhaps within a larger text, in the user's words.
    pub(crate) fn name_of(&self, setting: &str) -> String {
        let named = |key: &str, origin: &Origin| match origin {
            Origin::Env(name) => (*name).to_owned(),
            Origin::File { .. } => format!("remote.{key} ({origin})"),
            Origin::Default => format!("remote.{key}"),
        };
        match setting {
            "url" => return named("url", &self.url.origin),
            "remote.signing-key" => return named("signing-key", &self.signing_key.origin),
            "remote.trusted-keys" => return named("trusted-keys", &self.trusted.origin),
            _ => {}
        }
        let Some((before, option)) = setting.split_once("option ") else {
            return setting.to_owned();
        };
        let origin = self.options.get(option).map_or(&Origin::Default, |set| &set.origin);
        let name = match origin {
            // One variable for all of them.
            Origin::Env("LARDER_REMOTE_OPTIONS") => format!("{option} in LARDER_REMOTE_OPTIONS"),
            origin => named(&format!("options.{option}"), origin),
        };
        format!("{before}{name}")
    }

    /// What to do where writing is not allowed.
    pub(crate) fn how_to_write(&self) -> String {
        format!(
            "set remote.mode (now {}, {}) to read, or let the credentials name somebody who may write",
            self.access.value.name(),
            self.access.origin
        )
    }

    /// What the library says of a remote, with the setting it names in the user's words: it stands before
    /// the first colon, or in brackets after `access denied`.
    pub(crate) fn in_words(&self, said: &str) -> String {
        if let Some(reason) = said.strip_prefix("the store is read-only: ") {
            return format!("nothing can be written: {reason}; {}", self.how_to_write());
        }
        if let Some(rest) = said.strip_prefix("access denied (")
            && let Some((setting, rest)) = rest.split_once("): ")
        {
            return format!("access denied ({}): {rest}", self.name_of(setting));
        }
        match said.split_once(": ") {
            Some((setting, rest)) => format!("{}: {rest}", self.name_of(setting)),
            None => said.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Setting;
    use super::*;

    fn remote() -> RemoteConfig {
        let mut remote = RemoteConfig::default();
        let mut set = |name: &str, origin| {
            let value = String::new();
            remote.options.insert(name.to_owned(), Setting { value, origin });
        };
        let file = || Origin::File { path: "/c.toml".into(), line: 7 };
        set("region", file());
        set("endpoint", Origin::Env("SCCACHE_ENDPOINT"));
        set("connection_string", Origin::Env("LARDER_REMOTE_OPTIONS"));
        remote.url.origin = file();
        remote
    }

    #[test]
    fn settings_are_named_as_they_were_written() {
        for (setting, want) in [
            ("url", "remote.url (/c.toml:7)"),
            ("option region", "remote.options.region (/c.toml:7)"),
            ("option endpoint", "SCCACHE_ENDPOINT"),
            ("option profile", "remote.options.profile"),
            (
                "AccountKey in option connection_string",
                "AccountKey in connection_string in LARDER_REMOTE_OPTIONS",
            ),
            ("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
        ] {
            assert_eq!(remote().name_of(setting), want);
        }
    }

    #[test]
    fn what_the_library_says_names_them_too() {
        for (said, want) in [
            ("url: there is no bucket: x", "remote.url (/c.toml:7): there is no bucket: x"),
            ("access denied (option endpoint): no", "access denied (SCCACHE_ENDPOINT): no"),
            ("the store is unavailable: no answer", "the store is unavailable: no answer"),
            ("nothing of the kind", "nothing of the kind"),
        ] {
            assert_eq!(remote().in_words(said), want);
        }
    }
}
