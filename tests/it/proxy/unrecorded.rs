//! Purchases whose records fail between the decision to buy and the outcome.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uso::error::Delivery;
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, until_async};
use uso_transport::Verdict;

use super::{ALICE, Answer, BOB, Served, input, raw_submit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_its_buyers_while_its_outcome_cannot_be_recorded_and_after() {
    let served = Served::plain().await;
    served.faults.forgets.store(true, Ordering::Relaxed);
    let id = served.bought(ALICE, &input(1)).await;
    let belongs_to_alice = async || {
        let status = served.get(ALICE, &id, "/status").await;
        // In progress, or completed.
        assert!(matches!(status.status, 200 | 202), "{status:?}");
        assert_eq!(status.json()["request_id"], id.as_str());
        assert_eq!(served.get(BOB, &id, "/status").await.status, 404);
    };
    belongs_to_alice().await;
    assert!(served.records.lock().unwrap().is_empty());
    let again = Answer::of(served.submit(ALICE, &input(1))).await;
    assert_eq!(again.status, 409, "{again:?}");

    served.faults.forgets.store(false, Ordering::Relaxed);
    let records = served.records(1).await;
    assert_eq!(records[0].request_id.as_ref(), Some(&id));
    belongs_to_alice().await;
    assert_eq!(served.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_waits_for_the_record_of_an_outcome_until_the_proxy_is_given_up() {
    for is_given_up in [false, true] {
        let served = Served::plain().await;
        served.faults.forgets.store(true, Ordering::Relaxed);
        served.bought(ALICE, &input(1)).await;
        let proxy = served.proxy.clone();
        let closing = tokio::spawn(async move { proxy.close().await });
        let closes = async || served.get(ALICE, "r-1", "/status").await.status == 503;
        until_async("the proxy closes", closes).await;
        if is_given_up {
            served.proxy.give_up().await;
        }
        served.faults.forgets.store(is_given_up, Ordering::Relaxed);
        closing.await.unwrap();
        let recorded = served.records.lock().unwrap().len();
        assert_eq!(recorded, usize::from(!is_given_up));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_may_no_longer_be_sent_is_not_sent_and_its_caller_is_told() {
    let served = Served::plain().await;
    served.faults.withholds.store(true, Ordering::Relaxed);
    let refused = Answer::of(served.submit(ALICE, &input(1))).await;
    assert_eq!(refused.status, 502, "{refused:?}");
    assert_eq!(refused.json()["delivery"], "not_sent");
    assert!(refused.body.contains("nothing was bought"), "{refused:?}");
    assert!(served.emulator.requests().is_empty());
    let record = served.records(1).await.remove(0);
    assert_eq!(record.delivery, Delivery::NotSent);
    assert_eq!(record.outcome, Some(Verdict::NotBought));
    served.faults.withholds.store(false, Ordering::Relaxed);
    served.bought(ALICE, &input(1)).await;
}

/// The id is in the body alone, so that only its reader knows what was bought.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_is_read_for_its_id_though_its_browser_left_before() {
    let answer = Fault::Answer {
        status: 200,
        body: r#"{"status":"IN_QUEUE","request_id":"r-9"}"#.to_owned(),
    };
    let scenario = Scenario::new().on(Operation::Submit, answer);
    let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
    served.faults.begins.shut();
    let mut browser = served.connect().await;
    browser.write_all(&raw_submit(&input(1))).await.unwrap();
    served.faults.begins.reached().await;
    browser.shutdown().await.unwrap();
    let mut nothing = Vec::new();
    browser.read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty(), "the proxy has noticed");
    served.faults.begins.open();
    let records = served.records(1).await;
    assert_eq!(records[0].request_id.as_deref(), Some("r-9"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_knows_an_id_before_it_is_recorded() {
    let served = Served::plain().await;
    served.faults.ends.shut();
    let mut browser = served.connect().await;
    browser.write_all(&raw_submit(&input(1))).await.unwrap();
    served.faults.ends.reached().await;
    // Another request is answered meanwhile, so that the response had the time to arrive.
    let other = served.get(BOB, "r-1", "/status").await;
    assert_eq!(other.status, 404, "{other:?}");
    let mut early = vec![0; 1 << 16];
    let length = browser.try_read(&mut early).unwrap_or(0);
    let early = String::from_utf8_lossy(&early[..length]).into_owned();
    let ledger = served.emulator.ledger();
    let id = &ledger.purchases()[0].request_id;
    let (_, body) = early.split_once("\r\n\r\n").unwrap_or_default();
    assert!(!body.contains(id.as_str()), "{early}");
    served.faults.ends.open();
    let records = served.records(1).await;
    assert_eq!(records[0].request_id.as_ref(), Some(id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_too_long_to_search_is_known_by_its_header() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::HugeBody(1 << 20));
    let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
    let answer = Answer::of(served.submit(ALICE, &input(1))).await;
    assert_eq!(answer.status, 200);
    let records = served.records(1).await;
    let ledger = served.emulator.ledger();
    let id = &ledger.purchases()[0].request_id;
    assert_eq!(records[0].request_id.as_ref(), Some(id));
}
