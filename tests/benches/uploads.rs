#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
//! Measurements of the guide to speed, of uploads: `cargo xtask bench uploads`.
//!
//! The service, the upload and a bare `reqwest` loop run as processes of their own. The loop sends
//! the same parts, as many at a time, from one buffer in memory: it reads no file, repeats nothing
//! and checks nothing, so that it is as fast as the server takes bytes.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use uso::Client;
use uso::upload::{Source, Upload};
use uso_emulator::Emulator;
use uso_tests::measure::{in_turns, median_of, report, runtime};
use uso_tests::rig::config_for;

const PART: usize = 10 << 20;
const AT_ONCE: usize = 6;
const ROUNDS: usize = 5;
const SIZES: [u64; 2] = [256 << 20, 1 << 30];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => compare(),
        ["serve"] => runtime().block_on(serve()),
        ["facade", origin, file] => report(|| runtime().block_on(facade(origin, file))),
        ["bare", origin, file] => report(|| runtime().block_on(bare(origin, file))),
        other => panic!("unknown arguments {other:?}"),
    }
}

async fn serve() {
    let emulator = Emulator::start().await.unwrap();
    println!("{}", json!({ "origin": emulator.origin() }));
    tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop))
        .await
        .unwrap();
}

async fn facade(origin: &str, file: &str) {
    let client = Client::new(config_for(origin).unwrap()).unwrap();
    let source = Source::file(file).await.unwrap();
    let mut upload = Upload::new(source);
    let uploaded = client.upload(&mut upload).await.unwrap();
    assert_eq!(uploaded.bytes, std::fs::metadata(file).unwrap().len());
}

async fn bare(origin: &str, file: &str) {
    let length = usize::try_from(std::fs::metadata(file).unwrap().len()).unwrap();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(no_tls())
        .no_proxy()
        .build()
        .unwrap();
    let initiate =
        format!("{origin}/rest/storage/upload/initiate-multipart?storage_type=fal-cdn-v3");
    let answer = client
        .post(initiate)
        .header("authorization", "Key test-id:test-secret")
        .body(r#"{"content_type":"application/octet-stream","file_name":"file"}"#)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let (address, query) = answer["upload_url"]
        .as_str()
        .unwrap()
        .split_once('?')
        .unwrap();
    let buffer = bytes::Bytes::from(vec![7_u8; PART]);
    let mut sending = tokio::task::JoinSet::new();
    let mut tags = vec![Value::Null; length.div_ceil(PART)];
    for number in 1..=tags.len() {
        if sending.len() >= AT_ONCE {
            let (number, tag): (usize, Value) = sending.join_next().await.unwrap().unwrap();
            tags[number - 1] = tag;
        }
        let part = buffer.slice(..PART.min(length - (number - 1) * PART));
        let put = client.put(format!("{address}/{number}?{query}")).body(part);
        sending.spawn(async move {
            let answer = put.send().await.unwrap();
            let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
            answer.bytes().await.unwrap();
            (number, json!({ "partNumber": number, "etag": tag }))
        });
    }
    while let Some(done) = sending.join_next().await {
        let (number, tag) = done.unwrap();
        tags[number - 1] = tag;
    }
    let complete = client.post(format!("{address}/complete?{query}"));
    let done = complete.body(json!({ "parts": tags }).to_string()).send();
    assert_eq!(done.await.unwrap().status(), 200);
}

/// Everything is on loopback, in clear text.
fn no_tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// A file of random-looking bytes.
fn fill(path: &Path, length: u64) {
    let mut file = std::fs::File::create(path).unwrap();
    let mut block = vec![0_u8; 1 << 20];
    for number in 0..length >> 20 {
        for (index, word) in block.chunks_exact_mut(8).enumerate() {
            let mark = (number << 20 | index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word.copy_from_slice(&mark.to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
}

fn compare() {
    let folder = tempfile::tempdir().unwrap();
    for size in SIZES {
        let path = folder.path().join("file");
        fill(&path, size);
        let path = path.to_str().unwrap();
        println!(
            "{} MiB in parts of 10 MiB, {AT_ONCE} at a time, {ROUNDS} rounds of each in turn (medians)",
            size >> 20
        );
        let figures = in_turns(["facade", "bare"], ROUNDS, |served| {
            vec![
                served["origin"].as_str().unwrap().to_owned(),
                path.to_owned(),
            ]
        });
        let mut walls = Vec::new();
        for (name, runs) in &figures {
            let (wall, peak) = (
                median_of(runs, "wall_s"),
                median_of(runs, "peak_kib") / 1024.0,
            );
            let cpu = median_of(runs, "cpu_ns") / 1e9;
            println!("{name:>7}: {wall:.3} s, {cpu:.3} s of CPU, peak {peak:.1} MiB");
            walls.push(wall);
        }
        println!("  ratio: {:.2} x the time", walls[0] / walls[1]);
    }
}
