#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
//! Measurements of the guide to speed, through the proxy: `cargo bench -p uso-tests --bench proxy [SECONDS]`.
//!
//! The service and `uso proxy` run as processes of their own. Two hundred callers, each with a token
//! and a connection pool of its own, do what pages do: submit, ask for the status twice a second or
//! follow it as a stream, fetch the result, and look whether it is theirs. The same callers then do
//! the same without the proxy, so that the difference is the proxy's. It fails when there is an error,
//! a picture of another caller, or more than a millisecond added to the median.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uso_emulator::{Emulator, PictureMode};

const CALLERS: usize = 200;
const SECONDS: u64 = 30;
/// How long a job runs: a page sees it queue, run and end.
const INFERENCE: Duration = Duration::from_millis(900);
/// How often the official client asks for the status.
const POLL: Duration = Duration::from_millis(500);
/// When memory is first looked at: every caller has its connections by then.
const WARM: Duration = Duration::from_secs(5);
/// Milliseconds that the proxy may add to the median of an answer.
const MOST_ADDED: f64 = 1.0;
const KEY: &str = "test-id:test-secret";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match arguments.first().map(String::as_str) {
        Some("serve") => {
            runtime.block_on(serve());
            ExitCode::SUCCESS
        }
        Some(seconds) => runtime.block_on(compare(seconds.parse().unwrap())),
        None => runtime.block_on(compare(SECONDS)),
    }
}

/// The service, until its standard input is closed.
async fn serve() {
    let emulator = Emulator::builder()
        .picture(PictureMode::Plain)
        .concurrency(CALLERS)
        .inference_time(INFERENCE)
        .start()
        .await
        .unwrap();
    println!("{}", json!({ "origin": emulator.origin() }));
    tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop))
        .await
        .unwrap();
}

async fn compare(seconds: u64) -> ExitCode {
    println!(
        "{CALLERS} callers for {seconds} s, half of them polling and half streaming, HTTP/1.1 on loopback"
    );
    let span = Duration::from_secs(seconds);
    let service = Program::start(Command::new(std::env::current_exe().unwrap()).arg("serve"));
    let origin = service.told["origin"].as_str().unwrap().to_owned();
    let tokens: Vec<String> = (0..CALLERS)
        .map(|caller| format!("a-token-of-caller-{caller:04}"))
        .collect();
    let proxy = Program::start(
        Command::new(env!("CARGO_BIN_EXE_uso-under-test"))
            .args(["--json", "--quiet", "--base-url", &origin, "proxy"])
            .args([
                "--listen",
                "127.0.0.1:0",
                "--allow-origin",
                "https://app.example",
            ])
            .args([
                "--spend-per-day",
                "1000000",
                "--requests-per-minute",
                "1000000",
            ])
            .env("FAL_KEY", KEY)
            .env("USO_PROXY_TOKEN", tokens.join(",")),
    );
    let url = proxy.told["proxy"].as_str().unwrap().to_owned();

    let id = proxy.child.id();
    let memory = tokio::spawn(async move {
        tokio::time::sleep(WARM.min(span / 2)).await;
        let warm = resident_kib(id);
        tokio::time::sleep(span.saturating_sub(WARM.min(span / 2))).await;
        (warm, resident_kib(id))
    });
    let cpu = cpu_nanoseconds(id);
    let through = load(&Way::Proxy { url, tokens }, span).await;
    let cpu = cpu_nanoseconds(id) - cpu;
    let (warm, end) = memory.await.unwrap();
    let direct = load(&Way::Direct { origin }, span).await;

    for (name, figures) in [("through", &through), ("direct", &direct)] {
        println!(
            "{name:>8}: {} jobs, {} requests, {} errors, {} of another caller; median {:.2} ms, 99 % {:.2} ms",
            figures.jobs,
            figures.spans.len(),
            figures.errors,
            figures.foreign,
            figures.quantile(0.5),
            figures.quantile(0.99),
        );
    }
    let added = through.quantile(0.5) - direct.quantile(0.5);
    println!(
        "   added: median {added:.2} ms; {:.3} ms of CPU a request",
        cpu as f64 / 1e6 / through.spans.len() as f64,
    );
    println!(
        "  memory: {:.1} MiB after {} s, {:.1} MiB at the end",
        warm as f64 / 1024.0,
        WARM.min(span / 2).as_secs_f64(),
        end as f64 / 1024.0
    );
    let is_right = |figures: &Figures| figures.errors == 0 && figures.foreign == 0;
    if is_right(&through) && is_right(&direct) && added <= MOST_ADDED {
        ExitCode::SUCCESS
    } else {
        eprintln!("there were errors, pictures of others, or more than {MOST_ADDED} ms added");
        ExitCode::FAILURE
    }
}

/// How the callers reach the service.
enum Way {
    Proxy { url: String, tokens: Vec<String> },
    Direct { origin: String },
}

#[derive(Default)]
struct Figures {
    jobs: usize,
    errors: usize,
    foreign: usize,
    /// Milliseconds to the end of each answer but a stream's, to the head of that.
    spans: Vec<f64>,
}

impl Figures {
    fn quantile(&self, part: f64) -> f64 {
        let mut spans = self.spans.clone();
        spans.sort_by(f64::total_cmp);
        spans[((spans.len() - 1) as f64 * part) as usize]
    }
}

async fn load(way: &Way, span: Duration) -> Figures {
    let end = Instant::now() + span;
    let started = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let caller = Caller::new(way, number);
            tokio::spawn(caller.lives(Arc::clone(&started), end))
        })
        .collect();
    let mut all = Figures::default();
    for caller in callers {
        let figures = caller.await.unwrap();
        all.jobs += figures.jobs;
        all.errors += figures.errors;
        all.foreign += figures.foreign;
        all.spans.extend(figures.spans);
    }
    all
}

struct Caller {
    number: usize,
    client: reqwest::Client,
    /// The proxy's URL; without it, each target's own.
    proxy: Option<String>,
    base: String,
    authorization: String,
    figures: Figures,
}

impl Caller {
    fn new(way: &Way, number: usize) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        let client = client.no_proxy().tcp_nodelay(true).build().unwrap();
        let (proxy, base, authorization) = match way {
            Way::Proxy { url, tokens } => (
                Some(url.clone()),
                "https://queue.fal.run/fal-ai/uso".to_owned(),
                format!("Bearer {}", tokens[number]),
            ),
            Way::Direct { origin } => (
                None,
                format!("{origin}/queue/fal-ai/uso"),
                format!("Key {KEY}"),
            ),
        };
        Self {
            number,
            client,
            proxy,
            base,
            authorization,
            figures: Figures::default(),
        }
    }

    async fn lives(mut self, seeds: Arc<AtomicUsize>, end: Instant) -> Figures {
        // Pages are not opened at the same instant.
        tokio::time::sleep(POLL * u32::try_from(self.number).unwrap() / CALLERS as u32).await;
        while Instant::now() < end {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            match self.job(seed).await {
                Ok(true) => self.figures.jobs += 1,
                Ok(false) => self.figures.foreign += 1,
                Err(why) => {
                    eprintln!("caller {}: {why}", self.number);
                    self.figures.errors += 1;
                }
            }
        }
        self.figures
    }

    /// Whether the picture that came was this caller's.
    async fn job(&mut self, seed: usize) -> Result<bool, String> {
        let prompt = format!("a picture for caller {}", self.number);
        let input = json!({
            "input_image_urls": ["https://example.org/a.png"],
            "prompt": prompt,
            "seed": seed,
        });
        let submitted = self.ask("POST", "", input.to_string()).await?;
        let id = submitted["request_id"].as_str().ok_or("no id")?.to_owned();
        if self.number.is_multiple_of(2) {
            let status = format!("/requests/{id}/status?logs=0");
            while self.ask("GET", &status, String::new()).await?["status"] != "COMPLETED" {
                tokio::time::sleep(POLL).await;
            }
        } else {
            let stream = format!("/requests/{id}/status/stream?logs=0");
            let request = self.request("GET", &stream);
            let request = request.header("accept", "text/event-stream");
            let started = Instant::now();
            let answer = request.send().await.map_err(|error| error.to_string())?;
            self.figures.spans.push(milliseconds(started));
            let events = answer.bytes().await.map_err(|error| error.to_string())?;
            if !events.windows(11).any(|part| part == b"\"COMPLETED\"") {
                return Err("the stream ended early".to_owned());
            }
        }
        let result = format!("/requests/{id}");
        let result = self.ask("GET", &result, String::new()).await?;
        Ok(result["seed"] == seed && result["prompt"] == prompt.as_str())
    }

    fn request(&self, method: &str, tail: &str) -> reqwest::RequestBuilder {
        let target = format!("{}{tail}", self.base);
        let method = method.parse().unwrap();
        let request = match &self.proxy {
            Some(url) => self
                .client
                .request(method, url)
                .header("origin", "https://app.example")
                .header("x-fal-target-url", target),
            None => self.client.request(method, target),
        };
        request
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
    }

    async fn ask(&mut self, method: &str, tail: &str, body: String) -> Result<Value, String> {
        let request = self.request(method, tail).body(body);
        let started = Instant::now();
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| error.to_string())?;
        self.figures.spans.push(milliseconds(started));
        if !status.is_success() {
            return Err(format!("{method} {tail}: {status}"));
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// A process that ends with this value, and the first line that it printed.
struct Program {
    child: Child,
    told: Value,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // Its further lines are read, so that it is never held up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, told }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))
        .expect("the benchmark needs Linux's /proc");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// CPU time of a process's threads, from the kernel's own account.
fn cpu_nanoseconds(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_thread = |entry: std::fs::DirEntry| {
        let account = std::fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
        let spent = account
            .split(' ')
            .next()
            .and_then(|spent| spent.parse().ok());
        spent.unwrap_or(0)
    };
    threads.flatten().map(of_thread).sum::<u64>()
}
