//! Lookups: finding a purchase whose response was lost, and what proves that there is none.

use std::time::Duration;

use serde_json::Value;
use uso::config::RetryPolicy;
use uso::error::Verdict;
use uso::purchase::Recovery;
use uso::{Config, Error, ErrorKind, Intent, Request, UsoInput};
use uso_emulator::{Fault, OddListing, Operation, Scenario};
use uso_tests::rig::{Rig, until_async};

use super::{INFERENCE, quick};

/// A purchase whose response was lost, with a fault of the listing.
async fn lost_answer(listing: Fault) -> (Rig, Error) {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, listing)
        .always();
    let rig = Rig::configured(Rig::plain_builder().scenario(scenario), quick).await;
    let error = rig
        .client
        .submit(Request::subject("https://example.org/a.png", "x"))
        .await
        .unwrap_err();
    (rig, error)
}

/// A service that loses the response to every submit, and lists nothing; the client does not look.
async fn never_listed() -> Rig {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .always()
        .on(Operation::Listing, Fault::EmptyListing)
        .always();
    let builder = Rig::plain_builder().scenario(scenario);
    Rig::configured(builder, Config::without_reconciliation).await
}

#[tokio::test]
async fn accept_then_drop_is_adopted_and_the_ledger_says_one() {
    let rig = Rig::of(
        Rig::plain_builder().scenario(Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop)),
    )
    .await;
    let job = rig
        .client
        .submit(Request::subject("https://example.org/a.png", "x").seed(7))
        .await
        .unwrap();
    let ledger = rig.emulator.ledger();
    assert_eq!(ledger.purchases().len(), 1);
    assert_eq!(job.ticket().request_id(), ledger.purchases()[0].request_id);
    assert_eq!(job.ticket().seed(), Some(7));
    assert_eq!(job.wait().await.unwrap().seed(), Some(7));
}

#[tokio::test]
async fn without_the_listing_the_outcome_is_unknown_and_everything_to_look_later_is_there() {
    for listing in [Fault::Forbidden, Fault::Unauthorized, Fault::EmptyListing] {
        let (rig, error) = lost_answer(listing.clone()).await;
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{listing:?}");
        assert_eq!(error.delivery(), uso::error::Delivery::Unknown);
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
        let intent = error.intent().unwrap();
        let sent = rig.emulator.ledger().purchases()[0].input["seed"].as_u64();
        assert_eq!(intent.seed(), sent);
        let phrase = if listing == Fault::EmptyListing {
            "not found"
        } else {
            "may not read the listing"
        };
        assert!(error.to_string().contains(phrase), "{error}");
    }
}

#[tokio::test]
async fn two_matches_are_not_a_match() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .after(1);
    let rig = Rig::configured(Rig::plain_builder().scenario(scenario), quick).await;
    let request = || Request::subject("https://example.org/a.png", "x").seed(7);
    rig.client
        .submit(request())
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    let error = rig.client.submit(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(
        error
            .to_string()
            .contains("2 requests have exactly this input"),
        "{error}"
    );
}

#[tokio::test]
async fn a_purchase_that_the_listing_shows_altered_at_first_is_looked_for_until_it_is_found() {
    let scenario = || Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
    let request = || Request::subject("https://example.org/a.png", "x").seed(7);
    let altered = scenario().on(Operation::Listing, Fault::UnknownFields);
    let rig = Rig::of(Rig::plain_builder().scenario(altered)).await;
    let job = rig.client.submit(request()).await.unwrap();
    let purchases = rig.emulator.ledger();
    assert_eq!(purchases.purchases().len(), 1);
    assert_eq!(job.request_id(), purchases.purchases()[0].request_id);

    // A listing that stays altered names the candidate when the search ends.
    let altered = scenario()
        .on(Operation::Listing, Fault::UnknownFields)
        .always();
    let rig = Rig::configured(Rig::plain_builder().scenario(altered), quick).await;
    let error = rig.client.submit(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let ledger = rig.emulator.ledger();
    let id: &str = &ledger.purchases()[0].request_id;
    assert!(error.to_string().contains(id), "{error}");
}

#[tokio::test]
async fn a_seed_that_the_listing_rounds_is_never_taken_for_another_request() {
    // The first two lose digits in a float, the last is the largest that every float holds.
    for seed in [15_860_307_465_884_635_512, (1 << 53) + 1, (1 << 53) - 1] {
        let scenario = Scenario::new()
            .on(Operation::Submit, Fault::AcceptThenDrop)
            .on(
                Operation::Listing,
                Fault::OddListing(OddListing::RoundedSeed),
            )
            .always();
        let builder = Rig::plain_builder().scenario(scenario);
        let rig = Rig::configured(builder, Config::without_reconciliation).await;
        let request = Request::subject("https://example.org/a.png", "x").seed(seed);
        let error = rig.client.submit(request).await.unwrap_err();
        rig.emulator.advance(INFERENCE);
        // Long after the start deadline, when a request that is not listed was not bought.
        let mut intent = serde_json::to_value(error.intent().unwrap()).unwrap();
        for name in ["made_at_ms", "sent_at_ms"] {
            intent[name] = 0.into();
        }
        let intent = serde_json::from_value(intent).unwrap();
        let recovered = rig.client.recover(&intent).await.unwrap();
        let ledger = rig.emulator.ledger();
        let id: &str = &ledger.purchases()[0].request_id;
        match recovered {
            Recovery::Undecidable { candidates, .. } => assert_eq!(candidates, [id], "{seed}"),
            Recovery::Found(job) if seed < 1 << 53 => assert_eq!(job.request_id(), id),
            other => panic!("{seed}: {other:?}"),
        }
    }
}

/// Such a request may be missing from the listing.
#[tokio::test]
async fn a_purchase_without_history_is_never_taken_for_one_that_was_not_made() {
    let rig = never_listed().await;
    // The service tells its time, by which purchases are dated.
    let unknown = rig.client.job_by_id("unknown").unwrap();
    unknown.status().await.unwrap_err();
    let request = || Request::subject("https://example.org/a.png", "x");
    for (request, is_decided) in [(request(), true), (request().without_history(), false)] {
        let error = rig.client.submit(request).await.unwrap_err();
        let mut intent = serde_json::to_value(error.intent().unwrap()).unwrap();
        for name in ["made_at_ms", "sent_at_ms"] {
            intent[name] = 0.into();
        }
        let intent = serde_json::from_value(intent).unwrap();
        let recovered = rig.client.recover(&intent).await.unwrap();
        let decided = matches!(recovered, Recovery::NotBought);
        assert_eq!(decided, is_decided, "{recovered:?}");
    }
}

pub(super) fn changed(intent: &Intent, change: impl FnOnce(&mut Value)) -> Intent {
    let mut intent = serde_json::to_value(intent).unwrap();
    change(&mut intent);
    serde_json::from_value(intent).unwrap()
}

#[tokio::test]
async fn a_clock_that_was_wrong_at_the_purchase_never_proves_that_nothing_was_bought() {
    let rig = never_listed().await;
    let request = || Request::subject("https://example.org/a.png", "x");
    let hour_behind = |intent: &mut Value| {
        for name in ["made_at_ms", "sent_at_ms"] {
            intent[name] = (intent[name].as_u64().unwrap() - 3_600_000).into();
        }
    };

    // The service has not told its time.
    let error = rig.client.submit(request()).await.unwrap_err();
    let intent = changed(error.intent().unwrap(), hour_behind);
    let recovered = rig.client.recover(&intent).await.unwrap();
    let Recovery::Undecidable { why, .. } = recovered else {
        panic!("{recovered:?}");
    };
    assert!(why.contains("this machine's clock alone"), "{why}");

    // The lookup told it, so that the time of this purchase is the service's.
    let error = rig.client.submit(request()).await.unwrap_err();
    let intent = changed(error.intent().unwrap(), |intent| {
        intent["made_at_ms"] = (intent["made_at_ms"].as_u64().unwrap() - 3_600_000).into();
    });
    let recovered = rig.client.recover(&intent).await.unwrap();
    assert!(
        matches!(recovered, Recovery::NotYet { .. }),
        "{recovered:?}"
    );
}

#[tokio::test]
async fn the_search_for_a_lost_purchase_dates_it_by_the_clock_of_the_service() {
    let (rig, error) = lost_answer(Fault::EmptyListing).await;
    let long_ago = changed(error.intent().unwrap(), |intent| {
        let sent = |name: &str| intent[name].as_u64().unwrap();
        assert!(sent("sent_from_ms") <= sent("sent_at_ms"));
        intent["sent_at_ms"] = 0.into();
    });
    let recovered = rig.client.recover(&long_ago).await.unwrap();
    assert!(
        matches!(recovered, Recovery::NotYet { .. }),
        "by this machine's clock it is recent: {recovered:?}"
    );
    let long_ago = changed(&long_ago, |intent| intent["made_at_ms"] = 0.into());
    let recovered = rig.client.recover(&long_ago).await.unwrap();
    assert!(matches!(recovered, Recovery::NotBought), "{recovered:?}");
}

#[tokio::test]
async fn an_intent_that_is_written_down_before_the_submit_is_dated_by_the_clock_of_the_service() {
    let (rig, _) = lost_answer(Fault::EmptyListing).await;
    let request = Request::subject("https://example.org/a.png", "x");
    let prepared = rig.client.prepare(request).await.unwrap();
    let order = prepared.order();
    let written = rig.client.intent(order);
    assert_eq!(&written, order.intent());
    let recovered = rig.client.recover(&written).await.unwrap();
    assert!(
        matches!(recovered, Recovery::NotYet { .. }),
        "{recovered:?}"
    );
    let long_ago = |intent: &Intent| {
        changed(intent, |intent| {
            for name in ["made_at_ms", "sent_from_ms", "sent_at_ms"] {
                if let Some(time) = intent[name].as_u64() {
                    intent[name] = (time - 7_200_000).into();
                }
            }
        })
    };
    let recovered = rig.client.recover(&long_ago(&written)).await.unwrap();
    assert!(matches!(recovered, Recovery::NotBought), "{recovered:?}");
    let recovered = rig.client.recover(&long_ago(order.intent())).await;
    assert!(
        matches!(recovered, Ok(Recovery::Undecidable { .. })),
        "{recovered:?}"
    );
}

#[tokio::test]
async fn a_date_that_is_ahead_hides_no_purchase() {
    let (rig, error) = lost_answer(Fault::EmptyListing).await;
    rig.emulator.set_scenario(Scenario::new());
    let ahead = changed(error.intent().unwrap(), |intent| {
        let told = intent["sent_from_ms"].as_u64().unwrap();
        intent["sent_from_ms"] = (told + 3_600_000).into();
    });
    let recovered = rig.client.recover(&ahead).await.unwrap();
    assert!(matches!(recovered, Recovery::Found(_)), "{recovered:?}");
}

#[tokio::test]
async fn an_order_buys_once_and_may_be_placed_again_after_a_refusal() {
    for fault in [
        Fault::Throttled { retry_after: None },
        Fault::AcceptThenDrop,
    ] {
        let is_refused = fault != Fault::AcceptThenDrop;
        let scenario = Scenario::new().on(Operation::Submit, fault);
        let once = RetryPolicy::default().attempts(1);
        let configure = |config: Config| config.without_reconciliation().retry(once);
        let rig = Rig::configured(Rig::plain_builder().scenario(scenario), configure).await;
        let request = Request::subject("https://example.org/a.png", "x");
        let prepared = rig.client.prepare(request).await.unwrap();
        let order = prepared.order();
        rig.client.place(order).await.unwrap_err();
        let second = rig.client.place(order).await;
        assert_eq!(second.is_ok(), is_refused);
        let again = order.clone().with_low_priority();
        let error = rig.client.place(&again).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.verdict(), error.intent()),
            (
                ErrorKind::OutcomeUnknown,
                Verdict::Unknown,
                Some(order.intent())
            )
        );
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
        rig.client.place(&order.again().unwrap()).await.unwrap();
        assert_eq!(rig.emulator.ledger().purchases().len(), 2);
    }
}

#[tokio::test]
async fn a_lost_submit_is_dated_by_its_beginning_and_its_end() {
    let limit = Duration::from_millis(200);
    let configure = |config: Config| config.without_reconciliation().answer_within(limit);
    let now = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_millis()
    };
    for tells_time in [false, true] {
        let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenHang);
        let rig = Rig::configured(Rig::plain_builder().scenario(scenario), configure).await;
        if tells_time {
            let unknown = rig.client.job_by_id("unknown").unwrap();
            unknown.status().await.unwrap_err();
        }
        let request = Request::subject("https://example.org/a.png", "x");
        let prepared = rig.client.prepare(request).await.unwrap();
        let before = now();
        let error = rig.client.place(prepared.order()).await.unwrap_err();
        let intent = serde_json::to_value(error.intent().unwrap()).unwrap();
        let time = |name: &str| intent[name].as_u64().map(u128::from);
        let sent_at = time("sent_at_ms").unwrap();
        assert!(sent_at >= before + limit.as_millis(), "{intent} {before}");
        let sent_from = time("sent_from_ms");
        assert_eq!(sent_from.is_some(), tells_time, "{intent}");
        assert!(
            sent_from.is_none_or(|from| from <= before),
            "{intent} {before}"
        );
    }
}

#[tokio::test]
async fn a_purchase_is_found_though_this_machines_clock_was_a_minute_ahead() {
    let (rig, error) = lost_answer(Fault::EmptyListing).await;
    rig.emulator.set_scenario(Scenario::new());
    let ahead = changed(error.intent().unwrap(), |intent| {
        for name in ["made_at_ms", "sent_from_ms", "sent_at_ms"] {
            intent[name] = (intent[name].as_u64().unwrap() + 60_000).into();
        }
    });
    let recovered = rig.client.recover(&ahead).await.unwrap();
    assert!(matches!(recovered, Recovery::Found(_)), "{recovered:?}");
}

#[tokio::test]
async fn a_submit_whose_body_is_cut_is_known_by_the_head_of_its_response() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::TruncatedBody);
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, Config::without_reconciliation).await;
    let request = Request::subject("https://example.org/a.png", "x");
    let job = rig.client.submit(request).await.unwrap();
    let ledger = rig.emulator.ledger();
    assert_eq!(job.request_id(), ledger.purchases()[0].request_id);
}

#[tokio::test]
async fn an_id_that_a_fault_names_is_taken_only_where_no_other_purchase_has_it() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::AcceptThenStatus(500));
    let builder = Rig::plain_builder().scenario(scenario);
    let rig = Rig::configured(builder, Config::without_reconciliation).await;
    let request = Request::subject("https://example.org/a.png", "x");
    let error = rig.client.submit(request).await.unwrap_err();
    let intent = error.intent().unwrap();
    let id = intent.candidate().unwrap().to_owned();
    let recovered = rig.client.recover(intent).await.unwrap();
    assert!(matches!(recovered, Recovery::Found(_)), "{recovered:?}");
    let anothers = intent.clone().except([id]);
    let recovered = rig.client.recover(&anothers).await.unwrap();
    assert!(
        matches!(recovered, Recovery::NotYet { .. }),
        "{recovered:?}"
    );
}

#[tokio::test]
async fn a_purchase_is_found_in_a_listing_whose_pages_are_longer_than_a_response_may_be() {
    // Pages of 20 are too long, and in the second case pages of 5, too.
    for (max_body, length) in [(400_000, 30_000), (100_000, 30_000)] {
        let builder = Rig::plain_builder().scenario(
            Scenario::new()
                .on(Operation::Submit, Fault::AcceptThenDrop)
                .after(21),
        );
        let configure = |config: Config| config.max_body(max_body).without_reconciliation();
        let rig = Rig::configured(builder, configure).await;
        let request = |seed| {
            let picture = format!("data:image/png;base64,{}", "A".repeat(length));
            Request::raw(UsoInput {
                input_image_urls: vec![picture],
                seed: Some(seed),
                ..UsoInput::default()
            })
        };
        for seed in 0..21 {
            rig.client.submit(request(seed)).await.unwrap();
        }
        let error = rig.client.submit(request(21)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        // It is listed once the jobs before it have ended.
        let mut recovered = None;
        let is_listed = async || {
            let found = rig.client.recover(error.intent().unwrap()).await.unwrap();
            !matches!(recovered.insert(found), Recovery::NotYet { .. })
        };
        until_async("the purchase is listed", is_listed).await;
        let Some(Recovery::Found(job)) = recovered else {
            panic!("{max_body}: {recovered:?}");
        };
        let ledger = rig.emulator.ledger();
        let last = ledger.purchases().last().unwrap();
        assert_eq!(job.request_id(), &*last.request_id, "{max_body}");
    }
}

#[tokio::test]
async fn looking_is_off_with_one_call() {
    let builder =
        Rig::plain_builder().scenario(Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop));
    let rig = Rig::configured(builder, Config::without_reconciliation).await;
    let error = rig
        .client
        .submit(Request::subject("https://example.org/a.png", "x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(rig.operations(), ["submit"]);
    let recovered = rig.client.recover(error.intent().unwrap()).await.unwrap();
    let Recovery::Found(found) = recovered else {
        panic!("{recovered:?}");
    };
    assert_eq!(
        found.ticket().request_id(),
        rig.emulator.ledger().purchases()[0].request_id
    );
}
