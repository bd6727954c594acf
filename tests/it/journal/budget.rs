//! Caps hold for every buyer.

use tokio::task::JoinSet;
use uso::{MicroDollars, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{BudgetStop, Error, Scope, State, Stopped, UnitPrice};
use uso_tests::rig::Rig;

use super::{Desk, request};

/// Room for twenty pictures of a megapixel.
const TWENTY: u64 = 20 * 100_000;

#[tokio::test]
async fn fifty_keys_with_a_budget_for_twenty_buy_twenty() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let cap = Some(MicroDollars::new(TWENTY));
    desk.journal.set_caps(client, None, cap).await.unwrap();
    let mut calls = JoinSet::new();
    for number in 0..50 {
        // One megapixel, so that the bill is the bound.
        let size = uso::ImageSize {
            width: Some(1000),
            height: Some(1000),
        };
        let size = uso::types::ImageSizeChoice::from(size);
        let request = Request::subject("https://example.org/a.png", "x").size(size);
        let buy = desk.journal.purchase(client, number.to_string(), request);
        calls.spawn(async move { buy.await });
    }
    let outcomes = calls.join_all().await;
    let done = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(purchase) if purchase.state == State::Done));
    assert_eq!(done.count(), 20);
    let stopped = outcomes.iter().filter(|outcome| {
        matches!(
            outcome,
            Err(Error::Budget(BudgetStop::Exceeded {
                scope: Scope::Total,
                ..
            }))
        )
    });
    assert_eq!(stopped.count(), 30);
    assert_eq!(desk.bought(), 20);
    let budget = desk.journal.budget(client).await.unwrap();
    assert_eq!(budget.total_committed.get(), TWENTY);
    assert_eq!(budget.day_committed.get(), TWENTY);
}

#[tokio::test]
async fn a_bill_below_the_bound_makes_room_again() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let cap = Some(MicroDollars::new(150_000));
    desk.journal.set_caps(client, cap, None).await.unwrap();
    let done = desk
        .journal
        .purchase(client, "a", request("a"))
        .await
        .unwrap();
    assert_eq!(done.cost.reserved, Some(MicroDollars::new(100_000)));
    assert!(done.cost.billed.unwrap().get() < 1000);
    let second = desk
        .journal
        .purchase(client, "b", request("b"))
        .await
        .unwrap();
    assert_eq!(second.state, State::Done);
}

#[tokio::test]
async fn without_a_price_no_cap_lets_a_purchase_through() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let cap = MicroDollars::new(1_000_000);
    let buy = || desk.journal.purchase(client, "a", request("a")).price(None);
    let capped = buy().max_cost(cap).await;
    assert!(
        matches!(capped, Err(Error::Budget(BudgetStop::NoPrice { .. }))),
        "{capped:?}"
    );
    assert_eq!(desk.bought(), 0);
    assert_eq!(buy().await.unwrap().state, State::Done);
}

#[tokio::test]
async fn a_price_of_the_account_decides_what_is_reserved_and_billed() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let price = UnitPrice::new(MicroDollars::new(50_000), "2026-11-20").unwrap();
    let buy = desk.journal.purchase(client, "a", request("a"));
    let done = buy.price(price).await.unwrap();
    assert_eq!(done.cost.reserved, Some(MicroDollars::new(50_000)));
    assert_eq!(done.cost.unit_price.unwrap().date(), "2026-11-20");
}

#[tokio::test]
async fn a_batch_stops_before_the_purchase_that_would_exceed_its_budget() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let rows = || (0..9).map(|number| (number.to_string(), request(&format!("{number}"))));
    let run = || {
        let batch = desk.journal.run(client, rows());
        batch.name("cats").concurrency(1)
    };
    let first = run()
        .budget(MicroDollars::new(100_100))
        .start()
        .finish()
        .await;
    assert!(
        matches!(first.stopped, Some(Stopped::Budget(_))),
        "{first:?}"
    );
    assert!((1..9).contains(&first.done), "{first:?}");
    assert_eq!(desk.bought(), usize::try_from(first.done).unwrap());
    let second = run()
        .budget(MicroDollars::new(9_000_000))
        .start()
        .finish()
        .await;
    assert_eq!((second.done, second.stopped), (9, None));
    assert_eq!(desk.bought(), 9);
    let spent = desk.journal.batch_committed(client, "cats").await.unwrap();
    let billed: u64 = desk.rig.emulator.ledger().total_micro_dollars();
    assert_eq!(spent.get(), billed);
}

#[tokio::test]
async fn a_claim_of_several_rows_takes_those_that_every_cap_has_room_for() {
    for scope in [Scope::Batch, Scope::Day, Scope::Total] {
        a_claim_takes_what_has_room(scope).await;
    }
}

async fn a_claim_takes_what_has_room(scope: Scope) {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let size = uso::types::ImageSizeChoice::from(uso::ImageSize {
        width: Some(1000),
        height: Some(1000),
    });
    for number in 0..5 {
        let request = Request::subject("https://example.org/a.png", "x").size(size.clone());
        let row = (number.to_string(), request.seed(number));
        let price = Some(UnitPrice::published());
        desk.journal.offer(client, "b", row, price).await.unwrap();
    }
    let work = async |cap| {
        let cap = Some(MicroDollars::new(cap));
        let set = match scope {
            Scope::Day => desk.journal.set_caps(client, cap, None).await,
            Scope::Total => desk.journal.set_caps(client, None, cap).await,
            _ => desk.journal.set_batch_cap(client, "b", cap).await,
        };
        set.unwrap();
        let out = desk.path().join("out");
        let work = desk.journal.work(client, "b", out).await.unwrap();
        work.concurrency(5).start().finish().await
    };
    let first = work(399_999).await;
    let is_stopped = matches!(first.stopped, Some(Stopped::Budget(_)));
    assert!(is_stopped && first.done == 3, "{scope:?}: {first:?}");
    assert_eq!(desk.bought(), 3);
    let rows = desk.journal.jobs(client).read().await.unwrap();
    let free = rows.iter().filter(|row| row.state == State::Pending);
    assert_eq!(free.filter(|row| !row.in_work).count(), 2, "{rows:?}");
    let second = work(500_000).await;
    assert_eq!((second.done, second.stopped), (2, None));
    let spent = desk.journal.batch_committed(client, "b").await.unwrap();
    assert_eq!(spent.get(), 500_000);
}

#[tokio::test]
async fn what_a_failed_attempt_may_cost_counts_beside_the_next_attempt() {
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    let scenario = Scenario::new().on(Operation::Submit, failure);
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
    let client = &desk.rig.client;
    let buy = || desk.journal.purchase(client, "key", request("a cat"));
    let failed = buy().await.unwrap();
    assert_eq!((failed.state, failed.cost.billed), (State::Failed, None));
    let spent = async || {
        let budget = desk.journal.budget(client).await.unwrap();
        (budget.day_committed.get(), budget.total_committed.get())
    };
    assert_eq!(spent().await, (100_000, 100_000));
    desk.journal.retry(client, failed.id, 1).await.unwrap();
    assert_eq!(spent().await, (100_000, 100_000));
    let billed = buy().await.unwrap().cost.billed.unwrap().get();
    assert_eq!(spent().await, (100_000 + billed, 100_000 + billed));
}
