//! TLS and HTTP/2: trust, and few connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use uso::error::{Delivery, Verdict};
use uso::{Client, ErrorKind, Request};
use uso_emulator::Emulator;
use uso_tests::rig::{Cli, Rig, config_for};

struct Certificate {
    certificate: String,
    key: String,
}

/// A certificate for this machine, signed by itself.
fn certificate() -> Certificate {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Certificate {
        certificate: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

async fn emulator(certificate: &Certificate) -> Emulator {
    let pem = |text: &str| text.as_bytes().to_vec();
    Rig::plain_builder()
        .concurrency(100)
        .inference_time(Duration::from_millis(100))
        .tls(pem(&certificate.certificate), pem(&certificate.key))
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_whose_permission_has_ended_is_not_sent_and_not_repeated() {
    let certificate = certificate();
    let encrypted = emulator(&certificate).await;
    let plain = Rig::plain_builder().start().await.unwrap();
    for emulator in [encrypted, plain] {
        let config = config_for(&emulator.origin())
            .unwrap()
            .root_certificates(certificate.certificate.clone());
        let client = Client::new(config).unwrap();
        let request = Request::subject("https://example.org/a.png", "x");
        let prepared = client.prepare(request).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let order = prepared.order().clone().only_while(move || {
            count.fetch_add(1, Ordering::Relaxed);
            false
        });
        let error = client.place(&order).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery(), error.verdict()),
            (ErrorKind::Deadline, Delivery::NotSent, Verdict::NotBought)
        );
        assert_eq!(asked.load(Ordering::Relaxed), 1, "it is not tried again");
        assert!(emulator.ledger().purchases().is_empty());

        let order = prepared.order().clone().only_while(|| true);
        client.place(&order).await.unwrap();
        assert_eq!(emulator.ledger().purchases().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untrusted_certificate_is_refused_before_the_key_is_sent() {
    let emulator = emulator(&certificate()).await;
    let quick = uso::config::RetryPolicy::default().attempts(1);
    let client = Client::new(config_for(&emulator.origin()).unwrap().retry(quick)).unwrap();
    let error = client
        .submit(Request::subject("https://example.org/a.png", "x"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Unreachable, Delivery::NotSent)
    );
    assert!(emulator.requests().is_empty());
    let host = emulator.origin().replace("https://", "");
    assert_eq!(error.host(), Some(host.as_str()));
    let hint = error.hint().unwrap_or_default();
    assert!(
        hint.contains("not trusted") && hint.contains("SSL_CERT_FILE"),
        "{hint:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssl_cert_file_the_host_variables_and_no_proxy_reach_the_emulator() {
    let certificate = certificate();
    let emulator = emulator(&certificate).await;
    let host = format!("localhost:{}", emulator.addr().port());
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test"))
        .variable("FAL_KEY_ID", "an-id")
        .variable("FAL_KEY_SECRET", "a-secret")
        .variable("FAL_RUN_HOST", &format!("{host}/run"))
        .variable("FAL_QUEUE_RUN_HOST", &format!("{host}/queue"));
    // No variable names a host for uploads, so the pictures are where the service finds them.
    let arguments = [
        "restyle",
        "https://example.org/content.png",
        "https://example.org/style.png",
        "-o",
        "a.png",
    ];
    let trusted = cli.folder().join("trusted.pem");
    std::fs::write(&trusted, &certificate.certificate).unwrap();
    let cli = cli.variable("SSL_CERT_FILE", trusted.to_str().unwrap());
    let run = cli.run(&arguments);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(emulator.ledger().purchases().len(), 1);

    // Port 9 has no proxy: only a host that is exempt from it is reached.
    let exempt = |hosts| {
        let proxied = Cli::new(env!("CARGO_BIN_EXE_uso-under-test"))
            .variable("HTTPS_PROXY", "http://127.0.0.1:9")
            .variable("NO_PROXY", hosts)
            .variable("SSL_CERT_FILE", trusted.to_str().unwrap())
            .at(&emulator.origin());
        proxied.run(&arguments)
    };
    let run = exempt("localhost,127.0.0.1");
    assert_eq!(run.code, 0, "{run:?}");
    let run = exempt("example.org");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("no connection to 127.0.0.1"), "{run:?}");
    assert_eq!(emulator.ledger().purchases().len(), 2);

    let empty = cli.folder().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let cli = cli.variable("SSL_CERT_FILE", empty.to_str().unwrap());
    let run = cli.run(&[&arguments[..], &["--force"]].concat());
    assert!(
        run.code == 1 && run.stderr.contains("SSL_CERT_FILE"),
        "{run:?}"
    );
}
