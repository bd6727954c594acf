//! The store by itself: budgets at the edge, and commits that are shared.

use std::path::PathBuf;
use std::sync::{Arc, Barrier};

use uso::{MicroDollars, Request};

use super::{Sqlite, rows};
use crate::error::Error;
use crate::money::{Quote, UnitPrice};
use crate::purchase::Purchase;
use crate::row::Step;
use crate::state::State;
use crate::store::{Claim, Claimed, Filter, Realm, Store, Wish};
use crate::target::Target;

/// A folder in memory where there is one: these tests commit some thousand times.
fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

async fn claim(realm: i64, key: &str) -> Claim {
    let request = Request::subject("https://example.org/a.png", key);
    let estimate = request.estimate().await.unwrap();
    Claim {
        realm,
        key: key.to_owned(),
        batch: None,
        batch_cap: None,
        cap: None,
        endpoint: "fal-ai/uso".to_owned(),
        recipe: request.recipe().await.unwrap(),
        quote: Quote::new(&estimate, Some(UnitPrice::published())),
        target: Target::folder("pictures"),
        wish: Wish::Buy,
    }
}

async fn realm(store: &Sqlite) -> i64 {
    let realm = Realm {
        origin: "http://127.0.0.1/queue".to_owned(),
        account: "0123456789abcdef".to_owned(),
    };
    store.realm(realm).await.unwrap()
}

#[test]
fn processes_that_open_a_new_journal_at_once_all_can() {
    for _ in 0..20 {
        let folder = folder();
        let path = folder.path().join("journal.db");
        let ready = Barrier::new(16);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    ready.wait();
                    // The last one to close takes the write-ahead log away, which others open.
                    drop(Sqlite::open(&path).unwrap());
                });
            }
        });
    }
}

/// The steps that SQLite's machine takes for a page of a journal with so many rows.
async fn steps_of_a_page(rows: i64, filter: &Filter) -> i32 {
    let folder = folder();
    let path = folder.path().join("journal.db");
    let store = Sqlite::open(&path).unwrap();
    let realm = realm(&store).await;
    let connection = store.connections.connect().unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) \
                INSERT INTO job (realm, key, batch, endpoint, state, attempt, fingerprint, \
                pictures, reserved_at, created_at, changed_at, fence, cancel_asked, pruned) \
                SELECT ?1, i, 'b' || (i % 2), '', CASE WHEN i % 9 THEN 'done' ELSE 'failed' END, 1, \
                '', '[]', 1, 1, 1, 1, 0, 0 FROM n";
    connection.execute(fill, (realm, rows)).unwrap();
    let (sql, values) = rows::listing(realm, filter);
    let mut select = connection.prepare(&sql).unwrap();
    let page = select.query_map(rusqlite::params_from_iter(values), |row| {
        row.get::<_, i64>(0)
    });
    let ids: Vec<i64> = page.unwrap().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 20);
    assert!(ids.is_sorted_by(|one, next| one > next), "{ids:?}");
    select.get_status(rusqlite::StatementStatus::VmStep)
}

#[tokio::test]
async fn a_page_of_a_long_list_costs_what_a_page_of_a_short_one_costs() {
    let newest = Filter {
        limit: 20,
        ..Filter::default()
    };
    let of_batch = Filter {
        batch: Some("b1".to_owned()),
        ..newest.clone()
    };
    let closed = Filter {
        states: vec![State::Done, State::Failed],
        before: Some(400),
        ..newest.clone()
    };
    for filter in [newest, of_batch, closed] {
        let (few, many) = (
            steps_of_a_page(500, &filter).await,
            steps_of_a_page(20_000, &filter).await,
        );
        assert!(many < few * 2, "{few} and {many} steps: {filter:?}");
    }
}

#[tokio::test]
async fn of_two_processes_at_the_edge_of_the_cap_one_buys_a_thousand_times() {
    let folder = folder();
    let path = folder.path().join("journal.db");
    // Two connections that write are what two processes are to the database.
    let (one, two) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
    let realm = realm(&one).await;
    let bound = claim(realm, "x").await.quote.bound.unwrap().get();
    for round in 0..1000_u64 {
        let cap = MicroDollars::new((round + 1) * bound + bound / 2);
        one.set_caps(realm, None, Some(cap)).await.unwrap();
        let (left, right) = (format!("{round}-left"), format!("{round}-right"));
        let left = claim(realm, &left).await;
        let right = claim(realm, &right).await;
        let (left, right) = tokio::join!(one.claim(left), two.claim(right));
        let bought = [&left, &right]
            .into_iter()
            .filter(|claimed| matches!(claimed, Ok(Claimed::Mine(_))));
        assert_eq!(bought.count(), 1, "round {round}: {left:?} {right:?}");
        let stopped = [&left, &right]
            .into_iter()
            .filter(|claimed| matches!(claimed, Err(Error::Budget(_))));
        assert_eq!(stopped.count(), 1, "round {round}");
        let caps = one.caps(realm).await.unwrap();
        assert!(caps.total_committed <= cap, "round {round}");
    }
}

/// Claims that many rows at a time, and tells how many commits that took.
async fn commits(group: usize, rows: usize) -> u64 {
    let folder = folder();
    let path = folder.path().join("journal.db");
    let store = Arc::new(Sqlite::open_grouped(&path, group).unwrap());
    let realm = realm(&store).await;
    let before = store.commits();
    let mut claims = tokio::task::JoinSet::new();
    for row in 0..rows {
        let claim = claim(realm, &row.to_string()).await;
        let store = Arc::clone(&store);
        claims.spawn(async move { store.claim(claim).await.unwrap() });
    }
    assert_eq!(claims.join_all().await.len(), rows);
    store.commits() - before
}

#[tokio::test]
async fn two_hundred_in_flight_share_their_commits() {
    assert_eq!(commits(1, 200).await, 200);
    let shared = commits(super::GROUP, 200).await;
    assert!(shared * 3 <= 200, "{shared} commits for 200 changes");
}

#[tokio::test]
async fn a_write_of_an_earlier_claim_is_refused() {
    let folder = folder();
    let path = folder.path().join("journal.db");
    let (one, store) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
    let realm = realm(&store).await;
    let Claimed::Mine(first) = one.claim(claim(realm, "key").await).await.unwrap() else {
        panic!("the row is new");
    };
    let id = first.purchase.id;
    drop(one);
    store.release_gone().await.unwrap();
    let Claimed::Mine(second) = store.claim(claim(realm, "key").await).await.unwrap() else {
        panic!("the first worker is gone");
    };
    assert!(second.fence > first.fence);
    let late = store.apply(id, Some(first.fence), Step::Withdraw).await;
    assert!(matches!(late, Err(Error::TakenOver(_))), "{late:?}");
    let row = store.row(id).await.unwrap().unwrap();
    assert_eq!(row.purchase.state, State::Reserved);
}

#[tokio::test]
async fn a_failed_write_undoes_itself_and_not_its_neighbours() {
    let folder = folder();
    let store = Sqlite::open(&folder.path().join("journal.db")).unwrap();
    let realm = realm(&store).await;
    let capped = Claim {
        cap: Some(MicroDollars::new(1)),
        ..claim(realm, "capped").await
    };
    let free = claim(realm, "free").await;
    let (capped, free) = tokio::join!(store.claim(capped), store.claim(free));
    assert!(matches!(capped, Err(Error::Budget(_))), "{capped:?}");
    assert!(matches!(free, Ok(Claimed::Mine(_))), "{free:?}");
    let rows = store
        .list(
            realm,
            Filter {
                limit: 9,
                ..Default::default()
            },
        )
        .await;
    let keys: Vec<String> = rows
        .unwrap()
        .into_iter()
        .map(|row: Purchase| row.key)
        .collect();
    assert_eq!(keys, ["free"]);
}
