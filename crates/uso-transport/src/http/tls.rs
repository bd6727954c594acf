//! TLS settings: which certificates are trusted.

use std::io::BufReader;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::kind::{ErrorKind, Operation};

fn refuse(message: impl Into<String>) -> Error {
    Error::new(Operation::Configure, ErrorKind::Config, message)
}

/// The certificates that the settings add.
pub(super) fn own_roots(config: &Config) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for pem in &config.root_certificates {
        let mut found = false;
        for certificate in CertificateDer::pem_reader_iter(BufReader::new(pem.as_slice())) {
            let certificate = certificate.map_err(|error| {
                refuse("a root certificate is not valid PEM").with_source(error)
            })?;
            roots
                .add(certificate)
                .map_err(|error| refuse("a root certificate cannot be used").with_source(error))?;
            found = true;
        }
        if !found {
            return Err(refuse(
                "there is no certificate in the PEM of the root certificates",
            ));
        }
    }
    Ok(roots)
}

/// Those certificates and the system's, or those of `SSL_CERT_FILE` in place of the system's.
/// Reading them takes tens of milliseconds.
pub(super) fn with_system_roots(mut roots: RootCertStore) -> Result<RootCertStore> {
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        let mut error = refuse("there are no root certificates to check the service's identity with")
            .with_hint("install the system's CA bundle (package ca-certificates), or name one with SSL_CERT_FILE");
        if let Some(cause) = system.errors.into_iter().next() {
            error = error.with_source(cause);
        }
        return Err(error);
    }
    Ok(roots)
}

/// TLS settings that trust these certificates.
pub(super) fn tls_config(roots: RootCertStore) -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse("TLS could not be set up").with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}
