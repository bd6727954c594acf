//! Journals of the first version, which are brought to the newest with what they hold.

use uso::Request;
use uso_journal::{Cause, Journal, State, UnitPrice};
use uso_tests::postgres::{self, Cluster};
use uso_tests::rig::{Rig, file, skipped};

use super::size;

/// The statements that make a journal of version 1 of this client's service and account.
fn version_one(tables: &str, rig: &Rig) -> String {
    let read = |name: &str| {
        let path = file("fixtures/journals").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let config = rig.client.config();
    let rows = read("rows-v1.sql")
        .replace("ORIGIN", config.base_urls().queue().as_str())
        .replace("ACCOUNT", &config.account());
    read(tables) + &rows
}

fn request(prompt: &str) -> Request {
    Request::subject("https://example.org/a.png", prompt).size(size())
}

/// Every row is as it was, its key buys what it bought before, and offered rows, which version 1 of
/// SQLite did not have, can be bought.
async fn is_whole(journal: &Journal, rig: &Rig) {
    let client = &rig.client;
    let rows = journal.jobs(client).read().await.unwrap();
    let seen = rows.iter().map(|row| {
        let cause = row.reason.as_ref().map(|reason| reason.cause);
        (row.key.as_str(), row.state, row.attempt, cause)
    });
    let seen: Vec<_> = seen.collect();
    let wanted = [
        ("failed", State::Failed, 2, Some(Cause::ServiceFailed)),
        ("lost", State::Unknown, 1, Some(Cause::ResponseLost)),
        ("done", State::Done, 1, None),
    ];
    assert_eq!(seen, wanted);
    let budget = journal.budget(client).await.unwrap();
    let sums = (budget.total_cap.unwrap(), budget.total_committed);
    assert_eq!((sums.0.get(), sums.1.get()), (5_000_000, 300_154));
    let of_batch = journal.batch_committed(client, "cats").await.unwrap();
    assert_eq!(of_batch.get(), 154);

    let done = journal.purchase(client, "done", request("a cat"));
    assert_eq!(done.await.unwrap(), rows[2]);
    let id = "7866a8a7-275c-4e58-b6cc-2240e2bc3a71";
    assert_eq!(journal.find(client, id).await.unwrap(), rows[2]);
    let failed = journal.purchase(client, "failed", request("a fox"));
    assert_eq!(failed.await.unwrap(), rows[0]);
    assert_eq!(rig.emulator.ledger().purchases().len(), 0);

    let folder = tempfile::tempdir().unwrap();
    let again = journal.purchase(client, "failed", request("a fox"));
    let again = again.again(2).folder(folder.path()).await.unwrap();
    assert_eq!((again.state, again.attempt), (State::Done, 3));
    let price = Some(UnitPrice::published());
    let offer = journal.offer(client, "cats", ("new", request("a hen")), price);
    assert_eq!(offer.await.unwrap().state, State::Pending);
    let work = journal.work(client, "cats", folder.path()).await.unwrap();
    assert_eq!(work.start().finish().await.done, 1);
    assert_eq!(rig.emulator.ledger().purchases().len(), 2);
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_to_the_newest() {
    let rig = Rig::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    let tables = version_one("sqlite-v1.sql", &rig);
    database.execute_batch(&tables).unwrap();
    drop(database);
    is_whole(&Journal::open(&path).unwrap(), &rig).await;
    Journal::open(&path).unwrap().check().await.unwrap();
}

#[tokio::test]
async fn tables_of_version_1_on_a_server_are_brought_to_the_newest() {
    let Some(server) = Cluster::shared() else {
        return skipped("journal::older", "PostgreSQL");
    };
    let rig = Rig::plain().await;
    let place = server.database().await;
    postgres::run(&place, &version_one("postgres-v1.sql", &rig)).await;
    is_whole(&Journal::connect(&place).await.unwrap(), &rig).await;
    let version = postgres::text(&place, "SELECT version::text FROM uso.journal");
    assert_ne!(version.await, "1");
}
