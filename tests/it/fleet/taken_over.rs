//! Claims that another worker takes over between the record of the submit and its outcome, while the
//! first worker goes on under a new lease.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::{JoinHandle, block_in_place};
use uso::{Client, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Error, Journal, Progress, Purchase, State};
use uso_tests::postgres::{self, Cluster};
use uso_tests::rig::{Rig, content, until, until_async};

use super::server;

/// How much later the service responds, by its own clock.
const LATE: Duration = Duration::from_secs(60);

fn request() -> Request {
    Request::subject(content(), "x")
}

/// A worker that buys, and another one on the same journal.
struct Pair {
    rig: Rig,
    place: String,
    first: Journal,
    second: Journal,
    folder: TempDir,
}

impl Pair {
    /// Both workers, with a service that lists nothing: the outcome of a lost submit stays unknown.
    async fn new(server: &Cluster, scenario: Scenario) -> Self {
        let scenario = scenario
            .on(Operation::Listing, Fault::EmptyListing)
            .always();
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let place = server.database().await;
        let first = Journal::connect(&place).await.unwrap();
        // Renewed twice in a second.
        postgres::run(&place, "UPDATE uso.journal SET lease_ms = 3000").await;
        Self {
            rig,
            first,
            second: Journal::connect(&place).await.unwrap(),
            place,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The purchase by the first worker, in a task of its own.
    fn buy(&self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Buying {
        let buy = self.first.purchase(&self.rig.client, "key", request());
        let buy = buy.folder(self.folder.path()).on_progress(tell);
        tokio::spawn(async move { buy.await })
    }

    /// Ends the lease of the first worker, as time does, has the second one take its row over, and
    /// waits until the first one has another lease.
    async fn take_over(&self) {
        postgres::run(&self.place, "DELETE FROM uso.worker").await;
        let second = self.second.purchase(self.client(), "key", request());
        let unknown = second.folder(self.folder.path()).await.unwrap();
        assert_eq!(unknown.state, State::Unknown, "{unknown:?}");
        let leases = "SELECT count(*)::text FROM uso.worker";
        let has_another = async || postgres::text(&self.place, leases).await == "2";
        until_async("a lease for each worker", has_another).await;
    }

    /// Has the owner give the attempt up and ask for another one, through the second worker.
    async fn ask_again(&self) {
        let id = self.row().await.id;
        self.second
            .write_off(self.client(), id, State::Unknown)
            .await
            .unwrap();
        self.second.retry(self.client(), id, 1).await.unwrap();
    }

    /// Has the owner give the attempt up and buy again, through the second worker.
    async fn buy_again(&self) -> Purchase {
        self.ask_again().await;
        let again = self.second.purchase(self.client(), "key", request());
        let again = again.folder(self.folder.path()).await.unwrap();
        assert_eq!((again.state, again.attempt), (State::Done, 2), "{again:?}");
        again
    }

    async fn row(&self) -> Purchase {
        self.second.find(self.client(), "key").await.unwrap()
    }

    fn client(&self) -> &Client {
        &self.rig.client
    }

    fn bought(&self) -> usize {
        self.rig.emulator.ledger().purchases().len()
    }

    fn submits(&self) -> usize {
        let words = self.rig.operations();
        words.iter().filter(|word| *word == "submit").count()
    }
}

type Buying = JoinHandle<Result<Purchase, Error>>;

/// A purchase whose response is under way when its row is taken over.
async fn late(server: &Cluster) -> (Pair, Buying) {
    let late = Scenario::new().on(Operation::Submit, Fault::Delay(LATE));
    let pair = Pair::new(server, late.times(1)).await;
    let buying = pair.buy(|_| {});
    until("the purchase", || pair.bought() == 1).await;
    pair.take_over().await;
    (pair, buying)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_claim_is_not_sent_under_the_next_lease() {
    let Some(server) = server("taken_over::next_lease") else {
        return;
    };
    let pair = Pair::new(server, Scenario::new()).await;
    let (sending, is_sending) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Arc::new(std::sync::Mutex::new(goes_on));
    let buying = pair.buy(move |progress| {
        if matches!(progress, Progress::Sending) {
            sending.send(()).unwrap();
            block_in_place(|| goes_on.lock().unwrap().recv().unwrap());
        }
    });
    block_in_place(|| is_sending.recv().unwrap());
    pair.take_over().await;
    let again = pair.buy_again().await;
    go_on.send(()).unwrap();
    // The call is told what its key came to.
    assert_eq!(buying.await.unwrap().unwrap(), again);
    assert_eq!((pair.submits(), pair.bought()), (1, 1), "it sent late");
    assert_eq!(pair.row().await.ticket, again.ticket);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_submit_that_was_throttled_is_not_repeated_after_its_claim_was_lost() {
    let Some(server) = server("taken_over::throttled") else {
        return;
    };
    let throttled = Fault::Throttled {
        retry_after: Some(4),
    };
    let throttled = Scenario::new().on(Operation::Submit, throttled).times(1);
    let pair = Pair::new(server, throttled).await;
    let buying = pair.buy(|_| {});
    until("the first submit", || pair.submits() == 1).await;
    pair.take_over().await;
    let again = pair.buy_again().await;
    // The call is told what its key came to.
    assert_eq!(buying.await.unwrap().unwrap(), again);
    assert_eq!((pair.submits(), pair.bought()), (2, 1), "it was repeated");
    assert_eq!(pair.row().await.ticket, again.ticket);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_response_that_comes_after_the_claim_was_lost_is_recorded_and_collected() {
    let Some(server) = server("taken_over::late") else {
        return;
    };
    let (pair, buying) = late(server).await;
    pair.rig.emulator.advance(LATE);
    let late = buying.await.unwrap().unwrap();
    assert_eq!((late.state, late.attempt), (State::Done, 1), "{late:?}");
    assert_eq!(pair.row().await, late);
    assert_eq!((pair.submits(), pair.bought()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_response_that_comes_after_the_owner_bought_again_stays_off_the_new_attempt() {
    let Some(server) = server("taken_over::other_attempt") else {
        return;
    };
    let (pair, buying) = late(server).await;
    let again = pair.buy_again().await;
    pair.rig.emulator.advance(LATE);
    let late = buying.await.unwrap();
    let Err(Error::BoughtEarlier { ticket, .. }) = late else {
        panic!("the request id is told: {late:?}");
    };
    let ids: Vec<_> = [&Some(*ticket), &again.ticket]
        .map(|ticket| ticket.as_ref().unwrap().request_id().to_owned())
        .into();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(pair.row().await, again);
    let past = "SELECT request_id FROM uso.past_attempt WHERE number = 1";
    assert_eq!(postgres::text(&pair.place, past).await, ids[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_response_that_comes_before_the_attempt_after_it_was_sent_is_recorded_and_collected() {
    let Some(server) = server("taken_over::earlier_attempt") else {
        return;
    };
    let (pair, buying) = late(server).await;
    pair.ask_again().await;
    pair.rig.emulator.advance(LATE);
    let late = buying.await.unwrap().unwrap();
    assert_eq!((late.state, late.attempt), (State::Done, 2), "{late:?}");
    assert_eq!(pair.row().await, late);
    let second = pair
        .second
        .purchase(pair.client(), "key", request())
        .folder(pair.folder.path());
    assert_eq!(second.await.unwrap(), late);
    assert_eq!((pair.submits(), pair.bought()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_row_that_the_process_claims_anew_waits_for_its_task_of_the_lost_claim() {
    let Some(server) = server("taken_over::own_row") else {
        return;
    };
    let late = Scenario::new().on(Operation::Submit, Fault::Delay(LATE));
    let pair = Pair::new(server, late.times(1)).await;
    let row = ("key", request());
    let offer = pair.first.offer(pair.client(), "b", row, None);
    offer.await.unwrap();
    let (recorded, is_recorded) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = std::sync::Mutex::new(goes_on);
    let buy = pair.first.purchase(pair.client(), "key", request());
    let buy = buy.batch("b", None).on_progress(move |progress| {
        if matches!(progress, Progress::Submitted(_)) {
            recorded.send(()).unwrap();
            block_in_place(|| goes_on.lock().unwrap().recv().unwrap());
        }
    });
    let buying = tokio::spawn(async move { buy.await });
    until("the purchase", || pair.bought() == 1).await;
    pair.take_over().await;
    pair.rig.emulator.advance(LATE);
    block_in_place(|| is_recorded.recv().unwrap());
    // Free and bought: the next claim is the one of this process's batch.
    let work = pair.first.work(pair.client(), "b", pair.folder.path());
    let run = work.await.unwrap().start();
    let held = "SELECT (worker IS NOT NULL)::text FROM uso.job";
    let is_held = async || postgres::text(&pair.place, held).await == "true";
    until_async("the claim", is_held).await;
    go_on.send(()).unwrap();
    let late = buying.await.unwrap().unwrap();
    assert_eq!(late.state, State::Done, "{late:?}");
    let summary = run.finish().await;
    // On a busy machine the lease of the new claim may end, too: then the task itself collects.
    let left = (summary.failed, summary.unknown, summary.unfinished);
    assert_eq!(left, (0, 0, 0), "{summary:?}");
    assert_eq!(pair.row().await.state, State::Done);
    assert_eq!((pair.submits(), pair.bought()), (1, 1));
}
