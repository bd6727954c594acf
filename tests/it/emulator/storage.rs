//! Uploads as the service takes them, by plain HTTP.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Fal, answer, plain};

impl Fal {
    /// Without the key, and with these headers.
    async fn bare(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = self.http.request(method, url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await.unwrap()
    }

    /// Presigned: the address to upload to, and the one of the file.
    async fn initiate(&self, kind: &str, storage: &str) -> (String, String) {
        let path = format!("/rest/storage/upload/{kind}?storage_type={storage}");
        let wanted = json!({ "content_type": "image/png", "file_name": "../a b.png" });
        let told = self.post(&path, &wanted).await;
        assert_eq!(told.status, 200);
        let told = told.json();
        let url = |name: &str| told[name].as_str().unwrap().to_owned();
        (url("upload_url"), url("file_url"))
    }

    async fn token(&self) -> String {
        let path = "/rest/storage/auth/token?storage_type=fal-cdn-v3";
        let told = self.post(path, &json!({})).await.json();
        assert_eq!(told["token_type"], "Bearer");
        assert!(
            told["expires_at"].as_str().unwrap().ends_with("+00:00"),
            "{told}"
        );
        format!("Bearer {}", told["token"].as_str().unwrap())
    }
}

const PNG: &[(&str, &str)] = &[("content-type", "image/png")];

/// An address of a part: the number stands before the query.
fn part(upload_url: &str, last: &str) -> String {
    let (path, query) = upload_url.split_once('?').unwrap();
    format!("{path}/{last}?{query}")
}

#[tokio::test]
async fn a_presigned_address_takes_the_declared_type_with_and_without_a_key() {
    let fal = Fal::start(plain()).await;
    for storage in ["fal-cdn-v3", "gcs"] {
        let (upload_url, file_url) = fal.initiate("initiate", storage).await;
        assert!(file_url.ends_with("_.._a_b.png"), "{file_url}");
        let put = async |headers: &[(&str, &str)]| {
            fal.bare(Method::PUT, &upload_url, headers, b"bytes")
                .await
                .status
        };
        assert_eq!(put(&[]).await, 403);
        assert_eq!(put(&[("content-type", "image/jpeg")]).await, 403);
        let with_key = [("content-type", "image/png"), ("authorization", "Key a:b")];
        assert_eq!(fal.bare(Method::GET, &file_url, &[], b"").await.status, 404);
        let headers = if storage == "gcs" { &with_key } else { PNG };
        assert_eq!(put(headers).await, 200);
        let file = fal.bare(Method::GET, &file_url, &[], b"").await;
        assert_eq!(
            (file.bytes.as_slice(), file.header("content-type")),
            (&b"bytes"[..], Some("image/png"))
        );
        let other = upload_url.replace("signature=", "signature=0");
        assert_eq!(fal.bare(Method::PUT, &other, PNG, b"x").await.status, 403);
    }
    let anonymous = format!(
        "{}/rest/storage/upload/initiate?storage_type=fal-cdn-v3",
        fal.emulator.origin()
    );
    assert_eq!(
        fal.bare(Method::POST, &anonymous, &[], b"{}").await.status,
        401
    );
}

#[tokio::test]
async fn parts_are_told_in_body_and_header_and_all_must_be_named() {
    let fal = Fal::start(plain()).await;
    let (upload_url, file_url) = fal.initiate("initiate-multipart", "fal-cdn-v3").await;
    let mut parts = Vec::new();
    for (number, bytes) in [(1, b"one "), (2, b"two ")] {
        let told = fal
            .bare(
                Method::PUT,
                &part(&upload_url, &number.to_string()),
                &[],
                bytes,
            )
            .await;
        assert_eq!(told.json()["partNumber"], number);
        assert_eq!(told.json()["etag"], told.header("etag").unwrap());
        assert!(told.header("etag").unwrap().starts_with('"'));
        parts.push(told.json());
    }
    let complete = async |parts: Value| {
        let body = json!({ "parts": parts }).to_string();
        fal.bare(
            Method::POST,
            &part(&upload_url, "complete"),
            &[],
            body.as_bytes(),
        )
        .await
        .status
    };
    assert_eq!(complete(json!([])).await, 400);
    assert_eq!(complete(json!([parts[1]])).await, 400);
    let wrong = json!({ "partNumber": 1, "etag": parts[1]["etag"] });
    assert_eq!(complete(json!([wrong, parts[1]])).await, 400);
    assert_eq!(fal.bare(Method::GET, &file_url, &[], b"").await.status, 404);
    // The order in which they are named does not matter.
    assert_eq!(complete(json!([parts[1], parts[0]])).await, 200);
    assert_eq!(
        fal.bare(Method::GET, &file_url, &[], b"").await.bytes,
        b"one two "
    );
    assert_eq!(
        complete(json!([parts[0], parts[1]])).await,
        404,
        "it is over"
    );
}

#[tokio::test]
async fn the_other_storage_gives_an_address_for_each_part() {
    let fal = Fal::start(plain()).await;
    let (upload_url, file_url) = fal.initiate("initiate-multipart", "gcs").await;
    let told = fal.post(&part(&upload_url, "1"), &json!({})).await;
    let address = told.json()["upload_url"].as_str().unwrap().to_owned();
    let put = fal.bare(Method::PUT, &address, &[], b"all").await;
    let etag = put.header("etag").unwrap().trim_matches('"').to_owned();
    let body = json!({ "parts": [{ "part_number": 1, "etag": etag }] });
    assert_eq!(
        fal.post(&part(&upload_url, "complete"), &body).await.status,
        200
    );
    assert_eq!(
        fal.bare(Method::GET, &file_url, &[], b"").await.bytes,
        b"all"
    );
}

#[tokio::test]
async fn a_token_uploads_reads_what_is_protected_and_expires() {
    let fal = Fal::start(plain()).await;
    let token = fal.token().await;
    let upload = format!("{}/cdn/files/upload", fal.emulator.origin());
    let protected = |decision: &str| format!(r#"{{"initial_acl":{{"default":"{decision}"}}}}"#);
    for (decision, status) in [("allow", 200), ("forbid", 403), ("hide", 404)] {
        let lifecycle = protected(decision);
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "text/plain"),
            ("x-fal-file-name", "note.txt"),
            ("x-fal-object-lifecycle", &lifecycle),
        ];
        let told = fal
            .bare(Method::POST, &upload, &headers, b"secret")
            .await
            .json();
        let url = told["access_url"].as_str().unwrap();
        assert_eq!(
            fal.bare(Method::GET, url, &[], b"").await.status,
            status,
            "{decision}"
        );
        let owner = [("authorization", token.as_str())];
        assert_eq!(
            fal.bare(Method::GET, url, &owner, b"").await.bytes,
            b"secret"
        );
        let signed = fal
            .bare(
                Method::POST,
                &format!("{url}/sign"),
                &owner,
                br#"{"duration":60}"#,
            )
            .await;
        let link = String::from_utf8(signed.bytes).unwrap();
        assert_eq!(
            fal.bare(Method::GET, &link, &[], b"").await.bytes,
            b"secret"
        );
        fal.emulator.advance(Duration::from_secs(61));
        assert_eq!(
            fal.bare(Method::GET, &link, &[], b"").await.status,
            status,
            "{decision}"
        );
    }
    fal.emulator.advance(Duration::from_secs(31 * 86_400));
    let late = [("authorization", token.as_str())];
    assert_eq!(
        fal.bare(Method::POST, &upload, &late, b"x").await.status,
        401
    );
    let key = [("authorization", "Key a:b")];
    assert_eq!(
        fal.bare(Method::POST, &upload, &key, b"x").await.status,
        401,
        "the key is no token"
    );
}

#[tokio::test]
async fn pictures_expire_and_are_protected_as_their_submit_wanted() {
    let fal = Fal::start(plain()).await;
    let lifecycle = r#"{"expiration_duration_seconds":60,"initial_acl":{"default":"forbid"}}"#;
    let submit = fal
        .request(Method::POST, "/queue/fal-ai/uso")
        .header("x-fal-object-lifecycle-preference", lifecycle)
        .body(super::input().to_string());
    let request = fal.accepted(answer(submit).await.unwrap());
    request.finished().await;
    let output = request.result().await.json();
    let url = output["images"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(fal.bare(Method::GET, &url, &[], b"").await.status, 403);
    let token = fal.token().await;
    let owner = [("authorization", token.as_str())];
    assert_eq!(fal.bare(Method::GET, &url, &owner, b"").await.status, 200);
    fal.emulator.advance(Duration::from_secs(60));
    assert_eq!(fal.bare(Method::GET, &url, &owner, b"").await.status, 404);
    let nonsense = fal
        .request(Method::POST, "/queue/fal-ai/uso")
        .header("x-fal-object-lifecycle-preference", "for ever")
        .body(super::input().to_string());
    assert_eq!(answer(nonsense).await.unwrap().status, 400);
}
