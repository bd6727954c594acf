//! Money through the proxy: bought once, recorded always, within the caller's limit.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uso::error::Delivery;
use uso::{ApiKey, BaseUrls, Config, MicroDollars};
use uso_emulator::{Emulator, Fault, Operation, Scenario};
use uso_proxy::Settings;
use uso_tests::rig::Rig;
use uso_transport::Verdict;

use super::{
    ALICE, ALICES_NAME, Answer, BOB, BOBS_NAME, KEY, PAGE, SUBMIT, Served, input, raw_submit,
};

const RUN: &str = "https://fal.run/fal-ai/uso";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_purchase_is_recorded_with_its_caller_its_price_and_its_id() {
    let served = Served::configured(
        Rig::plain_builder().concurrency(10),
        |config| config,
        Settings::allow_run,
    )
    .await;
    let id = served.bought(ALICE, &input(1)).await;
    let large = json!({ "input_image_urls": ["https://example.org/a.png"], "num_images": 4 });
    served.bought(BOB, &large).await;
    let run = served
        .request("POST", ALICE, RUN)
        .body(input(2).to_string());
    let run = Answer::of(run).await;
    assert_eq!(run.status, 200, "{run:?}");
    let records = served.records(3).await;
    let record = serde_json::to_value(&records[0]).unwrap();
    assert_eq!(
        record,
        json!({
            "id": record["id"],
            "at": record["at"],
            "caller": ALICES_NAME,
            "endpoint": "fal-ai/uso",
            "operation": "submit",
            "request_id": id,
            "estimated_micro_dollars": 615,
            "reserved_micro_dollars": 100_000,
            "status": 200,
            "delivery": "answered",
            "outcome": "bought",
        })
    );
    assert!(record["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(records[1].caller.as_str(), BOBS_NAME);
    assert_eq!(records[1].estimate, MicroDollars::new(419_431));
    assert_eq!(records[2].operation, uso::error::Operation::Run);
    assert_eq!(
        records[2].request_id.as_deref(),
        run.header("x-fal-request-id")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_service_says_that_nothing_was_bought() {
    let emulator = Emulator::start().await.unwrap();
    let origin = emulator.origin();
    emulator.shutdown().await;
    let served = Served::configured(
        Rig::plain_builder(),
        |_| {
            let bases = BaseUrls::single_origin(&origin).unwrap();
            Config::new(ApiKey::new(KEY).unwrap(), bases)
        },
        |settings| settings.spending_per_day(MicroDollars::new(100_000)),
    )
    .await;
    // It is given back each time, and is no suspect: it may be sent again at once.
    for _ in 0..3 {
        let answer = Answer::of(served.submit(ALICE, &input(1))).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(answer.json()["delivery"], "not_sent");
        assert!(answer.body.contains("nothing was bought"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    }
    let records = served.records(3).await;
    assert!(
        records
            .iter()
            .all(|record| record.delivery == Delivery::NotSent)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_reported_and_not_bought_again() {
    for fault in [
        Fault::AcceptThenDrop,
        Fault::AcceptThenGatewayPage(504),
        Fault::AcceptThenStatus(503),
        Fault::AcceptThenHang,
    ] {
        let name = fault.name();
        let scenario = Scenario::new().on(Operation::Submit, fault.clone());
        let served = Served::configured(
            Rig::plain_builder().scenario(scenario),
            |config| match fault {
                Fault::AcceptThenHang => config.answer_within(Duration::from_secs(3)),
                _ => config,
            },
            |settings| settings,
        )
        .await;
        let answer = Answer::of(served.submit(ALICE, &input(1))).await;
        match &fault {
            Fault::AcceptThenDrop => assert_eq!(answer.status, 502, "{name}"),
            Fault::AcceptThenHang => assert_eq!(answer.status, 504, "{name}"),
            _ => assert!(answer.status >= 503, "{name}"),
        }
        if matches!(fault, Fault::AcceptThenDrop | Fault::AcceptThenHang) {
            assert_eq!(answer.json()["delivery"], "unknown", "{name}");
            assert!(answer.body.contains("may have been accepted"), "{answer:?}");
        }
        let again = Answer::of(served.submit(ALICE, &input(1))).await;
        assert_eq!(again.status, 409, "{name}: {again:?}");
        assert!(again.header("retry-after").is_some());
        assert_eq!(served.emulator.ledger().purchases().len(), 1, "{name}");
        assert_eq!(served.records(1).await.len(), 1, "{name}");
        // Another input, and the same of another caller, are other purchases.
        served.bought(ALICE, &input(2)).await;
        served.bought(BOB, &input(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_input_may_be_bought_again_when_the_first_was_answered() {
    let served = Served::plain().await;
    let first = served.bought(ALICE, &input(1)).await;
    let second = served.bought(ALICE, &input(1)).await;
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_goes_on_when_its_browser_leaves() {
    let slow = Scenario::new().on(Operation::Submit, Fault::Delay(Duration::from_secs(5)));
    // Money for one, so that nothing can be bought over while this looks.
    let served = Served::configured(
        Rig::plain_builder().scenario(slow),
        |config| config,
        |settings| settings.spending_per_day(MicroDollars::new(150_000)),
    )
    .await;
    let mut browser = served.connect().await;
    browser.write_all(&raw_submit(&input(1))).await.unwrap();
    served.seen(1).await;
    browser.shutdown().await.unwrap();
    let mut answer = Vec::new();
    browser.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.is_empty(),
        "the proxy has noticed, and closed its side"
    );
    let waiting = Answer::of(served.submit(ALICE, &input(1))).await;
    assert_eq!(waiting.status, 409, "{waiting:?}");
    assert_eq!(waiting.json()["request_id"], json!(null));

    served.emulator.advance(Duration::from_secs(5));
    let records = served.records(1).await;
    let id = records[0].request_id.clone().unwrap();
    let again = Answer::of(served.submit(ALICE, &input(1))).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(again.json()["request_id"], id.as_str());
    assert_eq!(served.emulator.ledger().purchases().len(), 1);

    served.get(ALICE, &id, "/status/stream").await;
    let result = served.get(ALICE, &id, "").await;
    assert_eq!((result.status, &result.json()["seed"]), (200, &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_input_is_not_bought_while_it_is_being_bought() {
    let late = Duration::from_secs(600);
    let slow = Scenario::new()
        .on(Operation::Submit, Fault::Delay(late))
        .on(Operation::Run, Fault::Delay(late));
    let served = Served::configured(
        Rig::plain_builder().scenario(slow).concurrency(10),
        |config| config,
        Settings::allow_run,
    )
    .await;
    let run = || {
        served
            .request("POST", ALICE, RUN)
            .body(input(1).to_string())
    };
    let submit = || served.submit(ALICE, &input(1));
    let first = tokio::spawn(Answer::of(submit()));
    served.seen(1).await;
    let run_first = tokio::spawn(Answer::of(run()));
    served.seen(2).await;
    for again in [submit(), run(), submit(), run()] {
        let again = Answer::of(again).await;
        assert_eq!(again.status, 409, "{again:?}");
        assert!(again.body.contains("being bought now"), "{again:?}");
    }
    served.bought(ALICE, &input(2)).await;
    served.bought(BOB, &input(1)).await;
    served.emulator.advance(late);
    for first in [first, run_first] {
        let first = first.await.unwrap();
        assert_eq!(first.status, 200, "{first:?}");
    }
    assert_eq!(served.emulator.ledger().purchases().len(), 4);
    // They have their answers.
    served.bought(ALICE, &input(1)).await;
    assert_eq!(Answer::of(run()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_run_is_said_to_be_lost() {
    let closed = Served::plain().await;
    let run = |served: &Served| {
        let request = served.request("POST", ALICE, RUN);
        Answer::of(request.body(input(1).to_string()))
    };
    let refused = run(&closed).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("use the queue"), "{refused:?}");
    assert!(closed.emulator.requests().is_empty());

    let scenario = Scenario::new().on(Operation::Run, Fault::AcceptThenDrop);
    let served = Served::configured(
        Rig::plain_builder().scenario(scenario),
        |config| config,
        Settings::allow_run,
    )
    .await;
    assert_eq!(run(&served).await.status, 502);
    let again = run(&served).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert!(again.body.contains("cannot be collected"), "{again:?}");
    assert_eq!(again.json()["request_id"], json!(null));
    assert_eq!(served.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_a_share_of_what_is_remembered() {
    let served = Served::configured(
        Rig::plain_builder(),
        |config| config,
        |settings| settings.keep_requests_of_each(1),
    )
    .await;
    served.bought(ALICE, &input(1)).await;
    let full = Answer::of(served.submit(ALICE, &input(2))).await;
    assert_eq!(full.status, 429, "{full:?}");
    assert_eq!(full.header("retry-after"), Some("3600"));
    // It was not sent, so it is no suspect either.
    assert_eq!(
        Answer::of(served.submit(ALICE, &input(2))).await.status,
        429
    );
    served.bought(BOB, &input(2)).await;
    assert_eq!(served.emulator.ledger().purchases().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_and_requests_are_limited_for_each_caller() {
    // Each costs 615 millionths, and counts a megapixel.
    let served = Served::configured(
        Rig::plain_builder(),
        |config| config,
        |settings| {
            settings
                .spending_per_day(MicroDollars::new(350_000))
                .requests_per_minute(9)
        },
    )
    .await;
    for seed in 0..3 {
        served.bought(ALICE, &input(seed)).await;
    }
    let over = Answer::of(served.submit(ALICE, &input(3))).await;
    assert_eq!(over.status, 429, "{over:?}");
    let wait: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((24 * 3600..=25 * 3600).contains(&wait), "{wait}");
    assert!(over.body.contains("$0.35"), "{over:?}");
    let dear = json!({ "input_image_urls": ["https://example.org/a.png"], "keep_size": true });
    let dear = Answer::of(served.submit(ALICE, &dear)).await;
    assert_eq!(
        (dear.status, dear.header("retry-after")),
        (403, None),
        "{dear:?}"
    );
    served.bought(BOB, &input(0)).await;
    assert_eq!(served.emulator.ledger().purchases().len(), 4);

    for _ in 0..4 {
        assert_eq!(served.get(ALICE, "r-1", "").await.status, 404);
    }
    let over = served.get(ALICE, "r-1", "").await;
    assert_eq!(over.status, 429, "{over:?}");
    assert!(over.header("retry-after").unwrap().parse::<u64>().unwrap() <= 7);
    assert_eq!(served.get(BOB, "r-1", "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_refuses_costs_nothing_of_the_limit() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::Locked)
        .on(Operation::Submit, Fault::Throttled { retry_after: None })
        .on(Operation::Submit, Fault::Unauthorized);
    let served = Served::configured(
        Rig::plain_builder().scenario(scenario),
        |config| config,
        |settings| settings.spending_per_day(MicroDollars::new(150_000)),
    )
    .await;
    for status in [403, 429, 401] {
        let answer = Answer::of(served.submit(ALICE, &input(1))).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    served.bought(ALICE, &input(1)).await;
    let over = Answer::of(served.submit(ALICE, &input(2))).await;
    assert_eq!(over.status, 429, "{over:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_bought_that_could_not_be_collected() {
    let served = Served::configured(
        Rig::plain_builder(),
        |config| config,
        |settings: Settings| settings.keep_requests(1, Duration::from_secs(3600)),
    )
    .await;
    served.bought(ALICE, &input(1)).await;
    let full = Answer::of(served.submit(ALICE, &input(2))).await;
    assert_eq!(full.status, 503, "{full:?}");
    assert_eq!(served.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_belongs_to_its_owner_in_every_form_of_the_response() {
    for fault in [Fault::UnknownFields, Fault::NullFields] {
        let scenario = Scenario::new().on(Operation::Submit, fault);
        let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
        let id = served.bought(ALICE, &input(1)).await;
        assert_eq!(
            served.get(ALICE, &id, "/status").await.json()["request_id"],
            id.as_str()
        );
        assert_eq!(served.get(BOB, &id, "/status").await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_only_the_body_names_is_learnt_from_it() {
    let answer = |body: &str| Fault::Answer {
        status: 200,
        body: body.to_owned(),
    };
    let scenario = Scenario::new()
        .on(
            Operation::Submit,
            answer(r#"{"status":"IN_QUEUE","request_id":"r-9"}"#),
        )
        .on(Operation::Submit, answer("{}"));
    let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
    assert_eq!(served.bought(ALICE, &input(1)).await, "r-9");
    assert_eq!(
        served.records(1).await[0].request_id.as_deref(),
        Some("r-9")
    );
    served.get(ALICE, "r-9", "/status").await;
    served.get(BOB, "r-9", "/status").await;
    assert_eq!(
        served.emulator.requests().len(),
        2,
        "only its buyer asks the service"
    );
    // Bought under an unknown id: recorded, and not bought again at once.
    assert_eq!(Answer::of(served.submit(ALICE, &input(2))).await.body, "{}");
    assert_eq!(served.records(2).await[1].request_id, None);
    assert_eq!(
        Answer::of(served.submit(ALICE, &input(2))).await.status,
        409
    );
}

/// An id that is no request id is neither recorded nor kept: it could forge lines and fill memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_outside_of_the_grammar_is_not_recorded() {
    let ids = [
        "r-1\n{\"forged\":1}".to_owned(),
        "\u{1b}[31mred".to_owned(),
        "\u{202e}txt".to_owned(),
        "..".to_owned(),
        "a/b".to_owned(),
        String::new(),
        "x".repeat(201),
        "x".repeat(60_000),
    ];
    let mut scenario = Scenario::new();
    for id in &ids {
        let body = json!({ "status": "IN_QUEUE", "request_id": id }).to_string();
        scenario = scenario.on(Operation::Submit, Fault::Answer { status: 200, body });
    }
    let served = Served::of(Rig::plain_builder().scenario(scenario)).await;
    for (seed, id) in ids.iter().enumerate() {
        let answer = Answer::of(served.submit(ALICE, &input(seed as u64))).await;
        assert_eq!(
            answer.json()["request_id"],
            id.as_str(),
            "the page sees the body"
        );
        let records = served.records(seed + 1).await;
        assert_eq!(records[seed].request_id, None, "{id:?}");
        assert_eq!(records[seed].outcome, Some(Verdict::Bought));
        let again = Answer::of(served.submit(ALICE, &input(seed as u64))).await;
        assert_eq!(
            (again.status, &again.json()["request_id"]),
            (409, &json!(null))
        );
    }
}

#[tokio::test]
async fn another_endpoint_has_its_own_flat_price() {
    let other: uso::purchase::EndpointId = "fal-ai/flux/dev".parse().unwrap();
    let price = MicroDollars::new(25_000);
    let served = Served::configured(
        Rig::plain_builder(),
        |config| config,
        |settings| settings.endpoint(other, price),
    )
    .await;
    let target = "https://queue.fal.run/fal-ai/flux/dev";
    let sent = served.request("POST", ALICE, target).body("{}");
    // The emulator does not know it, which is the service's answer.
    assert_eq!(Answer::of(sent).await.status, 404);
    assert_eq!(served.records(1).await[0].estimate, price);
}

/// Clients read the id in the body, so that is the one to collect by.
#[tokio::test]
async fn the_bodys_id_counts_more_than_the_headers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let service = tokio::spawn(async move {
        for body in [r#"{"request_id":"of-the-body"}"#, "{}"] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(input(1).to_string().as_bytes()) {
                connection.read_buf(&mut request).await.unwrap();
            }
            let request = String::from_utf8(request).unwrap();
            assert!(
                request.contains("content-type: application/json"),
                "{request}"
            );
            assert!(!request.contains("text/plain"), "{request}");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nx-fal-request-id: of-the-header\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let served = Served::configured(
        Rig::plain_builder(),
        |_| {
            let bases = BaseUrls::single_origin(&origin).unwrap();
            Config::new(ApiKey::new(KEY).unwrap(), bases)
        },
        |settings| settings,
    )
    .await;
    for expected in ["of-the-body", "of-the-header"] {
        let request = served.request("POST", ALICE, SUBMIT);
        let request = request.header("content-type", "text/plain");
        let answer = Answer::of(request.body(input(1).to_string())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let records = served.records(1).await;
        let last = records.last().unwrap();
        assert_eq!(last.request_id.as_deref(), Some(expected));
        served.records.lock().unwrap().clear();
    }
    service.await.unwrap();
}
