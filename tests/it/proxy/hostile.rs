//! Requests that are out to hurt: each ends as it should, and none reaches the service.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uso_cli::serve::Limits;
use uso_proxy::PROXY_PATH;
use uso_tests::rig::Rig;

use super::{ALICE, BOB, PAGE, PATIENCE, SUBMIT, Served, input};

/// A request, as its bytes go over the wire.
struct Attack {
    what: String,
    bytes: Vec<u8>,
    expected: u16,
}

/// The parts of an attack that differ from an honest submit.
struct Draft {
    what: String,
    method: String,
    path: String,
    target: Option<Vec<u8>>,
    token: Option<String>,
    origin: Option<String>,
    more: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    length: Option<String>,
    closes: bool,
}

impl Draft {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            method: "POST".to_owned(),
            path: PROXY_PATH.to_owned(),
            target: Some(SUBMIT.as_bytes().to_vec()),
            token: Some(format!("Bearer {ALICE}")),
            origin: Some(PAGE.to_owned()),
            more: Vec::new(),
            body: input(1).to_string().into_bytes(),
            length: None,
            closes: true,
        }
    }

    /// Does not ask for the connection to be closed, so that what follows may be taken for another
    /// request.
    fn stays(mut self) -> Self {
        self.closes = false;
        self
    }

    fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    fn target(mut self, target: impl AsRef<[u8]>) -> Self {
        self.target = Some(target.as_ref().to_vec());
        self
    }

    fn no_target(mut self) -> Self {
        self.target = None;
        self
    }

    fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.more.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    fn length(mut self, length: &str) -> Self {
        self.length = Some(length.to_owned());
        self
    }

    fn ends(self, expected: u16) -> Attack {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: proxy\r\n", self.method, self.path).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if let Some(token) = &self.token {
            line("authorization", token.as_bytes());
        }
        if let Some(origin) = &self.origin {
            line("origin", origin.as_bytes());
        }
        if let Some(target) = &self.target {
            line("x-fal-target-url", target);
        }
        let length = self.length.unwrap_or_else(|| self.body.len().to_string());
        if !length.is_empty() {
            line("content-length", length.as_bytes());
        }
        for (name, value) in &self.more {
            line(name, value);
        }
        if self.closes {
            line("connection", b"close");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        Attack {
            what: self.what,
            bytes,
            expected,
        }
    }
}

fn targets() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let methods = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
    ];
    for method in methods {
        for target in [
            "https://queue.fal.run/fal-ai/flux",
            "https://fal.run/fal-ai/flux",
            "https://queue.fal.run/fal-ai/flux/requests/r-1/status",
            "https://api.fal.ai/v1/models/requests/by-endpoint",
        ] {
            let draft = Draft::new(format!("{method} {target}")).method(method);
            attacks.push(draft.target(target).ends(400));
        }
    }
    for (method, tail) in [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/requests/r-1"),
        ("DELETE", "/requests/r-1"),
        ("POST", "/requests/r-1/status"),
        ("GET", "/requests/r-1/cancel"),
        ("POST", "/requests/r-1/cancel"),
        ("GET", "/requests/r-1/response"),
        ("GET", "/requests"),
        ("GET", "/requests/"),
        ("GET", "/requests/r-1/status/stream/more"),
        ("GET", "/requests/r-1/"),
    ] {
        let target = format!("{SUBMIT}{tail}");
        let draft = Draft::new(format!("{method} {target}")).method(method);
        attacks.push(draft.target(target).ends(400));
    }
    for target in [
        // Other schemes.
        "http://queue.fal.run/fal-ai/uso",
        "ftp://queue.fal.run/fal-ai/uso",
        "wss://queue.fal.run/fal-ai/uso",
        "file:///fal-ai/uso",
        "data:text/plain,fal-ai/uso",
        "javascript:fetch('https://queue.fal.run/fal-ai/uso')",
        // Users.
        "https://user@queue.fal.run/fal-ai/uso",
        "https://user:password@queue.fal.run/fal-ai/uso",
        "https://queue.fal.run@evil.example/fal-ai/uso",
        "https://@queue.fal.run/fal-ai/uso",
        // Ports.
        "https://queue.fal.run:80/fal-ai/uso",
        "https://queue.fal.run:8443/fal-ai/uso",
        "https://queue.fal.run:443/fal-ai/uso",
        "https://queue.fal.run:/fal-ai/uso",
        // Similar host names.
        "https://notfal.run/fal-ai/uso",
        "https://queue.fal.run.evil.example/fal-ai/uso",
        "https://evil.example/queue.fal.run/fal-ai/uso",
        "https://xqueue.fal.run/fal-ai/uso",
        "https://queuefal.run/fal-ai/uso",
        "https://fal.run./fal-ai/uso",
        "https://queue.fal.run./fal-ai/uso",
        "https://QUEUE.FAL.RUN/fal-ai/uso",
        "https://queue.fal.run%2eevil.example/fal-ai/uso",
        "https://queue%2efal.run/fal-ai/uso",
        "https://queue.falrun.com/fal-ai/uso",
        "https://rest.alpha.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3",
        "https://v3.fal.media/files/upload",
        "https://127.0.0.1/fal-ai/uso",
        "https://[::1]/fal-ai/uso",
        "http://169.254.169.254/fal-ai/uso",
        // Encodings.
        "https://queue.fal.run/fal-ai%2Fuso",
        "https://queue.fal.run/fal-ai%2fuso",
        "https://queue.fal.run/fal-ai/%75so",
        "https://queue.fal.run/fal-ai/uso%00",
        "https://queue.fal.run/fal-ai/uso%0d%0ahost:evil.example",
        "https://queue.fal.run/fal-ai%5Cuso",
        "https://queue.fal.run/fal-ai/uso/%2e%2e/flux",
        "https://queue.fal.run/fal-ai/uso/..%2fflux",
        "https://queue.fal.run/%2e/fal-ai/uso",
        // Dot segments, slashes, and what a parser would normalise.
        "https://queue.fal.run/fal-ai/../fal-ai/uso",
        "https://queue.fal.run/./fal-ai/uso",
        "https://queue.fal.run/fal-ai/uso/.",
        "https://queue.fal.run/fal-ai/uso/..",
        "https://queue.fal.run//fal-ai/uso",
        "https://queue.fal.run/fal-ai//uso",
        "https://queue.fal.run/fal-ai/uso/",
        "https://queue.fal.run/fal-ai/uso/stream",
        "https://queue.fal.run/fal-ai",
        "https://queue.fal.run/",
        "https://queue.fal.run",
        "https:queue.fal.run/fal-ai/uso",
        "https:/queue.fal.run/fal-ai/uso",
        "https:///queue.fal.run/fal-ai/uso",
        "https:\\\\queue.fal.run\\fal-ai\\uso",
        "https://queue.fal.run\\fal-ai\\uso",
        "https://queue.fal.run\\@evil.example/fal-ai/uso",
        "https://queue.fal.run/fal-ai/uso#x",
        "https://queue.fal.run/fal-ai/uso https://queue.fal.run/fal-ai/uso",
        "https://queue.fal.run/fal-ai/uso, https://queue.fal.run/fal-ai/uso",
        "https://queue.fal.run/fal-\tai/uso",
        "//queue.fal.run/fal-ai/uso",
        "/fal-ai/uso",
        "fal-ai/uso",
        "null",
        "",
        // Queries.
        "https://queue.fal.run/fal-ai/uso?fal_webhook=https%3A%2F%2Fevil.example%2F",
        "https://queue.fal.run/fal-ai/uso?f%61l_webhook=https://evil.example/",
        "https://queue.fal.run/fal-ai/uso?fal_max_queue_length=1&fal_webhook=https://evil.example",
        "https://queue.fal.run/fal-ai/uso?fal_max_queue_length=-1",
        "https://queue.fal.run/fal-ai/uso?fal_max_queue_length=+1",
        "https://queue.fal.run/fal-ai/uso?fal_max_queue_length=",
        "https://queue.fal.run/fal-ai/uso?fal_max_queue_length",
        "https://queue.fal.run/fal-ai/uso?fal_jwt_token=x",
        "https://queue.fal.run/fal-ai/uso?logs=1",
        "https://fal.run/fal-ai/uso?fal_webhook=https://evil.example/",
        // Other services of the same hosts.
        "https://rest.fal.ai/tokens/",
        "https://rest.fal.ai/storage/auth/token?storage_type=fal-cdn-v3",
        "https://rest.fal.ai/storage/upload/initiate",
        "https://rest.fal.ai/storage/upload/initiate?storage_type=gcs",
        "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3&storage_type=gcs",
        "https://rest.fal.ai/storage/upload/initiate/?storage_type=fal-cdn-v3",
        "https://rest.fal.ai/storage/upload/complete-multipart?storage_type=fal-cdn-v3",
        "https://rest.fal.ai/.well-known/jwks.json",
        "https://fal.run/fal-ai/uso",
        "https://fal.run/fal-ai/uso/stream",
        "https://fal.run/fal-ai/uso/realtime",
    ] {
        attacks.push(Draft::new(target).target(target).ends(400));
    }
    for (what, tail) in [
        ("logs twice", "/status?logs=1&logs=1"),
        ("logs that is neither", "/status?logs=2"),
        ("a token in the query", "/status?fal_jwt_token=x"),
        ("a query of the result", "?logs=1"),
    ] {
        let target = format!("{SUBMIT}/requests/r-1{tail}");
        attacks.push(Draft::new(what).method("GET").target(target).ends(400));
    }
    let long = format!("{SUBMIT}?{}", "x".repeat(5000));
    attacks.push(Draft::new("a long target").target(long).ends(400));
    let wide = "https://ｑueue.fal.run/fal-ai/uso";
    attacks.push(Draft::new("wide letters").target(wide).ends(400));
    attacks.push(Draft::new("no text").target([0xff, 0xfe]).ends(400));
    attacks.push(Draft::new("no target").no_target().ends(400));
    let twice = Draft::new("two targets").header("X-Fal-Target-Url", SUBMIT);
    attacks.push(twice.ends(400));
    let other = Draft::new("two different targets");
    let other = other.header("x-fal-target-url", "https://queue.fal.run/fal-ai/flux");
    attacks.push(other.ends(400));
    attacks
}

fn callers(cookie: &str) -> Vec<Attack> {
    let token = |what: &str, token: Option<&str>| Draft::new(what).token(token).ends(401);
    let short = ALICE.get(..ALICE.len() - 1).unwrap();
    let mut attacks = vec![
        token("no token", None),
        token("an empty header", Some("")),
        token("an empty token", Some("Bearer ")),
        token("a wrong token", Some("Bearer mallorys-token-0123456789")),
        token("a part of a token", Some(&format!("Bearer {short}"))),
        token("a longer token", Some(&format!("Bearer {ALICE}0"))),
        token(
            "both tokens",
            Some(&format!("Bearer {ALICE}, Bearer {BOB}")),
        ),
        token("a token as a key", Some(&format!("Key {ALICE}"))),
        token("a key", Some("Key the-key-id:the-key-secret")),
        token("basic", Some("Basic YWxpY2U6YWxpY2VzLXRva2Vu")),
        token("a bare token", Some(ALICE)),
    ];
    let none = |what: &str| Draft::new(what).token(None);
    let forged = format!("__Host-uso_session=9999999999.{}", "0".repeat(64));
    let (expires, proof) = cookie.split_once('.').unwrap();
    let later = format!("{}9.{proof}", expires.trim_end());
    for (what, cookie) in [
        ("a forged session", forged.as_str()),
        ("a session made longer", later.as_str()),
        (
            "a token as a session",
            &format!("__Host-uso_session={ALICE}"),
        ),
        ("a session without proof", expires),
        (
            "a session of another name",
            &cookie.replace("uso_session", "session"),
        ),
        (
            "a session that a neighbouring domain can plant",
            &cookie.replace("__Host-", ""),
        ),
    ] {
        attacks.push(none(what).header("cookie", cookie).ends(401));
    }
    let twice = Draft::new("two authorizations");
    attacks.push(
        twice
            .header("authorization", format!("Bearer {BOB}"))
            .ends(401),
    );
    let in_query = format!("{PROXY_PATH}?token={ALICE}&authorization=Bearer+{ALICE}");
    attacks.push(none("a token in the query").path(&in_query).ends(401));
    let elsewhere = none("a token in other headers");
    let elsewhere = elsewhere
        .header("x-api-key", ALICE)
        .header("x-fal-token", ALICE);
    attacks.push(elsewhere.ends(401));

    for origin in [
        "https://evil.example",
        "http://app.example",
        "https://app.example.evil.example",
        "https://app.example:8443",
        "https://app.example/",
        "HTTPS://APP.EXAMPLE",
        "null",
        "*",
        "",
    ] {
        let draft = Draft::new(format!("the origin {origin:?}")).origin(origin);
        attacks.push(draft.ends(403));
    }
    let two = Draft::new("two origins").header("origin", PAGE);
    attacks.push(two.ends(403));
    let session = Draft::new("a session for another origin").path(uso_proxy::SESSION_PATH);
    attacks.push(session.origin("https://evil.example").ends(403));
    let with_session = Draft::new("another origin with a good session").token(None);
    let with_session = with_session
        .header("cookie", cookie)
        .origin("https://evil.example");
    attacks.push(with_session.ends(403));
    attacks
}

fn ids(bobs: &str) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for (whose, id) in [
        ("another caller's", bobs),
        ("an unknown", "00000000-0000-4000-8000-000000000000"),
    ] {
        for (method, tail) in [
            ("GET", ""),
            ("GET", "/status"),
            ("GET", "/status/stream"),
            ("PUT", "/cancel"),
        ] {
            let draft = Draft::new(format!("{method} {whose} request{tail}")).method(method);
            let target = format!("{SUBMIT}/requests/{id}{tail}");
            attacks.push(draft.target(target).body("").ends(404));
        }
    }
    for id in ["..", ".", "%2e%2e", "a%2fb", "a;b", "a b", ""] {
        let draft = Draft::new(format!("the id {id:?}")).method("GET");
        let target = format!("{SUBMIT}/requests/{id}/status");
        attacks.push(draft.target(target).body("").ends(400));
    }
    attacks
}

fn bodies() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for (what, body) in [
        ("no body", ""),
        ("a list", "[]"),
        ("a text", "\"input\""),
        ("a number", "7"),
        (
            "cut JSON",
            "{\"input_image_urls\":[\"https://example.org/a.png\"",
        ),
        ("two documents", "{}{}"),
        ("a form", "input_image_urls=https%3A%2F%2Fexample.org"),
    ] {
        attacks.push(Draft::new(what).body(body).ends(400));
    }
    for (what, body) in [
        (
            "an underscore in a side",
            r#"{"image_size":{"width":"1_4142","height":"1_4142"}}"#,
        ),
        ("an underscore in a number", r#"{"num_images":"1_0"}"#),
        ("a number as text", r#"{"num_images":"4"}"#),
        ("a number in blanks", r#"{"num_images":" 4"}"#),
        ("a number with a fraction", r#"{"num_images":1.5}"#),
        ("a number below zero", r#"{"num_images":-4}"#),
        ("a number as truth", r#"{"num_images":true}"#),
        (
            "a vast number",
            r#"{"image_size":{"width":1e400,"height":1}}"#,
        ),
        ("a number in a list", r#"{"num_images":[4]}"#),
        ("an unknown preset", r#"{"image_size":"SQUARE_HD"}"#),
        ("a size in a list", r#"{"image_size":[14142,14142]}"#),
        (
            "a size as text",
            r#"{"image_size":"{\"width\":14142,\"height\":14142}"}"#,
        ),
        ("truth as text", r#"{"keep_size":"true"}"#),
        ("truth as a number", r#"{"keep_size":1}"#),
        (
            "two sizes",
            r#"{"image_size":"square","image_size":{"width":14142,"height":14142}}"#,
        ),
        ("two widths", r#"{"image_size":{"width":8,"width":14142}}"#),
        ("two numbers", r#"{"num_images":1,"num_images":4}"#),
        (
            "two numbers, one in disguise",
            r#"{"num_images":1,"num\u005fimages":4}"#,
        ),
        ("two truths", r#"{"keep_size":false,"keep_size":true}"#),
    ] {
        attacks.push(Draft::new(what).body(body).ends(400));
    }
    // Each of these costs more than a day's limit, however it is written.
    for (what, body) in [
        (
            "a dear size",
            r#"{"image_size":{"width":14142,"height":14142}}"#,
        ),
        (
            "a dear size in floats",
            r#"{"image_size":{"width":1.4142e4,"height":14142.0}}"#,
        ),
        ("a dear number", r#"{"num_images":4000000000}"#),
        (
            "more than can be counted",
            r#"{"num_images":18446744073709551615}"#,
        ),
    ] {
        attacks.push(Draft::new(what).body(body).ends(403));
    }
    // Small on the wire, large as a tree of values.
    for filler in ["[],", "{},", "\"\","] {
        let list = filler.repeat((4 << 20) / filler.len() - 64);
        let amplifying = format!("{{\"image_size\":[{list}0],\"a\":0}}");
        let what = format!("a large tree of {filler}");
        attacks.push(Draft::new(what).body(amplifying).ends(400));
    }
    let packed = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3];
    let packed = Draft::new("a packed body").body(packed);
    attacks.push(packed.header("content-encoding", "gzip").ends(400));
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    attacks.push(Draft::new("a deep body").body(nested).ends(400));
    let announced = Draft::new("a large body, announced").length("999999999999");
    attacks.push(announced.ends(413));
    let large = format!("{{\"prompt\":\"{}\"}}", "x".repeat(5 << 20));
    attacks.push(Draft::new("a large body").body(&large).ends(413));
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let chunked = Draft::new("a large body in chunks")
        .length("")
        .body(chunked);
    attacks.push(chunked.header("transfer-encoding", "chunked").ends(413));
    let file = format!("{{\"file_name\":\"{}\"}}", "x".repeat(20_000));
    let upload = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3";
    attacks.push(
        Draft::new("a large upload request")
            .target(upload)
            .body(file)
            .ends(413),
    );
    attacks.push(
        Draft::new("an upload of nothing")
            .target(upload)
            .body("")
            .ends(400),
    );

    for (name, value) in [
        ("x-fal-store-io", "0"),
        (
            "X-Fal-Object-Lifecycle",
            "{\"expiration_duration_seconds\":null}",
        ),
        ("x-fal-object-lifecycle-preference", "{}"),
        ("x-fal-tags", "team=other"),
        ("x-fal-user-id", "another-team"),
        ("x-fal-retry-config", "{\"server_error\":{\"retries\":99}}"),
    ] {
        attacks.push(Draft::new(name).header(name, value).ends(400));
    }
    let twice = Draft::new("two start timeouts").header("x-fal-request-timeout", "30");
    attacks.push(twice.header("x-fal-request-timeout", "3000").ends(400));
    attacks
}

/// Framing that a careless server takes for two requests, and one that is none.
fn framing() -> Vec<Attack> {
    let smuggled = format!(
        "POST {PROXY_PATH} HTTP/1.1\r\nhost: proxy\r\nauthorization: Bearer {ALICE}\r\n\
         x-fal-target-url: {SUBMIT}\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let chunked = format!("0\r\n\r\n{smuggled}");
    let sized = smuggled.len().to_string();
    let draft = |what: &str| Draft::new(what).token(None).body(&smuggled);
    vec![
        draft("a request in a body").ends(401),
        draft("a length after chunks")
            .stays()
            .length("")
            .body(&chunked)
            .header("transfer-encoding", "chunked")
            .header("content-length", &sized)
            .ends(401),
        draft("chunks after a length")
            .stays()
            .body(&chunked)
            .header("transfer-encoding", "chunked")
            .ends(401),
        draft("another encoding last")
            .length("")
            .body(&chunked)
            .header("transfer-encoding", "chunked, identity")
            .ends(400),
        draft("a misspelt encoding")
            .length("")
            .body(&chunked)
            .header("transfer-encoding", "xchunked")
            .ends(400),
        draft("two lengths").header("content-length", "0").ends(400),
        draft("a list of lengths")
            .length(&format!("{sized}, {sized}"))
            .ends(400),
        draft("a negative length").length("-1").ends(400),
        draft("a signed length")
            .length(&format!("+{sized}"))
            .ends(400),
        Draft::new("a header in a header")
            .header("x-a", "b\nx-fal-target-url: x")
            .ends(400),
        Draft::new("a lone return in a header")
            .header("x-a", "b\rc: d")
            .ends(400),
        Draft::new("a zero in a header")
            .target(b"https://queue.fal.run/fal-ai/uso\0")
            .ends(400),
        Draft::new("a blank before the colon")
            .header("x-fal-tags ", "a=b")
            .ends(400),
        Draft::new("a folded header")
            .header("x-a", "b\r\n x-fal-target-url: c")
            .ends(400),
        Draft::new("an absolute form").path(SUBMIT).ends(404),
        Draft::new("an absolute form of another host")
            .path("http://evil.example/fal-ai/uso")
            .ends(404),
        Draft::new("a tunnel")
            .method("CONNECT")
            .path("queue.fal.run:443")
            .ends(404),
        Draft::new("a large head")
            .header("x-a", "x".repeat(64 << 10))
            .ends(431),
        Draft::new("another path")
            .path("/queue/fal-ai/uso")
            .ends(404),
        Draft::new("a path below")
            .path(&format!("{PROXY_PATH}/fal-ai/uso"))
            .ends(404),
        Draft::new("a path in dots")
            .path(&format!("/x/..{PROXY_PATH}"))
            .ends(404),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hostile_request_reaches_the_service() {
    let served = Served::configured(
        Rig::plain_builder(),
        |config| config,
        |settings| settings.requests_per_minute(100_000),
    )
    .await;
    let bobs = served.bought(BOB, &input(7)).await;
    let cookie = cookie(&served).await;
    let honest = served.emulator.requests().len();

    let mut attacks = targets();
    attacks.extend(callers(&cookie));
    attacks.extend(ids(&bobs));
    attacks.extend(bodies());
    attacks.extend(framing());
    assert!(attacks.len() > 200, "{}", attacks.len());
    for attack in &attacks {
        let answer = tokio::time::timeout(PATIENCE, send(&served, &attack.bytes)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{}: no answer", attack.what));
        let answers = answer.matches("HTTP/1.1 ").count();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        assert_eq!(
            (status, answers),
            (Some(attack.expected), 1),
            "{}: {answer}",
            attack.what
        );
        assert_eq!(
            served.emulator.requests().len(),
            honest,
            "{} reached the service",
            attack.what
        );
        for secret in ["the-key-secret", ALICE, BOB] {
            assert!(!answer.contains(secret), "{}: {answer}", attack.what);
        }
    }
    assert_eq!(served.emulator.ledger().purchases().len(), 1);
    // And the honest one, written by the same hand, does reach it.
    let answer = send(&served, &Draft::new("honest").ends(200).bytes).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(served.emulator.requests().len(), honest + 1);
}

/// What holds a connection and never asks for anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_says_nothing_is_closed() {
    let served = Served::limited(
        Rig::plain_builder(),
        |config| config,
        |settings| settings,
        Limits {
            head_within: Duration::from_millis(50),
            ..Limits::default()
        },
    )
    .await;
    let half = format!("POST {PROXY_PATH} HTTP/1.1\r\nhost: pro");
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let idle = "GET / HTTP/1.1\r\nhost: proxy\r\n\r\n";
    for (sent, answered) in [("", false), (&half, false), (preface, true), (idle, true)] {
        let answer = tokio::time::timeout(PATIENCE, send(&served, sent.as_bytes())).await;
        let answer = answer.unwrap_or_else(|_| panic!("{sent:?} is not closed"));
        assert!(answered || answer.is_empty(), "{sent:?}: {answer}");
        assert!(!answer.contains("HTTP/2"), "{answer}");
    }
    let honest = Draft::new("honest").ends(200);
    assert!(
        send(&served, &honest.bytes)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_end_is_answered_all_the_same() {
    let served = Served::configured(
        Rig::plain_builder(),
        |config| config,
        |settings| settings.body_within(Duration::from_millis(50)),
    )
    .await;
    let slow = Draft::new("a slow body").length("1000").ends(408);
    let answer = tokio::time::timeout(PATIENCE, send(&served, &slow.bytes)).await;
    let answer = answer.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(served.emulator.requests().is_empty());
}

/// Many bodies that never end take no more memory than their caller's share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_cannot_have_all_the_memory() {
    let served = Served::configured(
        Rig::plain_builder(),
        |config| config,
        |settings| settings.requests_per_minute(1_000_000),
    )
    .await;
    let nearly = vec![b' '; (4 << 20) - 1];
    let endless = Draft::new("an endless body").length("4194304").body(nearly);
    let bytes = endless.ends(408).bytes;
    // Four fit into the share, so that a fifth is refused, whichever is read last.
    let bodies: Vec<_> = (0..5).map(|_| Box::pin(send(&served, &bytes))).collect();
    let first = futures_util::future::select_all(bodies);
    let (refused, _, open) = tokio::time::timeout(PATIENCE, first).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains("memory"), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after"), "{refused}");
    let no_object = |token: &str| {
        let request = served.request("POST", token, SUBMIT);
        super::Answer::of(request.body("nothing"))
    };
    assert_eq!(no_object(BOB).await.status, 400, "others have theirs");
    drop(open);
    let again = async { while no_object(ALICE).await.status != 400 {} };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert!(served.emulator.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_cannot_have_all_the_connections() {
    let served = Served::configured(
        Rig::plain_builder().inference_time(Duration::from_secs(600)),
        |config| config,
        |settings| settings.requests_at_once(2).requests_per_minute(1_000_000),
    )
    .await;
    let id = served.bought(ALICE, &input(1)).await;
    let stream = || served.request("GET", ALICE, &super::follow_up(&id, "/status/stream"));
    let mut open = vec![
        stream().send().await.unwrap(),
        stream().send().await.unwrap(),
    ];
    // Let through, it would stay open.
    let third = tokio::time::timeout(PATIENCE, super::Answer::of(stream())).await;
    let third = third.unwrap();
    assert_eq!(third.status, 429, "{third:?}");
    assert_eq!(third.header("retry-after"), Some("1"));
    assert_eq!(served.get(ALICE, &id, "/status").await.status, 429);
    served.bought(BOB, &input(2)).await;
    open.pop();
    let again = async { while served.get(ALICE, &id, "/status").await.status == 429 {} };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

async fn cookie(served: &Served) -> String {
    let open = Draft::new("a session").path(uso_proxy::SESSION_PATH);
    let answer = send(served, &open.no_target().body("").ends(204).bytes).await;
    let cookie = answer.split("set-cookie: ").nth(1).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Sends the bytes on a connection of their own and reads to its end.
async fn send(served: &Served, bytes: &[u8]) -> String {
    let mut connection = served.connect().await;
    // It may be refused before all of it was sent.
    let _ = connection.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
