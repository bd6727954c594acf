#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! Time from the start of a process to its first request: the command, with its journal, beside a
//! program that calls the library alone. The inputs are URLs, so that no picture is read.
//!
//! ```text
//! cargo xtask bench command
//! ```

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uso::{Client, Request};
use uso_tests::rig::{Cli, Rig, config_for};

const ROUNDS: usize = 20;
const PICTURE: &str = "https://example.org/a.png";

/// Tells the program that it is the one that calls the library, and where the emulator is.
const LIBRARY: &str = "USO_BENCH_LIBRARY";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match std::env::var(LIBRARY) {
        Ok(origin) => runtime.block_on(library(&origin)),
        Err(_) => runtime.block_on(measure()),
    }
}

async fn library(origin: &str) {
    let client = Client::new(config_for(origin).unwrap()).unwrap();
    let request = Request::restyle(PICTURE, PICTURE);
    // The process is killed once the emulator has the request.
    let _ = client.submit(request).await;
}

async fn measure() {
    let rig = Rig::plain().await;
    let origin = rig.emulator.origin();
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&origin);
    let (mut alone, mut command) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.env(LIBRARY, &origin);
        alone.push(first_request(&rig, program).await);
        let output = format!("{round}.png");
        let restyle = ["restyle", PICTURE, PICTURE, "-o", &output];
        command.push(first_request(&rig, cli.command(&restyle)).await);
    }
    let (alone, command) = (median(alone), median(command));
    println!("library alone: {alone:.1?} to the first request (median of {ROUNDS})");
    println!("the command:   {command:.1?}");
    println!("difference:    {:.1?}", command.saturating_sub(alone));
}

async fn first_request(rig: &Rig, mut command: Command) -> Duration {
    let before = rig.emulator.requests().len();
    let started = Instant::now();
    let null = Stdio::null;
    let child = command.stdin(null()).stdout(null()).stderr(null()).spawn();
    let mut child: Child = child.unwrap();
    while rig.emulator.requests().len() == before {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "no request came: {:?}",
            child.try_wait()
        );
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    let took = started.elapsed();
    // What the process would still do is not measured.
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
