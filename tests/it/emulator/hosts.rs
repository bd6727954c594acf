//! fal's host names, TLS, HTTP/2 and browsers.

use http::{Method, Version};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Fal, KEY, Request, answer, http, input, plain};

#[tokio::test]
async fn urls_lead_the_way_the_caller_came() {
    let fal = Fal::start(plain()).await;
    let origin = fal.emulator.origin();
    let forwarded = ("x-forwarded-proto", "https");
    for (path, headers, queue, cdn) in [
        (
            "/queue/fal-ai/uso",
            vec![],
            format!("{origin}/queue/"),
            format!("{origin}/cdn/"),
        ),
        (
            "/queue/fal-ai/uso",
            vec![("host", "gateway.example:8443"), forwarded],
            "https://gateway.example:8443/queue/".to_owned(),
            "https://gateway.example:8443/cdn/".to_owned(),
        ),
        (
            "/fal-ai/uso",
            vec![("host", "queue.fal.run"), forwarded],
            "https://queue.fal.run/".to_owned(),
            "https://v3b.fal.media/".to_owned(),
        ),
        (
            "/fal-ai/uso",
            vec![("host", "queue.falrun.com"), forwarded],
            "https://queue.fal.run/".to_owned(),
            "https://v3b.fal.media/".to_owned(),
        ),
    ] {
        let call = |method: Method, path: &str| {
            headers
                .iter()
                .fold(fal.request(method, path), |request, (name, value)| {
                    request.header(*name, *value)
                })
        };
        let submitted = call(Method::POST, path).body(input().to_string());
        let submitted = answer(submitted).await.unwrap().json();
        let status_url = submitted["status_url"].as_str().unwrap();
        assert!(status_url.starts_with(&queue), "{status_url}");
        let id = submitted["request_id"].as_str().unwrap().to_owned();
        Request {
            fal: &fal,
            id: id.clone(),
        }
        .finished()
        .await;
        let result = call(Method::GET, &format!("{path}/requests/{id}"));
        let result = answer(result).await.unwrap().json();
        let url = result["images"][0]["url"].as_str().unwrap();
        assert!(url.starts_with(&cdn), "{url}");
    }
}

#[tokio::test]
async fn an_unmodified_client_reaches_it_by_fals_names_over_tls() {
    let names = [
        "fal.run",
        "queue.fal.run",
        "v3b.fal.media",
        "api.fal.ai",
        "fal.ai",
    ];
    let made = rcgen::generate_simple_self_signed(names.map(str::to_owned)).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let emulator = plain()
        .tls(certificate.clone().into(), key.into())
        .start()
        .await
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
        .unwrap();
    let port = emulator.addr().port();
    for (version, protocols) in [
        (Version::HTTP_2, ["h2", "http/1.1"].as_slice()),
        (Version::HTTP_11, &["http/1.1"]),
    ] {
        let mut builder = http(roots.clone(), protocols);
        for name in names {
            builder = builder.resolve(name, emulator.addr());
        }
        let client = builder.build().unwrap();
        let get = |url: &str| client.get(url).header("authorization", KEY);
        let submit = client
            .post(format!("https://queue.fal.run:{port}/fal-ai/uso"))
            .header("authorization", KEY)
            .body(input().to_string());
        let submit = submit.send().await.unwrap();
        assert_eq!(submit.version(), version);
        let bytes = submit.bytes().await.unwrap();
        let submitted: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let url = |name: &str| submitted[name].as_str().unwrap().to_owned();
        let stream = answer(get(&format!("{}/stream", url("status_url"))))
            .await
            .unwrap();
        assert!(
            String::from_utf8(stream.bytes)
                .unwrap()
                .contains("COMPLETED")
        );
        let result = answer(get(&url("response_url"))).await.unwrap().json();
        let file = result["images"][0]["url"].as_str().unwrap();
        assert!(
            file.starts_with(&format!("https://v3b.fal.media:{port}/files/b/")),
            "{file}"
        );
        assert_eq!(answer(client.get(file)).await.unwrap().status, 200);
        for public in [
            format!("https://fal.ai:{port}/api/openapi/queue/openapi.json?endpoint_id=fal-ai/uso"),
            format!("https://api.fal.ai:{port}/v1/meta"),
        ] {
            assert_eq!(
                answer(client.get(&public)).await.unwrap().status,
                200,
                "{public}"
            );
        }
        let run = client
            .post(format!("https://fal.run:{port}/fal-ai/uso"))
            .header("authorization", KEY)
            .body(input().to_string());
        assert_eq!(answer(run).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_is_an_error() {
    let error = plain()
        .tls(b"nonsense".to_vec(), b"nonsense".to_vec())
        .start()
        .await
        .err();
    assert_eq!(error.unwrap().kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn browsers_may_call_it() {
    let fal = Fal::start(plain()).await;
    let preflight = fal
        .request(Method::OPTIONS, "/queue/fal-ai/uso")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,x-fal-request-timeout",
        );
    let preflight = answer(preflight).await.unwrap();
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("x-fal-request-timeout"));
    let refused = fal
        .http
        .post(format!("{}/queue/fal-ai/uso", fal.emulator.origin()));
    let refused = answer(refused.header("origin", "https://app.example"))
        .await
        .unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    assert!(
        refused
            .header("access-control-expose-headers")
            .unwrap()
            .contains("x-fal-request-id")
    );
}
