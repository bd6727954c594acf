//! Purchases that begin at once, are watched by others, and are stopped before they are sent.

use std::future::IntoFuture as _;
use std::time::Duration;

use uso::Event;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Cause, State, Stop, WatchEvent};
use uso_tests::rig::{Rig, until};

use super::{Desk, request};

const HOUR: Duration = Duration::from_secs(3600);

async fn slow() -> Desk {
    Desk::new(Rig::of(Rig::plain_builder().inference_time(HOUR)).await).await
}

#[tokio::test]
async fn a_begun_purchase_is_durable_at_once_and_watched_to_its_end() {
    let desk = slow().await;
    let client = &desk.rig.client;
    let begin = || {
        let buy = desk.journal.purchase(client, "key", request("a cat"));
        buy.begin()
    };
    let begun = begin().await.unwrap();
    assert_eq!((begun.state, desk.bought()), (State::Reserved, 0));
    // A second journal is what another process is.
    let other = desk.open().await;
    let mut events = other.watch(client, begun.id);
    let (mut states, mut has_run) = (Vec::new(), false);
    while let Some(event) = events.next().await {
        match event.unwrap() {
            WatchEvent::Row(row) => states.push(row.state),
            WatchEvent::Job(Event::Running) => {
                has_run = true;
                desk.rig.emulator.advance(HOUR);
            }
            _ => {}
        }
    }
    assert!(has_run, "{states:?}");
    assert_eq!(states.last(), Some(&State::Done), "{states:?}");
    assert_eq!(begin().await.unwrap().state, State::Done);
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn watching_a_detached_job_ends_with_the_job_and_saves_nothing() {
    let desk = slow().await;
    let client = &desk.rig.client;
    let buy = desk.journal.purchase(client, "key", request("a cat"));
    let bought = buy.detach(true).await.unwrap();
    desk.rig.emulator.advance(HOUR);
    let mut events = desk.journal.watch(client, bought.id);
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.unwrap());
    }
    assert!(
        matches!(last, Some(WatchEvent::Job(Event::Completed(_)))),
        "{last:?}"
    );
    let row = desk.journal.get(client, bought.id).await.unwrap();
    assert_eq!(row.state, State::Submitted);
    let fetched = desk.rig.operations().iter().any(|word| word == "file");
    assert!(!fetched);
}

#[tokio::test]
async fn a_purchase_that_is_stopped_before_the_submit_is_withdrawn() {
    let hanging = Scenario::new().on(Operation::Initiate, Fault::Hang);
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(hanging)).await).await;
    let client = &desk.rig.client;
    let stop = Stop::new();
    let buy = desk
        .journal
        .purchase(client, "key", request("a cat"))
        .stop(&stop);
    let uploading = async {
        until("a request", || !desk.rig.operations().is_empty()).await;
        stop.stop();
    };
    let (ended, ()) = tokio::join!(buy.into_future(), uploading);
    let ended = ended.unwrap();
    assert_eq!(ended.state, State::Cancelled);
    assert_eq!(ended.reason.unwrap().cause, Cause::Cancelled);
    let budget = desk.journal.budget(client).await.unwrap();
    assert_eq!((budget.total_committed.get(), desk.bought()), (0, 0));
}
