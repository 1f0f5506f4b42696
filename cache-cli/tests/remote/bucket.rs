//! What machines share.

use std::cell::OnceCell;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cache_storage::Store;
use cache_storage::object::{ObjectStoreBackend, ObjectStoreConfig};
use tokio::runtime::Runtime;

use crate::proxy::Proxy;

static BUCKETS: AtomicU32 = AtomicU32::new(0);

/// A bucket, or a prefix in one, that no other test has.
pub(crate) struct Bucket {
    /// The variables that a machine reaches it by.
    pub(crate) vars: Vec<(String, String)>,
    dir: Option<tempfile::TempDir>,
    runtime: OnceCell<Runtime>,
}

impl Bucket {
    /// A directory.
    pub(crate) fn directory() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("file://{}/bucket", dir.path().display());
        let vars = vec![("LARDER_REMOTE".to_owned(), url)];
        Self { vars, dir: Some(dir), runtime: OnceCell::new() }
    }

    /// The S3 server's bucket; `None`, after saying so, when it does not run.
    ///
    /// # Panics
    /// When it does not run and `LARDER_REQUIRE_SERVERS` is 1.
    pub(crate) fn s3() -> Option<Self> {
        let Ok(address) = env::var("LARDER_TEST_S3") else {
            let why = "LARDER_TEST_S3 is not set; `cargo xtask servers` runs one";
            assert!(env::var("LARDER_REQUIRE_SERVERS").as_deref() != Ok("1"), "{why}");
            println!("skipped: {why}");
            return None;
        };
        let number = BUCKETS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("s3://larder/remote-{}-{number}", std::process::id());
        let vars = [
            ("LARDER_REMOTE", prefix.as_str()),
            ("AWS_ENDPOINT_URL", &address),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "larder"),
            ("AWS_SECRET_ACCESS_KEY", "larder-secret"),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Some(Self { vars, dir: None, runtime: OnceCell::new() })
    }

    /// A variable's value.
    pub(crate) fn var(&self, name: &str) -> &str {
        let found = self.vars.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).expect("a variable of this bucket")
    }

    /// The same with another value of a variable.
    pub(crate) fn with(&self, name: &str, value: &str) -> Vec<(String, String)> {
        let mut vars = self.vars.clone();
        vars.retain(|(known, _)| known != name);
        vars.push((name.to_owned(), value.to_owned()));
        vars
    }

    /// Where a directory's objects are.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.as_ref().expect("this is a directory").path().join("bucket")
    }

    /// Runs something that waits for input and output.
    pub(crate) fn run<T>(&self, task: impl Future<Output = T>) -> T {
        let new = || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1).enable_all().build().expect("a runtime")
        };
        self.runtime.get_or_init(new).block_on(task)
    }

    /// The bucket as the backend sees it.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        let config = ObjectStoreConfig {
            url: self.var("LARDER_REMOTE").to_owned(),
            environment: self.vars.iter().cloned().collect(),
            ..ObjectStoreConfig::default()
        };
        let opened = self.run(async { ObjectStoreBackend::open(&config) });
        Arc::new(opened.expect("the bucket can be opened"))
    }

    /// A proxy in front of the server, and the variables that lead through it.
    pub(crate) fn behind_proxy(&self) -> (Proxy, Vec<(String, String)>) {
        let address = self.var("AWS_ENDPOINT_URL").to_owned();
        let proxy = self.run(Proxy::start(&address));
        let vars = self.with("AWS_ENDPOINT_URL", &proxy.instead_of(&address));
        (proxy, vars)
    }
}
