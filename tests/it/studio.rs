//! The studio, as its page, other pages and attackers see it.

mod browser;
mod closing;
mod files;
mod hostile;
mod jobs;
mod page;
mod retry;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uso_cli::serve::{Limits, listen, serve};
use uso_emulator::EmulatorBuilder;
use uso_journal::Journal;
use uso_studio::{Settings, Studio};
use uso_tests::rig::{Rig, content, style, until_async};

/// Longest time that anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A studio before an emulator.
struct Served {
    rig: Rig,
    address: SocketAddr,
    token: String,
    cookie: String,
    change: String,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Served {
    async fn plain() -> Self {
        Self::of(Rig::plain_builder(), Settings::new()).await
    }

    async fn of(builder: EmulatorBuilder, settings: Settings) -> Self {
        let rig = Rig::of(builder).await;
        Self::again(rig, tempfile::tempdir().unwrap(), settings).await
    }

    /// A studio with the journal in this folder.
    async fn again(rig: Rig, folder: tempfile::TempDir, settings: Settings) -> Self {
        let journal = Journal::open(folder.path().join("journal.db")).unwrap();
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let studio = Studio::open(rig.client.clone(), journal, address, settings).unwrap();
        let url = studio.url();
        let token = url.split_once('#').unwrap().1.to_owned();
        let (stop, stopped) = oneshot::channel::<()>();
        let (router, known) = (studio.router(), studio.clone());
        let proves = move |headers: &http::HeaderMap| known.is_known(headers);
        let serving = tokio::spawn(serve(
            listener,
            router,
            Limits::default(),
            proves,
            async move {
                let _ = stopped.await;
                studio.close().await;
            },
        ));
        let client = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
        let client = client.build().unwrap();
        let mut served = Self {
            rig,
            address,
            token,
            cookie: String::new(),
            change: String::new(),
            client,
            stop: Some(stop),
            serving,
            folder,
        };
        served.enter().await;
        served
    }

    /// Exchanges the token, as the page does.
    async fn enter(&mut self) {
        let exchange = self
            .bare("POST", "/api/session")
            .header("x-uso-token", &self.token);
        let response = json_body(exchange, &json!({})).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let cookie = response.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        self.cookie = cookie.split(';').next().unwrap().to_owned();
        let told = value(response).await;
        self.change = told["change_token"].as_str().unwrap().to_owned();
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    fn bare(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.origin());
        let request = self.client.request(method.parse().unwrap(), url);
        request.header("origin", self.origin())
    }

    async fn read(&self, path: &str) -> reqwest::Response {
        let request = self.bare("GET", path).header("cookie", &self.cookie);
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.read(path).await;
        assert_eq!(response.status(), 200, "{path}");
        value(response).await
    }

    fn changing(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.bare("POST", path).header("cookie", &self.cookie);
        request.header("x-uso-token", &self.change)
    }

    /// The status and the JSON of a change.
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = json_body(self.changing(path), body).send().await.unwrap();
        (response.status().as_u16(), value(response).await)
    }

    /// Takes a picture in and gives its slot.
    async fn picture(&self, file: &Path) -> Value {
        let bytes = std::fs::read(file).unwrap();
        let request = self
            .changing("/api/pictures")
            .header("content-type", "image/jpeg");
        let response = request.body(bytes).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let told = value(response).await;
        json!({ "picture": told["picture"] })
    }

    /// A draft that restyles the project's picture.
    async fn draft(&self) -> Value {
        json!({
            "mode": "restyle",
            "content": self.picture(&content()).await,
            "style": self.picture(&style()).await,
            "size": "square",
            "seed": "7",
        })
    }

    /// Presses the button and gives the job.
    async fn buy(&self, key: u128, draft: &Value) -> (u16, Value) {
        let order = json!({ "key": format!("{key:032x}"), "draft": draft, "at_most": 1_000_000 });
        self.post("/api/jobs", &order).await
    }

    /// The job once it is in this state.
    async fn until(&self, id: &Value, state: &str) -> Value {
        let path = format!("/api/jobs/{}", id.as_str().unwrap());
        let mut job = Value::Null;
        let is_reached = async || {
            job = self.get(&path).await;
            job["state"] == state && job["in_work"] == false
        };
        until_async(&format!("{id} is {state}"), is_reached).await;
        job
    }

    /// Waits until the service works on the job.
    async fn running(&self, id: &str) {
        let path = format!("/api/jobs/{id}");
        let is_running = async || self.get(&path).await["live"]["phase"] == "running";
        until_async("the job runs", is_running).await;
    }

    /// Stops the server, and gives what outlives it.
    async fn stop(mut self) -> (Rig, tempfile::TempDir) {
        let _ = self.stop.take().unwrap().send(());
        self.serving.await.unwrap();
        (self.rig, self.folder)
    }
}

fn json_body(request: reqwest::RequestBuilder, body: &Value) -> reqwest::RequestBuilder {
    let request = request.header("content-type", "application/json");
    request.body(body.to_string())
}

async fn value(response: reqwest::Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Copies the rows of a journal so many times, each under a key of its own.
fn copy_rows(database: &rusqlite::Connection, count: u64) {
    let columns = database.prepare("SELECT * FROM job").unwrap();
    let columns = columns.column_names();
    let copied: Vec<&str> = columns
        .into_iter()
        .filter(|name| !matches!(*name, "id" | "key"))
        .collect();
    let copied = copied.join(", ");
    let sql = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count}) \
         INSERT INTO job (key, {copied}) SELECT 'row-' || n || '-', {copied} FROM job, number"
    );
    assert_eq!(database.execute(&sql, ()).unwrap() as u64, count);
}
