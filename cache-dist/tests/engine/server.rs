//! The engines that `cargo xtask servers` starts.

use std::env;
use std::time::Duration;

use cache_dist::{Limits, ReapiConfig};

/// Sandboxes what it runs.
pub(crate) const CASD: &str = "LARDER_TEST_REAPI";
/// Runs each action in a directory with a random name, and has an instance.
pub(crate) const BUILDGRID: &str = "LARDER_TEST_REAPI_BUILDGRID";

/// Makes a test for each engine of functions that take its configuration.
macro_rules! on_each_engine {
    ($($test:ident),+ $(,)?) => {
        mod casd {
            $(#[tokio::test]
            async fn $test() {
                if let Some(config) = $crate::server::config($crate::server::CASD) {
                    super::$test(config).await;
                }
            })+
        }
        mod buildgrid {
            $(#[tokio::test]
            async fn $test() {
                if let Some(config) = $crate::server::config($crate::server::BUILDGRID) {
                    super::$test(config).await;
                }
            })+
        }
    };
}
pub(crate) use on_each_engine;

/// How to reach the engine of this variable; `None`, after saying so, when it does not run. Limits are
/// long, as the machine that runs tests may be busy.
///
/// # Panics
/// When it does not run and `LARDER_REQUIRE_SERVERS` is 1.
pub(crate) fn config(variable: &str) -> Option<ReapiConfig> {
    let Ok(url) = env::var(variable) else {
        let why = format!("{variable} is not set; `cargo xtask servers` runs an engine");
        assert!(env::var("LARDER_REQUIRE_SERVERS").as_deref() != Ok("1"), "{why}");
        println!("skipped: {why}");
        return None;
    };
    let long = Duration::from_secs(60);
    let limits = Limits { connect: long, idle: long, ..Limits::default() };
    Some(ReapiConfig { limits, ..ReapiConfig::new(url) })
}

/// A text that no other test and no earlier run has.
pub(crate) fn unique_text() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:?} {} {count}", std::time::SystemTime::now(), std::process::id())
}
