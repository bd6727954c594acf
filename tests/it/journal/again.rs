//! Buying again by the number of the attempt, and calls that may not buy.

use std::time::Duration;

use tokio::task::JoinSet;
use uso::MicroDollars;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Buy, Error, Purchase, State};
use uso_tests::rig::{Rig, until_async};

use super::{Desk, request};

fn failing() -> Scenario {
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    Scenario::new().on(Operation::Submit, failure)
}

async fn with(scenario: Scenario) -> Desk {
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, uso::Config::without_reconciliation);
    Desk::new(rig.await).await
}

fn buy(desk: &Desk) -> Buy {
    desk.journal
        .purchase(&desk.rig.client, "key", request("a cat"))
}

async fn row(desk: &Desk) -> Purchase {
    desk.journal.find(&desk.rig.client, "key").await.unwrap()
}

#[tokio::test]
async fn calls_that_are_repeated_make_the_attempt_that_they_name_and_no_other() {
    let desk = with(failing().times(2)).await;
    let failed = buy(&desk).await.unwrap();
    assert_eq!((failed.state, failed.attempt), (State::Failed, 1));
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let call = buy(&desk).again(1);
        calls.spawn(async move { call.await.unwrap() });
    }
    for second in calls.join_all().await {
        assert_eq!((second.state, second.attempt), (State::Failed, 2));
    }
    assert_eq!(desk.bought(), 2);
    let third = buy(&desk).again(2).await.unwrap();
    assert_eq!((third.state, third.attempt), (State::Done, 3));
    for attempt in 0..5 {
        assert_eq!(buy(&desk).again(attempt).await.unwrap(), third);
    }
    assert_eq!(desk.bought(), 3);
}

#[tokio::test]
async fn a_later_attempt_that_bought_nothing_is_not_made_again_by_a_repeated_call() {
    let locked = Fault::Locked;
    let scenario = failing().times(1).on(Operation::Submit, locked).times(1);
    let desk = with(scenario).await;
    buy(&desk).await.unwrap();
    let refused = buy(&desk).again(1).await;
    assert!(
        matches!(refused, Err(Error::NotBought { .. })),
        "{refused:?}"
    );
    let second = buy(&desk).again(1).await.unwrap();
    assert!(second.is_not_bought() && second.attempt == 2, "{second:?}");
    assert_eq!(desk.bought(), 1);
    let third = buy(&desk).again(2).await.unwrap();
    assert_eq!((third.state, third.attempt), (State::Done, 3));
}

#[tokio::test]
async fn an_attempt_that_was_asked_for_and_not_begun_is_made_once() {
    let desk = with(failing().times(1)).await;
    let failed = buy(&desk).await.unwrap();
    let client = &desk.rig.client;
    desk.journal.retry(client, failed.id, 1).await.unwrap();
    // The attempt that a call of long ago named is another one.
    let pending = buy(&desk).again(0).await.unwrap();
    assert_eq!((pending.state, pending.attempt), (State::Pending, 2));
    assert_eq!(desk.bought(), 1);
    let second = buy(&desk).again(1).await.unwrap();
    assert_eq!((second.state, second.attempt), (State::Done, 2));
    assert_eq!(desk.bought(), 2);
}

#[tokio::test]
async fn of_two_callers_who_saw_one_failed_attempt_one_asks_for_the_next() {
    let desk = with(failing().times(2)).await;
    let failed = buy(&desk).await.unwrap();
    let client = &desk.rig.client;
    let retry = || desk.journal.retry(client, failed.id, failed.attempt);
    retry().await.unwrap();
    let second = buy(&desk).await.unwrap();
    assert_eq!((second.state, second.attempt), (State::Failed, 2));
    let refused = retry().await;
    assert!(
        matches!(refused, Err(Error::NotAllowed { .. })),
        "{refused:?}"
    );
    assert_eq!((row(&desk).await, desk.bought()), (second, 2));
}

#[tokio::test]
async fn a_pruned_failure_is_bought_again_like_any_other() {
    let locked = Scenario::new().on(Operation::Submit, Fault::Locked);
    for (scenario, attempts) in [(failing(), 2), (locked, 1)] {
        for again in [false, true] {
            let desk = with(scenario.clone().times(1)).await;
            let client = &desk.rig.client;
            let _ = buy(&desk).await;
            // It is older than now from the next millisecond on.
            let prune = async || desk.journal.prune(client, Duration::ZERO).await.unwrap() == 1;
            until_async("the failure is pruned", prune).await;
            let failed = row(&desk).await;
            assert!(failed.pruned, "{failed:?}");
            let done = match again {
                true => buy(&desk).again(1).await.unwrap(),
                false => {
                    desk.journal.retry(client, failed.id, 1).await.unwrap();
                    buy(&desk).await.unwrap()
                }
            };
            assert_eq!((done.state, done.attempt), (State::Done, 2));
            assert!(!done.pruned && done.input.is_some());
            assert_eq!(desk.bought(), attempts);
        }
    }
}

#[tokio::test]
async fn a_budget_without_room_leaves_the_failed_attempt_as_it_is() {
    let desk = with(failing().times(1)).await;
    let failed = buy(&desk).await.unwrap();
    assert!(failed.request_id().is_some());
    let refused = [
        buy(&desk).again(1).max_cost(MicroDollars::new(1)),
        buy(&desk).again(1).batch("cats", MicroDollars::new(1)),
    ];
    for refused in refused {
        let refused = refused.begin().await;
        assert!(matches!(refused, Err(Error::Budget(_))), "{refused:?}");
        assert_eq!(row(&desk).await, failed);
    }
    assert_eq!(desk.bought(), 1);
    let second = buy(&desk).again(1).await.unwrap();
    assert_eq!((second.state, second.attempt), (State::Done, 2));
}

#[tokio::test]
async fn an_unknown_purchase_is_looked_up_before_an_attempt_is_made_again() {
    let desk = with(Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop)).await;
    assert_eq!(buy(&desk).await.unwrap().state, State::Unknown);
    let found = buy(&desk).again(1).await.unwrap();
    assert_eq!((found.state, found.attempt), (State::Done, 1));
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_call_that_may_not_buy_collects_what_is_bought_and_leaves_no_row() {
    let desk = with(Scenario::new()).await;
    let only = || buy(&desk).only_bought();
    let refused = only().begin().await;
    assert!(matches!(&refused, Err(Error::WouldBuy(key)) if key == "key"));
    let refused = only().await;
    assert!(matches!(refused, Err(Error::WouldBuy(_))), "{refused:?}");
    let rows = desk.journal.jobs(&desk.rig.client).read().await.unwrap();
    assert_eq!((rows.len(), desk.bought()), (0, 0));

    let bought = buy(&desk).detach(true).await.unwrap();
    assert_eq!(bought.state, State::Submitted);
    let done = only().await.unwrap();
    assert_eq!(done.state, State::Done);
    assert_eq!(only().await.unwrap(), done);
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_call_that_may_not_buy_leaves_a_refused_purchase_refused() {
    let desk = with(
        Scenario::new()
            .on(Operation::Submit, Fault::Locked)
            .times(1),
    )
    .await;
    buy(&desk).await.unwrap_err();
    let refused = row(&desk).await;
    assert!(refused.is_not_bought());
    let only = buy(&desk).only_bought().await;
    assert!(matches!(only, Err(Error::WouldBuy(_))), "{only:?}");
    assert_eq!((row(&desk).await, desk.bought()), (refused, 0));
}
