#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
//! What a fleet on PostgreSQL does: `cargo xtask bench fleet [ROWS]`.
//!
//! First the journal alone, with eight workers of one process and 1 000 offered rows, in a table of
//! 1 000 rows and in one of 1 000 000:
//!
//! - claims: from the start to the last row that a worker holds under the budget, while the rows
//!   before it are sent.
//! - submits: from the start to the submit of the last row, at a service that accepts connections and
//!   never answers. Each row is claimed, is `sending` on the disk, and its submit has a connection.
//! - rows: from the start to the recorded outcome of the last row, at a service that refuses
//!   connections. Each row is claimed, is `sending` on the disk, and is recorded as refused on the
//!   disk, which gives its price back to the budget.
//!   The small table has 20 000 rows here: rows are claimed while others end, and both tables have
//!   rows for that.
//!
//! Before each round the table is vacuumed and the server makes a checkpoint, after which the first
//! change of each page writes the whole page to the log: both tables pay for that in each round.
//!
//! Then the whole: 1, 2 and 4 processes of `uso batch work` on 10 000 rows, against an emulator in a
//! process of its own, whose jobs take 0.2 s. The server keeps its data on a disk.
//!
//! Fails when a limit is exceeded.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use uso::config::RetryPolicy;
use uso::{Client, Request};
use uso_emulator::{Emulator, PictureMode};
use uso_journal::{BatchEvent, Journal};
use uso_tests::measure::{cpu_seconds_of_family, first_line, median, report, runtime};
use uso_tests::postgres::{self, Cluster};
use uso_tests::rig::config_for;

const WORKERS: usize = 8;
/// Rows that are claimed at a time.
const CLAIMED: usize = 1_000;
/// Rows in flight where each ends at once, of all workers together.
const PLACES: usize = 80;
const ROUNDS: usize = 5;
/// Rows of the small table and of the large one.
const SIZES: [usize; 2] = [1_000, 1_000_000];
/// Rows of the small table where rows are claimed while the counted ones end.
const WITH_MORE: usize = 20_000;
/// Claims a second of eight workers.
const FEWEST_CLAIMS: f64 = 1_000.0;
/// Time of a claim in the large table, against the small one.
const MOST_GROWTH: f64 = 1.2;

const ROWS: usize = 10_000;
const PROCESSES: [usize; 3] = [1, 2, 4];
/// Purchases in flight, of all workers together.
const IN_FLIGHT: usize = 200;
const INFERENCE: Duration = Duration::from_millis(200);
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
            two_threads().block_on(async {
                let failures = journal().await;
                whole(rows.unwrap_or(ROWS)).await;
                assert!(failures.is_empty(), "{failures:?}");
            });
        }
    }
}

fn two_threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// A server whose data is on a disk.
fn server() -> Cluster {
    let settings = ["shared_buffers=512MB"];
    let server = Cluster::start_in(&std::env::temp_dir(), 5432, &settings);
    server.expect("the benchmark needs PostgreSQL")
}

/// CPU time in seconds of a server.
fn cpu_seconds(server: &Cluster) -> f64 {
    let file = server.folder().join("data/postmaster.pid");
    let file = std::fs::read_to_string(file).unwrap();
    cpu_seconds_of_family(file.lines().next().unwrap().parse().unwrap())
}

/// Measures the journal alone, and says which limits are exceeded.
async fn journal() -> Vec<String> {
    println!("    rows in the table       claims      submits         rows, of eight workers");
    let server = server();
    let mut rates = Vec::new();
    for rows in SIZES {
        let place = offered(&server, rows).await;
        let [claims, submits] = rates_of(&place, Service::Silent).await;
        let place = match rows > WITH_MORE {
            true => place,
            false => offered(&server, WITH_MORE).await,
        };
        let [_, whole] = rates_of(&place, Service::Away).await;
        println!("    {rows:>17}   {claims:>7.0} /s   {submits:>7.0} /s   {whole:>7.0} /s");
        let uses = "SELECT (idx_scan >= 500)::text FROM pg_stat_user_indexes \
                    WHERE indexrelname = 'job_claimable'";
        assert_eq!(postgres::text(&place, uses).await, "true", "the index");
        rates.push([claims, submits, whole]);
    }
    let mut failures = Vec::new();
    if rates[1][0] < FEWEST_CLAIMS {
        failures.push(format!(
            "eight workers claim fewer than {FEWEST_CLAIMS} rows a second"
        ));
    }
    let growths = [0, 1, 2].map(|rate| rates[0][rate] / rates[1][rate]);
    if growths.iter().any(|growth| *growth > MOST_GROWTH) {
        failures.push(format!(
            "a row among many takes more than {MOST_GROWTH} of its time among few: {growths:?}"
        ));
    }
    failures
}

/// A service whose answers are no part of what is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    /// Accepts connections and answers nothing.
    Silent,
    /// Refuses connections.
    Away,
}

/// Rows a second that eight workers claim, and that they are done with, in the rounds of the medians.
async fn rates_of(place: &str, service: Service) -> [f64; 2] {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let of_round = place.to_owned();
        // What is in flight ends with the runtime.
        let round = std::thread::spawn(move || {
            let runtime = two_threads();
            let taken = runtime.block_on(round(&of_round, service));
            runtime.shutdown_background();
            taken
        });
        let taken = tokio::task::spawn_blocking(|| round.join().unwrap());
        times.push(taken.await.unwrap().map(|time| time.as_secs_f64()));
        // The large table gives other rows in each round, and the small one the same rows.
        let end = "UPDATE uso.job SET state = 'done', worker = NULL \
                   WHERE state NOT IN ('pending', 'done'); DELETE FROM uso.worker; \
                   UPDATE uso.job SET state = 'pending', cause = NULL, kind = NULL \
                   WHERE NOT EXISTS (SELECT 1 FROM uso.job WHERE state = 'pending')";
        for statement in [end, "VACUUM uso.job", "CHECKPOINT"] {
            postgres::run(place, statement).await;
        }
    }
    [0, 1].map(|time| CLAIMED as f64 / median(times.iter().map(|times| times[time]).collect()))
}

/// A database with so many offered rows, of which one is offered and the others are its copies.
async fn offered(server: &Cluster, rows: usize) -> String {
    let place = server.database().await;
    let journal = Journal::connect(&place).await.unwrap();
    let request = Request::subject("https://example.org/a.png", "x").seed(1);
    let client = client();
    let offer = journal.offer(&client, "b", ("0", request), None);
    offer.await.unwrap();
    let copy = format!(
        "INSERT INTO uso.job (realm, key, batch, endpoint, state, attempt, fingerprint, input, \
         target, unit_price, estimate, created_at, changed_at, sendable) \
         SELECT realm, g::text, batch, endpoint, state, attempt, fingerprint, input, \
         target, unit_price, estimate, created_at, changed_at, sendable \
         FROM uso.job, generate_series(1, {}) AS g",
        rows - 1
    );
    postgres::run(&place, &copy).await;
    postgres::run(&place, "VACUUM ANALYZE uso.job").await;
    place
}

/// The address of the service, at which nothing listens between the rounds.
fn address() -> SocketAddr {
    static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    });
    *ADDRESS
}

fn client() -> Client {
    let config = config_for(&format!("http://{}", address())).unwrap();
    Client::new(config.retry(RetryPolicy::default().attempts(1))).unwrap()
}

/// The times of eight workers until they have claimed the next rows, and are done with them.
async fn round(place: &str, service: Service) -> [Duration; 2] {
    let address = address();
    let silent = match service {
        Service::Silent => Some(TcpListener::bind(address).await.unwrap()),
        Service::Away => None,
    };
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let journal = Journal::connect(place).await.unwrap();
        let client = client();
        // The first connection is no part of a row.
        journal.budget(&client).await.unwrap();
        workers.push((journal, client));
    }
    let places = match service {
        Service::Silent => CLAIMED,
        Service::Away => PLACES,
    };
    let started = Instant::now();
    let (claimed, ended) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    for (journal, client) in workers {
        let (claimed, ended) = (Arc::clone(&claimed), Arc::clone(&ended));
        tokio::spawn(async move {
            let batch = journal.work(&client, "b", "out").await.unwrap();
            let mut run = batch.concurrency(places).start();
            while let Some(event) = run.next().await {
                match event {
                    BatchEvent::Started { .. } => claimed.add_permits(1),
                    BatchEvent::Ended { .. } => ended.add_permits(1),
                    _ => {}
                }
            }
        });
    }
    let last_claim = tokio::spawn(async move {
        let _ = claimed.acquire_many(CLAIMED as u32).await.unwrap();
        started.elapsed()
    });
    let Some(silent) = silent else {
        let _ = ended.acquire_many(CLAIMED as u32).await.unwrap();
        return [last_claim.await.unwrap(), started.elapsed()];
    };
    let mut submits = Vec::new();
    while submits.len() < CLAIMED {
        submits.push(silent.accept().await.unwrap());
    }
    [last_claim.await.unwrap(), started.elapsed()]
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

async fn whole(rows: usize) {
    println!("    workers        wall    CPU a row of the workers    of the database");
    for workers in PROCESSES {
        let figures = fleet(workers, rows).await;
        println!(
            "    {workers:>7}   {:>7.1} s   {:>21.2} ms   {:>13.2} ms",
            figures.wall.as_secs_f64(),
            figures.workers * 1e3 / rows as f64,
            figures.database * 1e3 / rows as f64,
        );
    }
}

struct Figures {
    wall: Duration,
    /// CPU time in seconds.
    workers: f64,
    database: f64,
}

async fn fleet(workers: usize, rows: usize) -> Figures {
    let server = server();
    let place = server.database().await;
    let mut service = party(Path::new("."), "service", &[], &[]);
    let origin = first_line(&mut service)["origin"]
        .as_str()
        .unwrap()
        .to_owned();
    let machines: Vec<_> = (0..workers).map(|_| tempfile::tempdir().unwrap()).collect();
    let start = |folder: &Path, arguments: &[&str]| {
        let variables = [
            ("USO_BASE_URL", origin.as_str()),
            ("USO_JOURNAL", place.as_str()),
            ("FAL_KEY", "bench-id:bench-secret"),
        ];
        party(folder, "worker", arguments, &variables)
    };
    let mut manifest = "id,content,prompt,seed,size\n".to_owned();
    for row in 0..rows {
        manifest += &format!("r{row},https://example.org/a.png,x,{row},64x64\n");
    }
    let first = machines[0].path();
    std::fs::write(first.join("m.csv"), manifest).unwrap();
    let offer = ["batch", "run", "m.csv", "--batch", "b", "--offer", "-q"];
    assert!(start(first, &offer).wait().unwrap().success());

    let in_flight = IN_FLIGHT.to_string();
    let work = [
        "batch",
        "work",
        "b",
        "-o",
        "out",
        "-q",
        "--json",
        "--concurrency",
        &in_flight,
    ];
    let (before, started) = (cpu_seconds(&server), Instant::now());
    let working: Vec<Child> = machines
        .iter()
        .map(|folder| start(folder.path(), &work))
        .collect();
    let mut cpu = 0.0;
    for worker in working {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        let figures: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        cpu += figures["cpu_ns"].as_f64().unwrap() / 1e9;
    }
    let wall = started.elapsed();
    let database = cpu_seconds(&server) - before;
    let done = "SELECT count(*)::text FROM uso.job WHERE state = 'done'";
    assert_eq!(postgres::text(&place, done).await, rows.to_string());
    service.kill().unwrap();
    service.wait().unwrap();
    Figures {
        wall,
        workers: cpu,
        database,
    }
}

fn party(folder: &Path, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments)
        .current_dir(folder)
        .env(PARTY, name)
        .env("USO_STATE_DIR", folder.join("state"))
        .env("USO_CACHE_DIR", folder.join("cache"))
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
