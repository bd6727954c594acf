//! fal's host names, TLS, HTTP/2 and browsers.

use http::{Method, Version};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Answer, Fal, KEY, Request, answer, http, input, plain};

#[tokio::test]
async fn follow_up_urls_have_the_origin_that_the_caller_used() {
    let fal = Fal::start(plain().allow_any_origin(true)).await;
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
        let document =
            format!("https://fal.ai:{port}/api/openapi/queue/openapi.json?endpoint_id=fal-ai/uso");
        assert_eq!(answer(client.get(document)).await.unwrap().status, 200);
        let listing = format!(
            "https://api.fal.ai:{port}/v1/models/requests/by-endpoint?endpoint_id=fal-ai/uso"
        );
        assert_eq!(answer(get(&listing)).await.unwrap().status, 200);
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

/// A preflight and a call without a key, as the page of an origin makes them.
async fn page_calls(fal: &Fal, origin: &str) -> (Answer, Answer) {
    let preflight = fal
        .request(Method::OPTIONS, "/queue/fal-ai/uso")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,x-fal-request-timeout",
        );
    let url = format!("{}/queue/fal-ai/uso", fal.emulator.origin());
    let call = fal.http.post(url).header("origin", origin);
    let calls = (answer(preflight).await, answer(call).await);
    (calls.0.unwrap(), calls.1.unwrap())
}

#[tokio::test]
async fn pages_of_this_machine_may_call_it() {
    let fal = Fal::start(plain()).await;
    for origin in [
        "http://localhost:3000",
        "http://127.0.0.1:5",
        "http://[::1]:8",
    ] {
        let (preflight, call) = page_calls(&fal, origin).await;
        assert_eq!(preflight.status, 204);
        let allowed = preflight.header("access-control-allow-headers").unwrap();
        assert!(allowed.contains("authorization") && allowed.contains("x-fal-request-timeout"));
        assert_eq!(call.status, 401);
        for answer in [&preflight, &call] {
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("vary"), Some("origin"));
        }
        let exposed = call.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("x-fal-request-id"));
    }
}

#[tokio::test]
async fn pages_of_other_sites_need_the_switch() {
    let site = "https://app.example";
    let fal = Fal::start(plain().allow_anonymous(true)).await;
    // What such a page wants fetched and called is on this machine.
    let target = Fal::start(plain()).await;
    let internal = format!("{}/emulator/requests", target.emulator.origin());
    let mut wish = input();
    wish["input_image_urls"] = serde_json::json!([internal]);
    for origin in [site, "null", "http://localhost.app.example", "file://"] {
        let (preflight, call) = page_calls(&fal, origin).await;
        assert_eq!((preflight.status, call.status), (403, 403), "{origin}");
        assert_eq!(preflight.header("access-control-allow-origin"), None);
        let why = call.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            why.contains(origin) && why.contains("--allow-any-origin"),
            "{why}"
        );
        // A form or a `text/plain` fetch is sent without a preflight.
        let simple = fal
            .request(
                Method::POST,
                &format!("/queue/fal-ai/uso?fal_webhook={internal}"),
            )
            .header("origin", origin)
            .header("content-type", "text/plain")
            .body(wish.to_string());
        assert_eq!(answer(simple).await.unwrap().status, 403);
    }
    assert_eq!(fal.emulator.ledger().purchases().len(), 0);
    assert_eq!(target.emulator.requests().len(), 0);

    let open = Fal::start(plain().allow_any_origin(true)).await;
    let (preflight, call) = page_calls(&open, site).await;
    assert_eq!((preflight.status, call.status), (204, 401));
    assert_eq!(call.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn names_that_may_be_rebound_need_the_switch() {
    let fal = Fal::start(plain()).await;
    let port = fal.emulator.addr().port();
    let get = async |fal: &Fal, host: &str| {
        let request = fal
            .request(Method::GET, "/emulator/ledger")
            .header("host", host);
        answer(request).await.unwrap()
    };
    for host in ["localhost", "127.0.0.1:9", "[::1]"] {
        assert_eq!(get(&fal, host).await.status, 200, "{host}");
    }
    // fal's names are served where they are mapped to this machine; their site has no such page.
    assert_eq!(get(&fal, "queue.fal.run").await.status, 405);
    for host in [
        "evil.example",
        "a.localhost",
        "10.1.2.3",
        "fal.run.evil.example",
    ] {
        let host = format!("{host}:{port}");
        let refused = get(&fal, &host).await;
        assert_eq!(refused.status, 403, "{host}");
        let why = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            why.contains(&host) && why.contains("--allow-any-origin"),
            "{why}"
        );
    }
    let open = Fal::start(plain().allow_any_origin(true)).await;
    assert_eq!(get(&open, "evil.example").await.status, 200);
}
