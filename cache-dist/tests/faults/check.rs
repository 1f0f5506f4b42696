//! What `check` says about engines that cannot be used.

use std::time::Duration;

use cache_dist::{CheckOptions, ReapiConfig, TroubleKind, check};
use tonic::Code;

use crate::config;
use crate::support::{Engine, Quirks};

async fn trouble(config: &ReapiConfig) -> (TroubleKind, String) {
    let mut options = CheckOptions::default();
    options.patience = Duration::from_millis(300);
    options.platform.insert("pool".into(), "x".into());
    let trouble = check(config, &options).await.trouble.expect("it cannot be used");
    assert!(!trouble.fix.is_empty());
    (trouble.kind, trouble.said)
}

#[tokio::test]
async fn each_trouble_has_its_name() {
    use TroubleKind as K;
    let known = || Quirks { platform: vec!["pool"], ..Quirks::default() };
    let cases = [
        (Quirks::default(), K::Platform),
        (Quirks { no_execution: true, ..known() }, K::CacheOnly),
        (Quirks { api: (3, 3), ..known() }, K::Settings),
        (Quirks { instance: Some("main"), ..known() }, K::Instance),
        (Quirks { endless: true, ..known() }, K::TooSlow),
        (Quirks { endless: true, unknown_stages: true, ..known() }, K::NoWorker),
        (Quirks { hang: vec!["Execute"], ..known() }, K::NoWorker),
        (Quirks { exit_code: 127, ..known() }, K::NoShell),
        (Quirks { exit_code: 3, ..known() }, K::WrongResult),
        // This engine runs nothing, so it cannot have written the right bytes.
        (known(), K::WrongResult),
    ];
    for (quirks, kind) in cases {
        let engine = Engine::start(quirks.clone()).await;
        let found = trouble(&config(&engine)).await;
        assert_eq!(found.0, kind, "{}: {quirks:?}", found.1);
    }
    let engine = Engine::start(known()).await;
    engine.state.fail("GetCapabilities", 9, Code::Unauthenticated);
    assert_eq!(trouble(&config(&engine)).await.0, K::Denied);
    engine.state.fail("GetCapabilities", 0, Code::Ok);
    let blake3 = config(&engine).with_option("digest", "blake3");
    assert_eq!(trouble(&blake3).await.0, K::DigestFunction);
    let mistyped = config(&engine).with_option("tokn", "x");
    assert_eq!(trouble(&mistyped).await.0, K::Settings);
    let mut tls = config(&engine);
    tls.url = tls.url.replace("grpc://", "grpcs://");
    assert_eq!(trouble(&tls).await.0, K::Settings, "what answers does not speak TLS");
    let mut nobody = config(&engine);
    nobody.url = "grpc://127.0.0.1:1".into();
    assert_eq!(trouble(&nobody).await.0, K::Unreachable);
}
