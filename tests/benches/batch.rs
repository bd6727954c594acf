#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
//! What a row of a batch costs: `cargo xtask bench batch [ROWS]`.
//!
//! `uso batch run` with 200 purchases in flight, against an emulator in a process of its own, whose
//! jobs take 0.2 s: once with 1 000 rows and once with 10 000. Fails when a limit is exceeded.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use uso_emulator::{Emulator, PictureMode};
use uso_tests::measure::{first_line, report, runtime};

const SMALL: usize = 1_000;
const LARGE: usize = 10_000;
const IN_FLIGHT: usize = 200;
const INFERENCE: Duration = Duration::from_millis(200);
/// Rows of a manifest; a batch varies each of them.
const CONTENTS: usize = 100;
/// Peak memory of the command with at most `LARGE` rows.
const MOST_KIB: u64 = 100 << 10;
/// Wall time of many rows, against the time that the service takes for them.
const MOST_WALL: f64 = 1.15;
/// CPU time of a row among many, against a row among few.
const MOST_CPU: f64 = 1.5;
/// Age of the pictures of the manifest.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Names the party that this process is.
const PARTY: &str = "USO_BENCH_PARTY";

fn main() {
    match std::env::var(PARTY).as_deref() {
        Ok("service") => runtime().block_on(serve()),
        Ok(_) => report(|| {
            uso_cli::main();
        }),
        Err(_) => {
            let rows = std::env::args()
                .skip(1)
                .find_map(|argument| argument.parse().ok());
            compare(rows.unwrap_or(LARGE));
        }
    }
}

async fn serve() {
    let emulator = Emulator::builder()
        .picture(PictureMode::Plain)
        .inference_time(INFERENCE)
        .concurrency(IN_FLIGHT)
        .start()
        .await
        .unwrap();
    println!("{}", json!({ "origin": emulator.origin() }));
    // Until the bench ends it.
    std::future::pending::<()>().await;
}

fn compare(rows: usize) {
    // The folders stay until the end: a file system that has just deleted many files is slow at
    // making new ones.
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let few = measure(folders[0].path(), SMALL);
    let many = measure(folders[1].path(), rows);
    let cpu =
        |rows: usize, figures: &Value| figures["cpu_ns"].as_f64().unwrap() / 1e6 / rows as f64;
    let ideal = |rows: usize| rows.div_ceil(IN_FLIGHT) as f64 * INFERENCE.as_secs_f64();
    println!("    rows    CPU a row        wall       ideal      memory");
    for (rows, figures) in [(SMALL, &few), (rows, &many)] {
        println!(
            "{rows:>8}   {:>7.2} ms   {:>7.1} s   {:>7.1} s   {:>5.0} MiB",
            cpu(rows, figures),
            figures["wall_s"].as_f64().unwrap(),
            ideal(rows),
            figures["peak_kib"].as_f64().unwrap() / 1024.0
        );
    }
    assert!(
        rows > LARGE || many["peak_kib"].as_u64().unwrap() < MOST_KIB,
        "the command takes less than 100 MiB"
    );
    assert!(
        rows < LARGE || many["wall_s"].as_f64().unwrap() < MOST_WALL * ideal(rows),
        "many rows take at most 1.15 times as long as the service does"
    );
    assert!(
        cpu(rows, &many) < MOST_CPU * cpu(SMALL, &few),
        "a row among many costs at most 1.5 times the CPU of a row among few"
    );
}

/// What the command cost that bought so many rows.
fn measure(folder: &Path, rows: usize) -> Value {
    manifest(folder);
    let mut service = party("service", &[]);
    let origin = first_line(&mut service)["origin"]
        .as_str()
        .unwrap()
        .to_owned();
    let vary = format!("seed=1..{}", rows / CONTENTS);
    let concurrency = IN_FLIGHT.to_string();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut batch = command
        .args([
            "batch", "run", "m.csv", "-o", "out", "--name", "{id}", "--quiet", "--json",
        ])
        .args(["--vary", &vary, "--concurrency", &concurrency])
        .current_dir(folder)
        .env(PARTY, "batch")
        .env("USO_BASE_URL", origin)
        .env("FAL_KEY", "bench-id:bench-secret")
        .env("USO_STATE_DIR", folder.join("state"))
        .env("USO_CACHE_DIR", folder.join("cache"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(batch.stdout.take().unwrap()).lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    batch.wait().unwrap();
    service.kill().unwrap();
    service.wait().unwrap();
    let [outcome, figures] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(outcome["done"], rows, "{outcome}");
    figures.clone()
}

fn party(name: &str, arguments: &[&str]) -> std::process::Child {
    // The child inherits the variable; nothing else of this process reads it.
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments)
        .env(PARTY, name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Small content pictures that all differ, and one style.
fn manifest(folder: &Path) {
    let mut rows = std::fs::File::create(folder.join("m.csv")).unwrap();
    writeln!(rows, "content,style,size").unwrap();
    let picture = |name: &str, shade: u8| {
        let pixels = image::RgbImage::from_fn(96, 96, |x, y| {
            image::Rgb([shade, (x * 2) as u8, (y * 2) as u8])
        });
        let path = folder.join(name);
        pixels.save(&path).unwrap();
        // Rows share the reading of a file unless it has just changed, as pictures of a catalogue
        // have not.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - DAY).unwrap();
    };
    picture("style.png", 255);
    for number in 0..CONTENTS {
        let name = format!("c{number}.png");
        picture(&name, number as u8);
        writeln!(rows, "{name},style.png,64x64").unwrap();
    }
}
