//! The servers that `cargo xtask servers` starts, and stores in them.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use cache_storage::object::{ObjectStoreBackend, ObjectStoreConfig, RequestLimits};

/// A server for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    S3,
    Azure,
    WebDav,
}

impl Server {
    fn variable(self) -> &'static str {
        match self {
            Self::S3 => "LARDER_TEST_S3",
            Self::Azure => "LARDER_TEST_AZURE",
            Self::WebDav => "LARDER_TEST_WEBDAV",
        }
    }

    /// Its address; `None`, after saying so, when it does not run.
    ///
    /// # Panics
    /// When it does not run and `LARDER_REQUIRE_SERVERS` is 1.
    pub(crate) fn address(self) -> Option<String> {
        let address = env::var(self.variable()).ok();
        if address.is_none() {
            let why = format!("{} is not set; `cargo xtask servers` runs them", self.variable());
            assert!(env::var("LARDER_REQUIRE_SERVERS").as_deref() != Ok("1"), "{why}");
            println!("skipped: {why}");
        }
        address
    }

    /// A store in it, at another address if it is reached through a proxy, under a prefix that no
    /// other test has.
    pub(crate) fn config(self, address: &str, prefix: &str) -> ObjectStoreConfig {
        let options: &[(&str, &str)] = match self {
            Self::S3 => &[
                ("endpoint", address),
                ("access_key_id", "larder"),
                ("secret_access_key", "larder-secret"),
                ("region", "us-east-1"),
            ],
            Self::Azure => &[
                ("endpoint", address),
                ("account_name", "devstoreaccount1"),
                ("account_key", AZURITE_KEY),
            ],
            Self::WebDav => &[],
        };
        let prefix = format!("{prefix}-{}", std::process::id());
        let url = match self {
            Self::S3 => format!("s3://larder/{prefix}"),
            Self::Azure => format!("az://larder/{prefix}"),
            Self::WebDav => format!("{address}/{prefix}"),
        };
        let pairs = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config(&url, pairs.collect())
    }
}

/// Published by Microsoft for the emulator's only account:
/// <https://learn.microsoft.com/azure/storage/common/storage-use-azurite>.
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A configuration without an environment. Its limits are long, as the machine that runs tests may
/// be busy; tests about limits set their own.
pub(crate) fn config(url: &str, options: BTreeMap<String, String>) -> ObjectStoreConfig {
    let limits = RequestLimits {
        connect: Duration::from_secs(30),
        idle: Duration::from_secs(60),
        retries: 2,
        pause: Duration::from_millis(1),
    };
    ObjectStoreConfig { url: url.into(), options, limits, ..ObjectStoreConfig::default() }
}

pub(crate) fn open(config: &ObjectStoreConfig) -> ObjectStoreBackend {
    ObjectStoreBackend::open(config).unwrap()
}
