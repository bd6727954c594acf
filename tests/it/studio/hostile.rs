//! Requests that are out to hurt: each is refused or harmless, and none buys.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uso_studio::Settings;
use uso_tests::rig::Rig;

use super::{PATIENCE, Served};

/// A request that differs in one way from an honest purchase.
struct Attack {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    expected: u16,
}

struct Honest {
    host: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Honest {
    fn attack(&self, what: &'static str, expected: u16) -> Attack {
        Attack {
            what,
            method: "POST",
            path: "/api/jobs".to_owned(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            expected,
        }
    }
}

impl Attack {
    fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn at(mut self, method: &'static str, path: &str) -> Self {
        self.method = method;
        self.path = path.to_owned();
        self
    }

    fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    fn bytes(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self
            .headers
            .iter()
            .any(|(name, _)| name == "content-length" || name == "transfer-encoding")
        {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        format!("{text}connection: close\r\n\r\n{}", self.body)
    }
}

async fn respond(served: &Served, bytes: &str) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    // A server that closes early may reset the connection.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut response))
        .await
        .unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

fn status(response: &str) -> u16 {
    let code = response
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok());
    code.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn every_hostile_request_is_refused_and_none_buys() {
    let served = Served::of(
        Rig::plain_builder(),
        Settings::new()
            .allow_host("studio.lan")
            .allow_host("https://studio.example"),
    )
    .await;
    let draft = served.draft().await;
    let order = json!({ "key": "0123456789abcdef", "draft": draft, "at_most": 1_000_000 });
    let host = served.address.to_string();
    let port = served.address.port();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let honest = Honest {
        host: host.clone(),
        headers: vec![
            pair("host", &host),
            pair("origin", &served.origin()),
            pair("cookie", &served.cookie),
            pair("x-uso-token", &served.change),
            pair("content-type", "application/json"),
        ],
        body: order.to_string(),
    };
    // Of another studio, so that both are well formed.
    let other = Served::plain().await;
    let foreign = |what, expected| honest.attack(what, expected);
    let rebound = format!("rebound.example:{port}");
    let form = "content-type";
    let attacks = vec![
        foreign("an evil host", 421).with("host", "evil.example"),
        foreign("a rebinding name with our port", 421).with("host", &rebound).with("origin", &format!("http://{rebound}")),
        foreign("a host that begins with ours", 421).with("host", &format!("127.0.0.1.evil.example:{port}")),
        foreign("a host that ends with ours", 421).with("host", &format!("evil-localhost:{port}")),
        foreign("our host with another port", 421).with("host", "127.0.0.1:1"),
        foreign("our host without a port", 421).with("host", "127.0.0.1"),
        foreign("an allowed host with another port", 421).with("host", "studio.lan:1"),
        foreign("an https host with our port", 421).with("host", &format!("studio.example:{port}")),
        foreign("an https host with another origin", 403).with("host", "studio.example").with("origin", "https://evil.example"),
        foreign("an https host by http", 403).with("host", "studio.example").with("origin", "http://studio.example"),
        foreign("an https host from our http origin", 403).with("host", "studio.example"),
        foreign("an https origin at our http host", 403).with("origin", "https://studio.example"),
        foreign("no host", 421).without("host"),
        foreign("two hosts", 421).and("host", "evil.example"),
        foreign("an evil host in the target", 421).at("POST", "http://evil.example/api/jobs"),
        foreign("a host with a user", 421).with("host", &format!("a@{host}")),
        foreign("another loopback address", 421).with("host", &format!("127.0.0.2:{port}")),
        foreign("no origin", 403).without("origin"),
        foreign("a foreign origin", 403).with("origin", "https://evil.example"),
        foreign("the null origin", 403).with("origin", "null"),
        foreign("our origin by https", 403).with("origin", &format!("https://{host}")),
        foreign("our origin with a path", 403).with("origin", &format!("http://{host}/")),
        foreign("another of our names as origin", 403).with("origin", &format!("http://localhost:{port}")),
        foreign("two origins", 403).and("origin", "https://evil.example"),
        foreign("a request of another site", 403).and("sec-fetch-site", "cross-site"),
        foreign("a request of a sibling site", 403).and("sec-fetch-site", "same-site"),
        foreign("no cookie", 401).without("cookie"),
        foreign("the cookie of another studio", 401).with("cookie", &other.cookie),
        foreign("the value of another studio under our cookie's name", 401)
            .with("cookie", &format!("uso_studio_{port}={}", other.cookie.split_once('=').unwrap().1)),
        foreign("no token", 401).without("x-uso-token"),
        foreign("an empty token", 401).with("x-uso-token", ""),
        foreign("an old token", 401).with("x-uso-token", &other.change),
        foreign("the token of the fragment in place of the change's", 401).with("x-uso-token", &served.token),
        foreign("two tokens", 401).and("x-uso-token", &served.change),
        foreign("a session by an old token", 401).at("POST", "/api/session").with("x-uso-token", &other.token),
        foreign("a session by the change's token", 401).at("POST", "/api/session"),
        foreign("a session from another origin", 403).at("POST", "/api/session")
            .with("x-uso-token", &served.token).with("origin", "https://evil.example"),
        foreign("text/plain", 415).with(form, "text/plain"),
        foreign("a form", 415).with(form, "application/x-www-form-urlencoded"),
        foreign("multipart", 415).with(form, "multipart/form-data; boundary=x"),
        foreign("no type", 415).without(form),
        foreign("two types", 415).and(form, "text/plain"),
        foreign("a picture as text/html", 415).at("POST", "/api/pictures").with(form, "text/html"),
        foreign("a page as a picture", 415).at("POST", "/api/pictures")
            .with(form, "image/png").body("<script>alert(1)</script>"),
        foreign("PUT", 405).at("PUT", "/api/jobs"),
        foreign("DELETE", 405).at("DELETE", "/api/jobs/j1"),
        foreign("OPTIONS, as a preflight", 405).at("OPTIONS", "/api/jobs").and("access-control-request-method", "POST"),
        foreign("TRACE", 405).at("TRACE", "/"),
        foreign("a body in place of JSON", 400).body("{"),
        foreign("a field that is unknown", 400).body(r#"{"key":"0123456789abcdef","draft":{"mode":"restyle","webhook":"https://evil.example"},"at_most":1}"#),
        foreign("a key that is a path", 400).body(&order.to_string().replace("0123456789abcdef", "../../../../x")),
        foreign("a body of a megabyte", 413).body(&" ".repeat(1 << 20)),
        foreign("JSON of great depth", 400).body(&"[".repeat(100_000)),
        foreign("a doubled slash", 404).at("POST", "//api/jobs"),
        foreign("a path with dots", 404).at("POST", "/x/../api/jobs"),
        foreign("an encoded path", 404).at("POST", "/%61pi/jobs"),
        foreign("an upper-case path", 404).at("POST", "/API/JOBS"),
        foreign("an unknown verb", 404).at("POST", "/api/jobs/j1/verbs/buy").body("{}"),
        foreign("a job that is a path", 404).at("GET", "/api/jobs/..%2f..%2ftoken").body(""),
        foreign("a picture that is a path", 404).at("GET", "/api/pictures/..%2ftoken").body(""),
        foreign("the token as a picture", 404).at("GET", "/api/pictures/token").body(""),
        foreign("a read without the cookie", 401).at("GET", "/api/jobs").without("cookie").body(""),
        foreign("a read of a foreign page", 403).at("GET", "/api/jobs").with("origin", "https://evil.example").body(""),
        foreign("a picture in a foreign page", 403).at("GET", "/api/jobs/j1/pictures/1").without("origin").and("sec-fetch-site", "cross-site").body(""),
        foreign("a purchase by GET", 200).at("GET", "/api/jobs?key=0123456789abcdef&at_most=1").body(""),
        foreign("an endless header", 431).and("x-long", &"x".repeat(64 << 10)),
    ];
    assert!(attacks.len() >= 30);
    assert!(
        attacks
            .iter()
            .any(|attack| attack.headers[0].1 == honest.host)
    );
    for attack in &attacks {
        let response = respond(&served, &attack.bytes()).await;
        assert_eq!(
            status(&response),
            attack.expected,
            "{}: {response}",
            attack.what
        );
        let head = response.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(
            !head.contains("access-control-allow"),
            "{}: {head}",
            attack.what
        );
        if attack.expected != 400 && attack.expected != 431 {
            assert!(
                head.contains("frame-ancestors 'none'"),
                "{}: {head}",
                attack.what
            );
            assert!(
                head.contains("x-frame-options: deny"),
                "{}: {head}",
                attack.what
            );
        }
    }
    let jobs = served.get("/api/jobs").await;
    assert_eq!(jobs["jobs"], json!([]), "no attack made a row");
    assert!(
        served.rig.emulator.requests().is_empty(),
        "none reached the service"
    );

    // The request that all of them differ from buys.
    let response = respond(&served, &honest.attack("honest", 201).bytes()).await;
    assert_eq!(status(&response), 201, "{response}");
    served.until(&json!("j1"), "done").await;
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_behind_a_tls_server_has_a_session_and_its_cookie_leaves_by_tls_only() {
    let settings = Settings::new().allow_host("https://Studio.example");
    let served = Served::of(Rig::plain_builder(), settings).await;
    let ask = async |method: &str, path: &str, more: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\norigin: https://studio.example\r\n{more}content-length: 2\r\n\
             content-type: application/json\r\nconnection: close\r\n\r\n{{}}"
        );
        respond(&served, &request).await
    };
    for host in ["studio.example", "studio.example:443"] {
        let token = format!("host: {host}\r\nx-uso-token: {}\r\n", served.token);
        let session = ask("POST", "/api/session", &token).await;
        assert_eq!(status(&session), 200, "{session}");
        let cookie = session
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.unwrap();
        assert!(cookie.contains("; Secure"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        let read = format!("host: {host}\r\ncookie: {pair}\r\n");
        assert_eq!(status(&ask("GET", "/api/jobs", &read).await), 200);
    }
    // Without TLS in front, a browser would not keep such a cookie.
    let exchange = served
        .bare("POST", "/api/session")
        .header("x-uso-token", &served.token);
    let plain = super::json_body(exchange, &json!({})).send().await.unwrap();
    let cookie = plain.headers()["set-cookie"].to_str().unwrap();
    assert!(!cookie.contains("Secure"), "{cookie}");
}

/// A browser sends the cookie to the servers of other users on other ports of this machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_alone_gives_no_value_with_which_to_spend() {
    let served = Served::plain().await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    served.until(&job["id"], "done").await;
    let picture = draft["content"]["picture"].as_str().unwrap();
    for path in [
        "/",
        "/app.js",
        "/api/options",
        "/api/session",
        "/api/jobs",
        "/api/jobs/j1",
        "/api/jobs/j1/content",
        "/api/jobs/j1/pictures/1",
        "/api/changes",
        &format!("/api/pictures/{picture}"),
    ] {
        let response = served.read(path).await;
        let headers = format!("{:?}", response.headers());
        let body = response.bytes().await.unwrap();
        for secret in [&served.change, &served.token] {
            assert!(!headers.contains(secret), "{path}: {headers}");
            let holds = body
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!holds, "{path}");
        }
    }
    let exchange = served
        .bare("POST", "/api/session")
        .header("cookie", &served.cookie);
    let response = super::json_body(exchange, &json!({})).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let text = response.text().await.unwrap();
    assert!(!text.contains(&served.change), "{text}");
    assert_eq!(served.rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_are_markup_stay_texts() {
    let served = Served::plain().await;
    let prompt = "</script><img src=x onerror=alert(1)>\u{202e}\u{0}";
    let draft = json!({
        "mode": "reimagine", "content": served.picture(&uso_tests::rig::content()).await,
        "prompt": prompt, "size": "square",
    });
    let (status, job) = served.buy(1, &draft).await;
    assert_eq!(status, 201, "{job}");
    let done = served.until(&job["id"], "done").await;
    assert_eq!(done["draft"]["prompt"], prompt);
    let response = served.read("/api/jobs").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_silent_connections_keeps_no_page_waiting() {
    let served = Served::plain().await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream
            .write_all(b"POST /api/jobs HTTP/1.1\r\nhost: x")
            .await
            .unwrap();
        silent.push(stream);
    }
    let waiting = served.get("/api/options");
    let options = tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap();
    assert_eq!(options["service"], "other");
}
