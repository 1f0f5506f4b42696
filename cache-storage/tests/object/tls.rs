//! Certificates, and servers that do not speak TLS.

use std::sync::Arc;

use cache_storage::object::ObjectStoreConfig;
use cache_storage::{Store, StoreError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::proxy::Proxy;
use crate::servers::{Server, open};
use crate::tools::{key, noise, read, write};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/object/tls");

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(format!("{DIRECTORY}/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{DIRECTORY}/server-key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn failure(config: &ObjectStoreConfig) -> StoreError {
    open(config).get_record(&key("tls")).await.unwrap_err()
}

#[tokio::test]
async fn a_certificate_is_trusted_only_if_the_configuration_says_so() {
    let Some(address) = Server::S3.address() else { return };
    let proxy = Proxy::start_tls(&address, acceptor()).await;
    let endpoint = format!("https://{}", proxy.address());
    let mut config = Server::S3.config(&endpoint, "tls");
    let error = failure(&config).await;
    assert!(
        matches!(&error, StoreError::Misconfigured { setting, reason }
            if setting == "AWS_CA_BUNDLE" && reason.contains("certificate")),
        "{error:?}"
    );
    assert_eq!(proxy.requests(), 0, "nothing was said to a server that is not trusted");

    config.environment.insert("AWS_CA_BUNDLE".into(), format!("{DIRECTORY}/ca.pem"));
    let store = open(&config);
    let bytes = noise("tls", 100_000);
    let digest = write(&store, &bytes).await.unwrap();
    assert!(read(&store, &digest).await.unwrap() == bytes);
    assert_eq!(proxy.requests(), 2);
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let Some(address) = Server::S3.address() else { return };
    let endpoint = address.replace("http://", "https://");
    let error = failure(&Server::S3.config(&endpoint, "tls")).await;
    assert!(
        matches!(&error, StoreError::Misconfigured { setting, .. } if setting == "option endpoint"),
        "{error:?}"
    );
}
