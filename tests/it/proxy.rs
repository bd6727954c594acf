//! The proxy, as pages and attackers see it.

mod crowd;
mod hostile;
pub(crate) mod official;
mod page;
mod price;
mod purchases;
mod unrecorded;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uso::{ApiKey, BaseUrls, Config};
use uso_cli::serve::{Limits, serve};
use uso_emulator::{Emulator, EmulatorBuilder};
use uso_proxy::{
    Caller, Guard, MemoryRecords, NotBegun, PROXY_PATH, Proxy, Purchase, PurchaseLimits, Recording,
    Records, RecordsError, Settings, SharedTokens,
};
use uso_tests::rig::{Rig, until};
use uso_transport::{Ticket, Transport};

pub(crate) const KEY: &str = "the-key-id:the-key-secret";
pub(crate) const ALICE: &str = "alices-token-0123456789";
pub(crate) const BOB: &str = "bobs-token-0123456789";
/// The names of their callers.
pub(crate) const ALICES_NAME: &str = "token-a51b1d51a449eb6e";
pub(crate) const BOBS_NAME: &str = "token-6fcb1ecc09104f0a";
const PAGE: &str = "https://app.example";
const SUBMIT: &str = "https://queue.fal.run/fal-ai/uso";

/// A proxy before an emulator that takes its key and no other.
pub(crate) struct Served {
    emulator: Emulator,
    pub(crate) proxy: Proxy,
    address: SocketAddr,
    records: Arc<Mutex<Vec<Purchase>>>,
    faults: Arc<Faults>,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Served {
    async fn plain() -> Self {
        Self::of(Rig::plain_builder()).await
    }

    pub(crate) async fn of(builder: EmulatorBuilder) -> Self {
        Self::configured(builder, |config| config, |settings| settings).await
    }

    async fn configured(
        builder: EmulatorBuilder,
        configure: impl FnOnce(Config) -> Config,
        set: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        Self::limited(builder, configure, set, Limits::default()).await
    }

    async fn limited(
        builder: EmulatorBuilder,
        configure: impl FnOnce(Config) -> Config,
        set: impl FnOnce(Settings) -> Settings,
        limits: Limits,
    ) -> Self {
        let emulator = builder.key(KEY).start().await.unwrap();
        let bases = BaseUrls::single_origin(&emulator.origin()).unwrap();
        let config = configure(Config::new(ApiKey::new(KEY).unwrap(), bases));
        let records = Arc::new(Mutex::new(Vec::new()));
        let settings = Settings::new().allow_origin(PAGE).unwrap();
        let observed = Observed::new(&records);
        let faults = Arc::clone(&observed.faults);
        let settings = settings.records(observed);
        let tokens = SharedTokens::new([ALICE, BOB]).unwrap();
        let check = tokens.clone();
        let proxy = Proxy::new(
            Transport::new(config).unwrap(),
            set(settings),
            move |headers: HeaderMap| std::future::ready(check.caller(&headers)),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = uso_proxy::stand_alone(&proxy, &tokens);
        let closing = proxy.clone();
        let proves = move |headers: &HeaderMap| tokens.caller(headers).is_some();
        let serving = tokio::spawn(serve(listener, router, limits, proves, async move {
            let _ = stopped.await;
            closing.close().await;
        }));
        Self {
            emulator,
            proxy,
            address,
            records,
            faults,
            client: client(),
            stop: Some(stop),
            serving,
        }
    }

    /// A request as the official client makes it.
    fn request(&self, method: &str, token: &str, target: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{PROXY_PATH}", self.address);
        self.client
            .request(method.parse().unwrap(), url)
            .header("x-fal-target-url", target)
            .header("authorization", format!("Bearer {token}"))
            .header("origin", PAGE)
    }

    pub(crate) fn submit(&self, token: &str, input: &Value) -> reqwest::RequestBuilder {
        self.request("POST", token, SUBMIT)
            .header("content-type", "application/json")
            .body(input.to_string())
    }

    /// Buys a job and gives its id.
    async fn bought(&self, token: &str, input: &Value) -> String {
        let answer = Answer::of(self.submit(token, input)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["request_id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, token: &str, id: &str, tail: &str) -> Answer {
        Answer::of(self.request("GET", token, &follow_up(id, tail))).await
    }

    /// A connection whose bytes are the test's own.
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The recorded purchases; waits for this many, since a record may come after the answer.
    pub(crate) async fn records(&self, count: usize) -> Vec<Purchase> {
        let enough = async {
            loop {
                let records = self.records.lock().unwrap().clone();
                if records.len() >= count {
                    return records;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap()
    }

    /// Waits until the emulator has seen this many requests.
    async fn seen(&self, count: usize) {
        let enough = async {
            while self.emulator.requests().len() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap();
    }
}

/// Faults of records while they are set.
#[derive(Default)]
struct Faults {
    /// No outcome can be recorded.
    forgets: AtomicBool,
    /// A purchase that has begun may not be sent.
    withholds: AtomicBool,
    begins: Gate,
    ends: Gate,
}

/// A step of the records, which can be held up.
#[derive(Default)]
struct Gate {
    is_shut: AtomicBool,
    is_reached: AtomicBool,
}

impl Gate {
    fn shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
    }

    fn open(&self) {
        self.is_shut.store(false, Ordering::Relaxed);
    }

    async fn pass(&self) {
        self.is_reached.store(true, Ordering::Relaxed);
        while self.is_shut.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a step is held up, or has passed.
    async fn reached(&self) {
        let is_reached = || self.is_reached.load(Ordering::Relaxed);
        until("the step of the records", is_reached).await;
    }
}

/// Records in memory that show the purchases that have ended.
pub(crate) struct Observed {
    memory: MemoryRecords,
    ended: Arc<Mutex<Vec<Purchase>>>,
    faults: Arc<Faults>,
}

impl Observed {
    pub(crate) fn new(ended: &Arc<Mutex<Vec<Purchase>>>) -> Self {
        Self {
            memory: MemoryRecords::new(),
            ended: Arc::clone(ended),
            faults: Arc::default(),
        }
    }
}

impl Records for Observed {
    fn begin<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<Option<Guard>, NotBegun>> {
        let begun = self.memory.begin(purchase, limits);
        let faults = Arc::clone(&self.faults);
        Box::pin(async move {
            begun.await?;
            faults.begins.pass().await;
            let guard: Guard = Box::new(move || !faults.withholds.load(Ordering::Relaxed));
            Ok(Some(guard))
        })
    }

    fn end<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        if self.faults.forgets.load(Ordering::Relaxed) {
            let error = RecordsError("no space is left".to_owned());
            return Box::pin(std::future::ready(Err(error)));
        }
        Box::pin(async move {
            self.faults.ends.pass().await;
            let ended = self.memory.end(purchase, limits).await;
            self.ended.lock().unwrap().push(purchase.clone());
            ended
        })
    }

    fn received<'a>(&'a self, purchase: &'a Purchase) -> Recording<'a, ()> {
        self.memory.received(purchase)
    }

    fn owns<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
    ) -> Recording<'a, Result<bool, RecordsError>> {
        self.memory.owns(caller, ticket)
    }

    fn adopt<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        self.memory.adopt(caller, ticket, limits)
    }

    fn unknown(&self) -> Recording<'_, Result<Vec<Purchase>, RecordsError>> {
        self.memory.unknown()
    }
}

/// A client that shares nothing with the project's own.
fn client() -> reqwest::Client {
    let builder = crate::emulator::http(rustls::RootCertStore::empty(), &[]);
    builder.build().unwrap()
}

/// An answer of the proxy's.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn follow_up(id: &str, tail: &str) -> String {
    format!("{SUBMIT}/requests/{id}{tail}")
}

fn input(seed: u64) -> Value {
    json!({
        "input_image_urls": ["https://example.org/content.png"],
        "prompt": "a lighthouse in ink",
        "image_size": { "width": 96, "height": 64 },
        "seed": seed,
    })
}

/// A submit of Alice's as its bytes go over the wire.
fn raw_submit(input: &Value) -> Vec<u8> {
    let body = input.to_string();
    let head = format!(
        "POST {PROXY_PATH} HTTP/1.1\r\nhost: proxy\r\nauthorization: Bearer {ALICE}\r\n\
         x-fal-target-url: {SUBMIT}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    head.into_bytes()
}

/// Long enough for anything here to happen; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);
