//! TLS: which certificates are trusted, and what a failed handshake was about.

use std::error::Error;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::config::{ObjectStoreConfig, Setting};
use super::reply::Fault;
use crate::{Result, StoreError};

/// Variables that name a file of further certificates.
const VARIABLES: &[&str] = &["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

/// The setting that names further certificates.
pub(super) fn setting(config: &ObjectStoreConfig) -> Option<Setting> {
    config.first("ca_file", VARIABLES)
}

/// TLS with the system's certificates and those of the option `ca_file`. If not `secure`, with
/// none: reading the system's takes some milliseconds.
pub(super) fn client(config: &ObjectStoreConfig, secure: bool) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |e: rustls::Error| StoreError::Misconfigured {
        setting: "option ca_file".into(),
        reason: format!("the system's certificates cannot be used: {e}"),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    if !secure {
        let none = builder.with_root_certificates(RootCertStore::empty());
        return Ok(Arc::new(none.with_no_client_auth()));
    }
    let further = setting(config).map_or(Ok(Vec::new()), |setting| certificates(&setting))?;
    let verifier = Verifier::new_with_extra_roots(further, provider).map_err(failed)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Arc::new(builder.with_no_client_auth()))
}

fn certificates(setting: &Setting) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |why: String| setting.wrong(format!("{}: {why}", setting.value));
    let pem = std::fs::read(&setting.value).map_err(|e| wrong(e.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(wrong("there is no certificate in PEM form in it".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(e) => Err(wrong(format!("it is not in PEM form: {e}"))),
    }
}

/// What was wrong in the handshake, if that is what failed.
pub(super) fn fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => return Some(Fault::Certificate),
            Some(rustls::Error::InvalidMessage(_)) => return Some(Fault::NotTls),
            _ => {}
        }
        // An `io::Error` made from another error names that one's source as its own.
        let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match io {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
