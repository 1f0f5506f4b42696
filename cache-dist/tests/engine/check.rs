//! A real engine is found good.

use cache_dist::{CheckOptions, ReapiConfig, TroubleKind, check};

use crate::server::on_each_engine;

on_each_engine!(an_engine_is_found_good, a_wrong_instance_is_named);

async fn an_engine_is_found_good(config: ReapiConfig) {
    let report = check(&config, &CheckOptions::default()).await;
    assert_eq!(report.trouble, None);
    assert!(report.capabilities.is_some_and(|can| can.execute));
    assert!(report.ran.is_some_and(|ran| ran.kept));
}

async fn a_wrong_instance_is_named(mut config: ReapiConfig) {
    config.url = config.url.trim_end_matches("/main").to_owned() + "/nosuch";
    let trouble = check(&config, &CheckOptions::default()).await.trouble.expect("a trouble");
    assert_eq!(trouble.kind, TroubleKind::Instance, "{trouble:?}");
}
