#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
//! Measurements of the guide to speed: `cargo xtask bench`.
//!
//! The service, the facade and a bare `reqwest` loop run as processes of their own, so that each
//! one's CPU time and memory are its own. The loop makes the same three requests a job over the
//! same kind of connection, and is what a careful person would write without this crate; it
//! validates nothing, retries nothing and resumes nothing. Each party makes its client and one job
//! before what is measured: a program has one client, and the first job opens its connection.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uso::{Client, Request};
use uso_emulator::{Emulator, PictureMode};
use uso_tests::measure::{in_turns, median, median_of, report_of, runtime};
use uso_tests::rig::config_for;

const JOBS: usize = 2_000;
/// Jobs at once, in turn.
const AT_ONCE: [usize; 2] = [200, 50];
const ROUNDS: usize = 7;
const LATENCY_JOBS: u64 = 200;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            for at_once in AT_ONCE {
                compare(at_once);
            }
            let latency = runtime().block_on(latency());
            println!(
                "from the emulator's completion to wait() returning, by stream: median {latency:.2} ms of {LATENCY_JOBS} jobs, one after the other"
            );
        }
        ["serve"] => runtime().block_on(serve()),
        ["facade", origin, certificate, at_once] => {
            let at_once = at_once.parse().unwrap();
            runtime().block_on(facade(origin, certificate, at_once));
        }
        ["bare", origin, certificate, at_once] => {
            let at_once = at_once.parse().unwrap();
            runtime().block_on(bare(origin, certificate, at_once));
        }

        other => panic!("unknown arguments {other:?}"),
    }
}

/// The service, until its standard input is closed.
async fn serve() {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = made.cert.pem();
    let emulator = Emulator::builder()
        .picture(PictureMode::Plain)
        .concurrency(AT_ONCE[0])
        .inference_time(Duration::from_millis(20))
        .tls(
            certificate.clone().into_bytes(),
            made.signing_key.serialize_pem().into_bytes(),
        )
        .start()
        .await
        .unwrap();
    println!(
        "{}",
        json!({ "origin": emulator.origin(), "certificate": certificate })
    );
    tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop))
        .await
        .unwrap();
}

fn request(seed: usize) -> Request {
    Request::reimagine("https://example.org/content.png", "as a woodcut").seed(seed as u64)
}

async fn facade(origin: &str, certificate: &str, at_once: usize) {
    let config = config_for(origin).unwrap().root_certificates(certificate);
    let client = Client::new(config).unwrap();
    let job = move |seed| {
        let client = client.clone();
        async move {
            let output = client
                .submit(request(seed))
                .await
                .unwrap()
                .wait()
                .await
                .unwrap();
            assert_eq!(output.images().len(), 1);
        }
    };
    job(JOBS).await;
    report_of(side_by_side(at_once, job)).await;
}

async fn bare(origin: &str, certificate: &str, at_once: usize) {
    let mut roots = rustls::RootCertStore::empty();
    // As the facade, and everyone who speaks to the real service.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let pem =
        <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(
            certificate.as_bytes(),
        );
    roots.add(pem.unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap();
    let submit = format!("{origin}/queue/fal-ai/uso");
    let job = move |seed| {
        let (client, submit) = (client.clone(), submit.clone());
        async move {
            let key = "Key test-id:test-secret";
            let input = json!({
                "prompt": "as a woodcut",
                "input_image_urls": ["https://example.org/content.png"],
                "seed": seed,
            });
            let sent = client
                .post(&submit)
                .header("authorization", key)
                .header("content-type", "application/json");
            let answer = sent
                .body(input.to_string())
                .send()
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            let status = format!("{}/stream?logs=0", answer["status_url"].as_str().unwrap());
            let mut stream = client
                .get(status)
                .header("authorization", key)
                .send()
                .await
                .unwrap();
            let mut events = Vec::new();
            while let Some(chunk) = stream.chunk().await.unwrap() {
                events.extend_from_slice(&chunk);
            }
            assert!(events.windows(11).any(|window| window == b"\"COMPLETED\""));
            let result = client
                .get(answer["response_url"].as_str().unwrap())
                .header("authorization", key);
            let result = result.send().await.unwrap().bytes().await.unwrap();
            let result: Value = serde_json::from_slice(&result).unwrap();
            assert_eq!(result["images"].as_array().unwrap().len(), 1);
        }
    };
    job(JOBS).await;
    report_of(side_by_side(at_once, job)).await;
}

/// Runs all jobs, so many at once; gives the 95th percentile of a job's time, from before its
/// submit to its result in hand.
async fn side_by_side<F: Future<Output = ()> + Send + 'static>(
    at_once: usize,
    job: impl Fn(usize) -> F,
) -> Value {
    let mut running = tokio::task::JoinSet::new();
    let mut spans = Vec::new();
    for seed in 0..JOBS {
        if running.len() >= at_once {
            spans.push(running.join_next().await.unwrap().unwrap());
        }
        let job = job(seed);
        running.spawn(async move {
            let started = Instant::now();
            job.await;
            started.elapsed().as_secs_f64() * 1e3
        });
    }
    while let Some(done) = running.join_next().await {
        spans.push(done.unwrap());
    }
    spans.sort_by(f64::total_cmp);
    json!({ "p95_ms": spans[spans.len() * 95 / 100] })
}

fn compare(at_once: usize) {
    println!(
        "{JOBS} jobs, {at_once} at once, TLS and HTTP/2 on loopback, {ROUNDS} rounds of each in turn (medians)"
    );
    let figures = in_turns(["facade", "bare"], ROUNDS, |served| {
        let text = |name: &str| served[name].as_str().unwrap().to_owned();
        vec![text("origin"), text("certificate"), at_once.to_string()]
    });
    let mut rows = Vec::new();
    for (name, runs) in &figures {
        let cpu_ms = median_of(runs, "cpu_ns") / 1e6 / JOBS as f64;
        let peak = median_of(runs, "peak_kib") / 1024.0;
        let p95 = median_of(runs, "p95_ms");
        println!(
            "{name:>7}: {cpu_ms:.3} ms of CPU a job, peak {peak:.1} MiB, p95 of a job {p95:.1} ms, {:.2} s in all",
            median_of(runs, "wall_s")
        );
        rows.push((cpu_ms, peak, p95));
    }
    println!(
        "  ratio: {:.2} x the CPU, {:+.1} MiB, {:.2} x the p95",
        rows[0].0 / rows[1].0,
        rows[0].1 - rows[1].1,
        rows[0].2 / rows[1].2,
    );
    std::io::stdout().flush().unwrap();
}

/// Median time from completion to `wait` returning, in milliseconds, one job after the other.
async fn latency() -> f64 {
    let builder = Emulator::builder()
        .picture(PictureMode::Plain)
        .inference_time(Duration::from_millis(10));
    let emulator = builder.start().await.unwrap();
    let client = Client::new(config_for(&emulator.origin()).unwrap()).unwrap();
    let mut spans = Vec::new();
    for seed in 0..LATENCY_JOBS {
        let job = client.submit(request(seed as usize)).await.unwrap();
        job.wait().await.unwrap();
        let returned = Instant::now();
        let completed = emulator.completed_at(job.ticket().request_id()).unwrap();
        spans.push(returned.duration_since(completed).as_secs_f64() * 1e3);
    }
    median(spans)
}
