//! Ends of an HTTP/2 stream, from a server that controls each frame: none of them proves to this
//! client that a purchase was not worked on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use uso::config::RetryPolicy;
use uso::error::Delivery;
use uso::{Client, ErrorKind, Request};
use uso_tests::rig::config_for;

/// What the server does with its first stream; every later one is answered.
#[derive(Clone, Copy)]
enum First {
    Refuse,
    InformThenRefuse,
    Reset,
    GoAway,
}

struct Server {
    origin: String,
    certificate: String,
    streams: Arc<AtomicUsize>,
}

async fn serve(first: First) -> Server {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let streams = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&streams);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let socket = acceptor.accept(socket).await.unwrap();
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_request, mut respond))) = connection.accept().await {
                    if counted.fetch_add(1, Ordering::SeqCst) > 0 {
                        let answer = http::Response::new(());
                        let mut body = respond.send_response(answer, false).unwrap();
                        let json = Bytes::from_static(br#"{"request_id":"r-1"}"#);
                        body.send_data(json, true).unwrap();
                        continue;
                    }
                    match first {
                        First::Refuse => respond.send_reset(h2::Reason::REFUSED_STREAM),
                        First::InformThenRefuse => {
                            let hints = http::Response::builder().status(103).body(()).unwrap();
                            respond.send_informational(hints).unwrap();
                            respond.send_reset(h2::Reason::REFUSED_STREAM);
                        }
                        First::Reset => respond.send_reset(h2::Reason::INTERNAL_ERROR),
                        First::GoAway => connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR),
                    }
                }
            });
        }
    });
    Server {
        origin,
        certificate: made.cert.pem(),
        streams,
    }
}

async fn submit(first: First) -> (uso::Result<uso::Job>, usize) {
    let server = serve(first).await;
    let config = config_for(&server.origin)
        .unwrap()
        .root_certificates(server.certificate)
        .retry(RetryPolicy::default().first_delay(std::time::Duration::ZERO))
        .without_reconciliation();
    let client = Client::new(config).unwrap();
    let submitted = client
        .submit(Request::subject("https://example.org/a.png", "x"))
        .await;
    (submitted, server.streams.load(Ordering::SeqCst))
}

#[tokio::test]
async fn no_end_of_a_stream_sends_a_purchase_again() {
    // An informational response before a refusal cannot be seen, so a refusal proves nothing.
    for first in [
        First::Refuse,
        First::InformThenRefuse,
        First::Reset,
        First::GoAway,
    ] {
        let (submitted, streams) = submit(first).await;
        let error = submitted.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::OutcomeUnknown, Delivery::Unknown)
        );
        assert_eq!(streams, 1, "a purchase is not repeated on a guess");
    }
}
