//! Caps that several workers share.

use tokio::task::JoinSet;
use uso::config::RetryPolicy;
use uso::{Client, ImageSize, MicroDollars, Request};
use uso_journal::{Error, Journal};
use uso_tests::postgres;
use uso_tests::rig::config_for;

use super::server;

/// A purchase of one megapixel, which is 10 cents.
fn request() -> Request {
    let size = ImageSize {
        width: Some(1000),
        height: Some(1000),
    };
    let size = uso::types::ImageSizeChoice::from(size);
    Request::subject("https://example.org/a.png", "x").size(size)
}

#[tokio::test]
async fn reservations_of_four_workers_never_exceed_five_dollars_at_the_edge() {
    let Some(server) = server("budget") else {
        return;
    };
    let place = server.database().await;
    // Nothing listens there: what is reserved is given back, and the edge is met again.
    let config = config_for("http://127.0.0.1:9").unwrap();
    let config = config.retry(RetryPolicy::default().attempts(1));
    let client = Client::new(config).unwrap();
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(Journal::connect(&place).await.unwrap());
    }
    let cap = Some(MicroDollars::new(5_000_000));
    workers[0].set_caps(&client, None, cap).await.unwrap();
    // 49 of 50 purchases are made already. The database itself watches the sum.
    let edge = "UPDATE uso.realm SET committed = 4900000; \
                ALTER TABLE uso.realm ADD CHECK (committed <= total_cap)";
    postgres::run(&place, edge).await;
    let (mut reserved, mut stopped) = (0, 0);
    for round in 0..1000 {
        let mut buying = JoinSet::new();
        for (number, worker) in workers.iter().enumerate() {
            let key = format!("{round}-{number}");
            let buy = worker.purchase(&client, key, request());
            buying.spawn(async move { buy.await });
        }
        for outcome in buying.join_all().await {
            match outcome {
                Err(Error::Budget(_)) => stopped += 1,
                Err(Error::NotBought { .. }) => reserved += 1,
                other => panic!("round {round}: {other:?}"),
            }
        }
    }
    assert_eq!(reserved + stopped, 4000);
    assert!(reserved >= 1000, "{reserved}: one fits in each round");
    assert!(stopped > 0, "the workers never met at the edge");
    let budget = workers[0].budget(&client).await.unwrap();
    assert_eq!(budget.total_committed.get(), 4_900_000);
}
