//! Offered rows of a batch, beside other calls with their keys and after faults.

use std::net::SocketAddr;
use std::time::Duration;

use uso::{ErrorKind, MicroDollars};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{BatchEvent, Error, Journal, Run, State, Stop, Stopped, Summary, UnitPrice};
use uso_tests::rig::{Rig, config_for, until};

use super::{Desk, request};

async fn with(scenario: Scenario) -> Desk {
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation);
    Desk::new(rig.await).await
}

async fn offer(desk: &Desk, key: &str) -> State {
    let row = (key.to_owned(), request(key));
    let price = Some(UnitPrice::published());
    let offered = desk.journal.offer(&desk.rig.client, "cats", row, price);
    offered.await.unwrap().state
}

async fn work(desk: &Desk, places: usize) -> Summary {
    let folder = desk.path().join("out");
    let work = desk.journal.work(&desk.rig.client, "cats", folder);
    work.await
        .unwrap()
        .concurrency(places)
        .start()
        .finish()
        .await
}

async fn state(desk: &Desk, key: &str) -> State {
    let found = desk.journal.find(&desk.rig.client, key);
    found.await.unwrap().state
}

/// A detached purchase leaves a row that is bought and that no worker has.
#[tokio::test]
async fn rows_that_are_bought_are_collected_where_the_budget_has_no_room_for_the_others() {
    // Rows that are pending, before and behind those that are bought.
    for (places, before, behind) in [(1, 1, 0), (1, 20, 1), (3, 40, 2)] {
        let desk = with(Scenario::new()).await;
        let client = &desk.rig.client;
        for row in 0..before {
            offer(&desk, &format!("before-{row}")).await;
        }
        for key in ["one", "two"] {
            offer(&desk, key).await;
            let buy = desk.journal.purchase(client, key, request(key));
            let bought = buy.batch("cats", None).detach(true).await.unwrap();
            assert_eq!(bought.state, State::Submitted);
        }
        for row in 0..behind {
            offer(&desk, &format!("behind-{row}")).await;
        }
        // Less than what is committed, so that no bill makes room.
        let cap = Some(MicroDollars::new(1));
        let cap = desk.journal.set_batch_cap(client, "cats", cap);
        cap.await.unwrap();
        let summary = work(&desk, places).await;
        let stopped = &summary.stopped;
        assert!(matches!(stopped, Some(Stopped::Budget(_))), "{summary:?}");
        assert_eq!((summary.done, desk.bought()), (2, 2), "{summary:?}");
    }
}

#[tokio::test]
async fn a_row_that_was_refused_is_offered_again() {
    for fault in [Fault::Unauthorized, Fault::Locked] {
        let desk = with(Scenario::new().on(Operation::Submit, fault).times(1)).await;
        let client = &desk.rig.client;
        assert_eq!(offer(&desk, "row").await, State::Pending);
        // The refusal is final for this call, and for the batch where the key is not accepted.
        let buy = desk.journal.purchase(client, "row", request("row"));
        let refused = buy.batch("cats", None).await;
        assert!(
            matches!(refused, Err(Error::NotBought { .. })),
            "{refused:?}"
        );
        assert_eq!(state(&desk, "row").await, State::Failed);
        assert_eq!(work(&desk, 1).await, Summary::default());
        assert_eq!(offer(&desk, "row").await, State::Pending);
        assert_eq!(work(&desk, 1).await.done, 1);
        assert_eq!(desk.bought(), 1);
        // A row that is done stays so.
        assert_eq!(offer(&desk, "row").await, State::Done);
    }
}

#[tokio::test]
async fn a_row_of_a_run_that_a_stop_meets_before_its_submit_is_left_to_the_next_run() {
    const LATE: Duration = Duration::from_secs(60);
    let late = Scenario::new().on(Operation::Upload, Fault::Delay(LATE));
    let rig = Rig::of(Rig::pictures_builder().scenario(late.times(1))).await;
    let desk = Desk::new(rig).await;
    let client = &desk.rig.client;
    let run = || {
        let rows = [("row".to_owned(), request("a cat"))];
        desk.journal.run(client, rows).name("cats")
    };
    let stop = Stop::new();
    let stopped = run().stop(&stop).start();
    let uploads = || {
        let requests = desk.rig.emulator.requests();
        let is_upload =
            |request: &&uso_emulator::LoggedRequest| request.operation == Operation::Upload;
        requests.iter().filter(is_upload).count()
    };
    until("the upload", || uploads() == 1).await;
    stop.stop();
    desk.rig.emulator.advance(LATE);
    let summary = stopped.finish().await;
    assert_eq!(
        (summary.unfinished, &summary.stopped),
        (1, &Some(Stopped::Asked)),
        "{summary:?}"
    );
    assert_eq!(desk.bought(), 0, "it was sent after the stop");
    let row = desk.journal.find(client, "row").await.unwrap();
    assert_eq!((row.state, row.in_work), (State::Pending, false));
    let second = run().start().finish().await;
    assert_eq!((second.done, desk.bought()), (1, 1));
}

#[tokio::test]
async fn a_row_whose_lookup_fails_is_counted_as_unknown() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .times(1)
        .on(Operation::Listing, Fault::Status(500))
        .always();
    let desk = with(scenario).await;
    let run = async || {
        let rows = [("row".to_owned(), request("a cat"))];
        let run = desk.journal.run(&desk.rig.client, rows);
        run.start().finish().await
    };
    for round in 0..2 {
        let summary = run().await;
        assert_eq!(
            (summary.unknown, summary.unfinished),
            (1, 0),
            "{round}: {summary:?}"
        );
    }
    assert_eq!(
        (state(&desk, "row").await, desk.bought()),
        (State::Unknown, 1)
    );
}

/// A port that refuses connections, and stays free for a service until the socket is dropped.
fn closed_port() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// The next event that is a pause, and how many rows have begun before.
async fn paused(run: &mut Run) -> (ErrorKind, usize) {
    let mut begun = 0;
    loop {
        match run.next().await.unwrap() {
            BatchEvent::Started { .. } => begun += 1,
            BatchEvent::Paused { kind, .. } => return (kind, begun),
            BatchEvent::Ended { key, outcome } => panic!("{key}: {outcome:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_batch_without_a_network_pauses_and_goes_on_with_it() {
    let (socket, addr) = closed_port();
    let client = client_of(addr);
    let folder = tempfile::tempdir().unwrap();
    let (given, offered) = [Journal::temporary(), Journal::temporary()]
        .map(Result::unwrap)
        .into();
    let row = |key: u64| {
        let request = uso::Request::subject("https://example.org/a.png", "x").seed(key);
        (format!("row-{key}"), request)
    };
    for key in 0..3 {
        offered
            .offer(&client, "cats", row(key), None)
            .await
            .unwrap();
    }
    let given = given.run(&client, (0..3).map(row)).folder(folder.path());
    let offered = offered.work(&client, "cats", folder.path()).await.unwrap();
    let mut runs = [given, offered].map(|batch| batch.concurrency(1).start());
    for run in &mut runs {
        assert_eq!(paused(run).await, (ErrorKind::Unreachable, 1));
    }
    drop(socket);
    let emulator = Rig::plain_builder().listen(addr).start().await.unwrap();
    for run in runs {
        let summary = run.finish().await;
        assert_eq!((summary.done, summary.unfinished), (3, 0), "{summary:?}");
    }
    assert_eq!(emulator.ledger().purchases().len(), 6);
}

/// A client of a service that is not there, which repeats nothing by itself.
fn client_of(addr: SocketAddr) -> uso::Client {
    let once = uso::config::RetryPolicy::default().attempts(1);
    let config = config_for(&format!("http://{addr}")).unwrap().retry(once);
    uso::Client::new(config).unwrap()
}

/// Lets the paused time of a test pass, a second in each ten milliseconds, so that it cannot run away
/// while a slow disk keeps the journal waiting: a pending blocking task holds it still.
async fn pass_time() -> ! {
    loop {
        let waited = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(10)));
        waited.await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

/// The host of its upload may be down alone.
#[tokio::test(start_paused = true)]
async fn a_row_that_did_not_reach_the_service_is_tried_after_the_others() {
    let (_socket, addr) = closed_port();
    let client = client_of(addr);
    let journal = Journal::temporary().unwrap();
    let rows = (0..3).map(|key| (format!("row-{key}"), request(&key.to_string())));
    let mut run = journal.run(&client, rows).concurrency(1).start();
    let trying = async {
        let mut tried = Vec::new();
        while tried.len() < 4 {
            if let BatchEvent::Started { key } = run.next().await.unwrap() {
                tried.push(key);
            }
        }
        tried
    };
    tokio::select! {
        tried = trying => assert_eq!(tried, ["row-0", "row-1", "row-2", "row-0"]),
        never = pass_time() => never,
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_never_reaches_the_service_stops() {
    let (_socket, addr) = closed_port();
    let client = client_of(addr);
    let journal = Journal::temporary().unwrap();
    let rows = (0..3).map(|key| (format!("row-{key}"), request(&key.to_string())));
    let summary = journal
        .run(&client, rows)
        .concurrency(1)
        .start()
        .finish()
        .await;
    assert!(
        matches!(summary.stopped, Some(Stopped::Unreachable(_))),
        "{summary:?}"
    );
}
