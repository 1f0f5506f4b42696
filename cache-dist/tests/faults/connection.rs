//! Engines that cannot be talked to, or not for long.

use std::time::Duration;

use cache_dist::{
    Cas, Client, Control, DigestFunction, Executor, Limits, ReapiConfig, RemoteError,
    RemoteExecutor,
};
use tokio::net::TcpListener;
use tonic::Code;

use crate::support::{Engine, Quirks};
use crate::{action, client, config, impatient, inputs};

async fn refusal(config: &ReapiConfig) -> RemoteError {
    Client::open(config).unwrap().capabilities().await.unwrap_err()
}

fn short(url: String) -> ReapiConfig {
    let moment = Duration::from_millis(50);
    let limits = Limits {
        connect: moment,
        idle: moment,
        retries: 1,
        pause: moment / 50,
        ..Limits::default()
    };
    ReapiConfig { limits, ..ReapiConfig::new(url) }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = refusal(&short(url)).await;
    assert!(matches!(error, RemoteError::Unavailable(_)), "{error:?}");
}

/// It accepts connections, and then says nothing: neither HTTP/2 nor TLS gets anywhere.
#[tokio::test]
async fn what_listens_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            open.push(connection);
        }
    });
    for scheme in ["grpc", "grpcs"] {
        let error = refusal(&short(format!("{scheme}://{address}"))).await;
        assert!(error.is_transient(), "{scheme}: {error:?}");
    }
}

#[tokio::test]
async fn what_listens_is_another_kind_of_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut connection, answer).await;
        }
    });
    for scheme in ["grpc", "grpcs"] {
        let error = refusal(&short(format!("{scheme}://{address}"))).await;
        assert!(
            matches!(error, RemoteError::Unavailable(_) | RemoteError::Misconfigured { .. }),
            "{scheme}: {error:?}"
        );
    }
}

#[tokio::test]
async fn requests_that_are_never_answered_end() {
    for request in ["GetCapabilities", "FindMissingBlobs", "BatchUpdateBlobs", "Write"] {
        let engine = Engine::start(Quirks { hang: vec![request], ..Quirks::default() }).await;
        let executor = RemoteExecutor::new(Client::open(&impatient(&engine)).unwrap());
        let inputs = inputs(DigestFunction::Sha256);
        let error = executor.execute(&action(), &inputs, &Control::new()).await.unwrap_err();
        assert!(matches!(error, RemoteError::TimedOut(_)), "{request}: {error:?}");
    }
    let engine = Engine::start(Quirks { hang: vec!["Read"], ..Quirks::default() }).await;
    let digest = engine.state.insert(&crate::noise(6 << 20));
    let cas = Cas::new(Client::open(&impatient(&engine)).unwrap());
    assert!(matches!(cas.read_whole(digest).await, Err(RemoteError::TimedOut(_))));
}

/// An execution may take any time, so only whoever waits can give it up.
#[tokio::test]
async fn an_execution_that_is_never_answered_can_be_given_up() {
    let engine = Engine::start(Quirks { hang: vec!["Execute"], ..Quirks::default() }).await;
    let executor = RemoteExecutor::new(client(&engine));
    let (action, inputs) = (action(), inputs(DigestFunction::Sha256));
    let control = Control::new();
    let cancel = async {
        while engine.state.count("Execute") == 0 {
            tokio::task::yield_now().await;
        }
        control.cancel();
    };
    let (result, ()) = tokio::join!(executor.execute(&action, &inputs, &control), cancel);
    assert!(matches!(result, Err(RemoteError::Cancelled)), "{result:?}");
}

#[tokio::test]
async fn another_version_of_the_api_is_named() {
    for api in [(3, 4), (1, 1)] {
        let engine = Engine::start(Quirks { api, ..Quirks::default() }).await;
        let error = refusal(&config(&engine)).await;
        let RemoteError::Misconfigured { setting, reason } = &error else { panic!("{error:?}") };
        assert_eq!(setting, "url");
        assert!(reason.contains(&format!("{} to {}", api.0, api.1)), "{reason}");
    }
}

#[tokio::test]
async fn a_refused_token_names_its_option() {
    for code in [Code::Unauthenticated, Code::PermissionDenied] {
        let engine = Engine::start(Quirks::default()).await;
        engine.state.fail("GetCapabilities", 9, code);
        let error = refusal(&config(&engine).with_option("token", "secret")).await;
        let RemoteError::Denied { setting, .. } = &error else { panic!("{error:?}") };
        assert_eq!(setting, "option token");
        assert!(!error.to_string().contains("secret"));
        assert_eq!(engine.state.count("GetCapabilities"), 1, "asking again would be of no use");
    }
}

#[tokio::test]
async fn an_unknown_instance_is_told() {
    let engine = Engine::start(Quirks { instance: Some("main"), ..Quirks::default() }).await;
    let error = refusal(&config(&engine)).await;
    assert!(error.to_string().contains("instance"), "{error}");
    let mut right = config(&engine);
    right.url += "/main";
    Client::open(&right).unwrap().capabilities().await.unwrap();
}

/// It knows nothing of capabilities, as the oldest servers.
#[tokio::test]
async fn capabilities_are_not_known() {
    let engine = Engine::start(Quirks::default()).await;
    engine.state.fail("GetCapabilities", 9, Code::Unimplemented);
    let client = client(&engine);
    let can = client.capabilities().await.unwrap();
    assert_eq!(can.digest_function, DigestFunction::Sha256);
    let digest = engine.state.insert(b"bytes");
    assert_eq!(Cas::new(client).read_whole(digest).await.unwrap(), "bytes");
}
