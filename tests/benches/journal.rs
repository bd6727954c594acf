#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
//! What a journal of a million rows costs: `cargo xtask bench journal [ROWS]`.
//!
//! Nothing listens at the client's address, so that a purchase is three changes of state (claimed,
//! sending, not bought) and no more. Fails when a limit is exceeded.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use uso::config::RetryPolicy;
use uso::{Client, Request};
use uso_journal::{Error, Journal};
use uso_tests::measure::runtime;
use uso_tests::rig::config_for;

const SMALL: u64 = 1_000;
const LARGE: u64 = 1_000_000;
/// Changes of state of a purchase without a response.
const CHANGES: u32 = 3;

fn main() {
    let rows = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    runtime().block_on(compare(rows.unwrap_or(LARGE)));
}

async fn compare(rows: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (
        folder.path().join("small.db"),
        folder.path().join("large.db"),
    );
    let client = client();
    for (path, rows) in [(&small, SMALL), (&large, rows)] {
        let journal = Journal::open(path).unwrap();
        // The realm of the client is made by its first use.
        journal.budget(&client).await.unwrap();
        drop(journal);
        fill(path, rows);
    }

    let started = Instant::now();
    let journal = Journal::open(&large).unwrap();
    let opening = started.elapsed();
    let started = Instant::now();
    let counts = journal.jobs(&client).count().await.unwrap();
    let status = started.elapsed();
    let counted: u64 = counts.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, rows);
    println!("{rows} rows: opened in {opening:.1?}, counted by state in {status:.1?}");
    let few = Journal::open(&small).unwrap();
    // In turns, so that a busy machine is equally busy for both.
    let (mut with_few, mut with_many) = (Vec::new(), Vec::new());
    for round in 0..5 {
        with_few.push(claims(&few, &client, &format!("few-{round}"), 200, 200).await);
        with_many.push(claims(&journal, &client, &format!("many-{round}"), 200, 200).await);
    }
    let (with_few, with_many) = (median(&mut with_few), median(&mut with_many));
    println!(
        "changes of state a second, 200 in flight: {:.0} with {SMALL} rows, {:.0} with {rows}",
        rate(with_few, 200),
        rate(with_many, 200)
    );
    let one = claims(&few, &client, "alone", 40, 1).await;
    println!(
        "changes of state a second, one in flight: {:.0}",
        rate(one, 40)
    );
    assert!(
        opening < Duration::from_millis(100),
        "opening takes 100 ms at the most"
    );
    assert!(
        status < Duration::from_secs(1),
        "status takes a second at the most"
    );
    assert!(
        with_many < with_few.mul_f64(1.2),
        "claims are as fast with {rows} rows"
    );
    assert!(
        rate(with_few, 200) > 3.0 * rate(one, 40),
        "commits are shared"
    );
}

fn client() -> Client {
    // A port that was free a moment ago: nothing listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let once = RetryPolicy::default().attempts(1);
    Client::new(config_for(&origin).unwrap().retry(once)).unwrap()
}

/// Rows as a long life leaves them: nearly all done, some failed.
fn fill(path: &Path, rows: u64) {
    let database = rusqlite::Connection::open(path).unwrap();
    let input = r#"{"endpoint":"fal-ai/uso","input":{"prompt":"a picture of a cat on a roof at night"},"pictures":[{"role":"content","sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}]}"#;
    database
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
             INSERT INTO job (realm, key, endpoint, state, attempt, fingerprint, input, request_id, \
             pictures, estimate, reserved, billed, reserved_at, created_at, changed_at, fence, \
             cancel_asked, pruned) \
             SELECT 1, 'filler/' || i, 'fal-ai/uso', CASE WHEN i % 50 THEN 'done' ELSE 'failed' END, 1, hex(randomblob(32)), \
             ?2, lower(hex(randomblob(16))), '[]', 104858, 104858, 104858, 1, 1, 1, 1, 0, 0 FROM n",
            (i64::try_from(rows).unwrap(), input),
        )
        .unwrap();
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}

/// The time that many purchases take, some at a time.
async fn claims(
    journal: &Journal,
    client: &Client,
    name: &str,
    rows: u32,
    at_once: usize,
) -> Duration {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(at_once));
    let started = Instant::now();
    let mut buying = JoinSet::new();
    for row in 0..rows {
        let request = Request::subject("https://example.org/a.png", format!("{row}"));
        let buy = journal.purchase(client, format!("{name}/{row}"), request);
        let gate = std::sync::Arc::clone(&gate);
        buying.spawn(async move {
            let _permit = gate.acquire_owned().await;
            buy.await
        });
    }
    for outcome in buying.join_all().await {
        assert!(
            matches!(outcome, Err(Error::NotBought { .. })),
            "{outcome:?}"
        );
    }
    started.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn rate(time: Duration, rows: u32) -> f64 {
    f64::from(rows * CHANGES) / time.as_secs_f64()
}
