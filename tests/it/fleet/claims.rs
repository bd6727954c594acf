//! Claims of offered rows: as many in a transaction as the worker has free places.

use tokio_postgres::Client;
use uso::Request;
use uso_journal::{Journal, Stop, Stopped};
use uso_tests::postgres;
use uso_tests::rig::{Rig, until_async};

use super::server;

/// Writes down the transaction of each claimed row, and how many rows are claimed and not bought yet.
pub(super) const WATCH: &str = "
CREATE TABLE public.claim (written bigint, held bigint);
CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.claim SELECT NEW.written, count(*) FROM uso.job
    WHERE state IN ('reserved', 'sending');
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON uso.job FOR EACH ROW
WHEN (OLD.state = 'pending' AND NEW.state = 'reserved') EXECUTE FUNCTION public.watch();
";

async fn offer(journal: &Journal, rig: &Rig, rows: u64) {
    for row in 0..rows {
        let request = Request::subject("https://example.org/a.png", "x").seed(row);
        let offer = journal.offer(&rig.client, "b", (format!("r{row}"), request), None);
        offer.await.unwrap();
    }
}

/// Locks the account, which every claim waits for, until the client commits.
async fn hold_account(place: &str) -> Client {
    let account = postgres::client(place).await;
    let hold = "BEGIN; SELECT 1 FROM uso.realm FOR UPDATE";
    account.batch_execute(hold).await.unwrap();
    account
}

async fn claim_waits(place: &str) {
    let waits = "SELECT (count(*) > 0)::text FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let does_wait = async || postgres::text(place, waits).await == "true";
    until_async("the claim waits", does_wait).await;
}

#[tokio::test]
async fn a_claim_takes_a_row_for_each_free_place_and_sixteen_at_the_most() {
    let Some(server) = server("claims::a_claim") else {
        return;
    };
    // Places, and rows that one transaction claims.
    for (places, of_one) in [(1, 1), (2, 2), (40, 16)] {
        let rig = Rig::plain().await;
        let (place, folder) = (server.database().await, tempfile::tempdir().unwrap());
        let journal = Journal::connect(&place).await.unwrap();
        offer(&journal, &rig, 40).await;
        postgres::run(&place, WATCH).await;
        let work = journal.work(&rig.client, "b", folder.path()).await.unwrap();
        let summary = work.concurrency(places).start().finish().await;
        assert_eq!(summary.done, 40, "{places}: {summary:?}");
        assert_eq!(rig.emulator.ledger().purchases().len(), 40, "{places}");
        let most = "SELECT max(held) || ' ' || \
                    (SELECT max(rows) FROM (SELECT count(*) AS rows FROM public.claim \
                     GROUP BY written) AS of_one) FROM public.claim";
        let most = postgres::text(&place, most).await;
        let (held, claimed) = most.split_once(' ').unwrap();
        assert_eq!(claimed, of_one.to_string(), "{places} places");
        assert!(
            held.parse::<usize>().unwrap() <= places,
            "{most}: {places} places"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_stop_meets_between_claim_and_submit_are_free_for_other_workers() {
    let Some(server) = server("claims::rows_that_a_stop_meets") else {
        return;
    };
    let rig = Rig::plain().await;
    let (place, folder) = (server.database().await, tempfile::tempdir().unwrap());
    let journal = Journal::connect(&place).await.unwrap();
    offer(&journal, &rig, 12).await;
    let work = async || {
        let work = journal.work(&rig.client, "b", folder.path()).await.unwrap();
        work.concurrency(12)
    };
    // The claim waits for the account, and the stop comes meanwhile.
    let account = hold_account(&place).await;
    let stop = Stop::new();
    let run = work().await.stop(&stop).start();
    claim_waits(&place).await;
    stop.stop();
    account.batch_execute("COMMIT").await.unwrap();
    let summary = run.finish().await;
    assert_eq!(summary.stopped, Some(Stopped::Asked));
    assert_eq!(rig.emulator.ledger().purchases().len(), 0);
    let free = "SELECT count(*)::text FROM uso.job WHERE state = 'pending' AND worker IS NULL \
                AND reserved IS NULL AND fence > 0";
    assert_eq!(postgres::text(&place, free).await, "12", "{summary:?}");
    let second = work().await.start().finish().await;
    assert_eq!((second.done, second.stopped), (12, None));
    assert_eq!(rig.emulator.ledger().purchases().len(), 12);
}

#[tokio::test]
async fn rows_that_are_claimed_for_a_run_that_was_dropped_are_free_or_go_on() {
    let Some(server) = server("claims::rows_that_are_claimed") else {
        return;
    };
    let rig = Rig::plain().await;
    let (place, folder) = (server.database().await, tempfile::tempdir().unwrap());
    let journal = Journal::connect(&place).await.unwrap();
    offer(&journal, &rig, 12).await;
    let work = async || {
        let work = journal.work(&rig.client, "b", folder.path()).await.unwrap();
        work.concurrency(12)
    };
    let account = hold_account(&place).await;
    let run = work().await.start();
    claim_waits(&place).await;
    drop(run);
    account.batch_execute("COMMIT").await.unwrap();
    let free = "SELECT (count(*) = 12)::text FROM uso.job \
                WHERE fence > 0 AND worker IS NULL AND state IN ('pending', 'done')";
    let is_free = async || postgres::text(&place, free).await == "true";
    until_async("every row is free", is_free).await;
    let second = work().await.start().finish().await;
    assert_eq!(
        (second.stopped, rig.emulator.ledger().purchases().len()),
        (None, 12)
    );
}
