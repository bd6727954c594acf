//! At most one purchase a key.

use tokio::task::JoinSet;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Cause, Error, State};
use uso_tests::rig::Rig;

use super::{Desk, request};

#[tokio::test]
async fn fifty_callers_of_one_key_buy_once_and_are_told_the_same() {
    let desk = Desk::plain().await;
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let buy = desk
            .journal
            .purchase(&desk.rig.client, "key", request("a cat"));
        calls.spawn(async move { buy.await.unwrap() });
    }
    let told = calls.join_all().await;
    assert_eq!(desk.bought(), 1);
    assert!(told.iter().all(|purchase| *purchase == told[0]));
    assert_eq!((told.len(), told[0].state), (50, State::Done));
    let picture = &told[0].pictures[0];
    assert_eq!(
        std::fs::metadata(&picture.path).unwrap().len(),
        picture.bytes
    );
    assert!(picture.path.starts_with(desk.path()));
    assert!(told[0].cost.billed.is_some());
}

#[tokio::test]
async fn another_request_under_the_key_is_an_error_that_shows_the_difference() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let first = desk
        .journal
        .purchase(client, "key", request("a cat").seed(7));
    first.await.unwrap();
    let second = desk
        .journal
        .purchase(client, "key", request("a dog").seed(7));
    let Err(Error::Conflict { id, difference }) = second.await else {
        panic!("the second request is refused");
    };
    assert_eq!(id.to_string(), "j1");
    assert_eq!(difference, [r#"prompt was "a cat" and is "a dog""#]);
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_purchase_that_was_refused_may_be_made_by_the_next_call() {
    let scenario = Scenario::new().on(Operation::Submit, Fault::Locked);
    let desk = Desk::new(Rig::of(Rig::plain_builder().scenario(scenario)).await).await;
    let buy = || {
        desk.journal
            .purchase(&desk.rig.client, "key", request("a cat"))
    };
    let Err(Error::NotBought { source, .. }) = buy().await else {
        panic!("the account is locked");
    };
    assert_eq!(source.unwrap().kind(), uso::ErrorKind::Locked);
    assert_eq!(desk.bought(), 0);
    let done = buy().await.unwrap();
    assert_eq!((done.state, done.attempt), (State::Done, 2));
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn an_unknown_purchase_is_a_value_and_is_found_later() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, Fault::EmptyListing)
        .always();
    let rig = Rig::configured(Rig::plain_builder().scenario(scenario), |config| {
        config.without_reconciliation()
    });
    let desk = Desk::new(rig.await).await;
    let buy = || {
        desk.journal
            .purchase(&desk.rig.client, "key", request("a cat"))
    };
    let unknown = buy().await.unwrap();
    assert_eq!(unknown.state, State::Unknown);
    assert_eq!(unknown.reason.unwrap().cause, Cause::ResponseLost);
    let unknown = buy().await.unwrap();
    let cause = unknown.reason.unwrap().cause;
    assert!(
        matches!(cause, Cause::NotYetListed | Cause::Undecidable),
        "{cause:?}"
    );
    assert_eq!(desk.bought(), 1, "the second call sends nothing");
}

/// The same request has the same fingerprint in every version: only then a key goes on buying
/// nothing after an upgrade.
#[tokio::test]
async fn fingerprints_cover_source_bytes_and_options_and_nothing_else() {
    let picture = || uso::Reference::bytes(&b"the bytes of a picture"[..]);
    let style = "https://example.org/style.png";
    let plain = || uso::Request::subject(picture(), "a cat");
    let scene = uso::Request::styled_scene(picture(), style, "a cat")
        .seed(7)
        .images(2);
    let requests = [
        ("subject", plain()),
        ("another prompt", uso::Request::subject(picture(), "a dog")),
        (
            "another picture",
            uso::Request::subject(b"other".to_vec(), "a cat"),
        ),
        ("as it is", plain().without_fit()),
        ("styled scene", scene),
        ("restyled", uso::Request::restyle(picture(), style)),
    ];
    let mut shown = String::new();
    for (name, request) in &requests {
        let recipe = request.recipe().await.unwrap();
        shown.push_str(&format!("{name}: {}\n", recipe.fingerprint().as_str()));
    }
    let guards = "Fingerprints of requests: a change makes keys of earlier versions buy again.";
    crate::codegen::snapshot("journal-fingerprints", guards, &shown);

    // One picture from a file, from another file, and from memory.
    let folder = tempfile::tempdir().unwrap();
    let of = async |request: uso::Request| request.recipe().await.unwrap().fingerprint().clone();
    let expected = of(plain()).await;
    for name in ["a.png", "b.jpg"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "the bytes of a picture").unwrap();
        assert_eq!(of(uso::Request::subject(path, "a cat")).await, expected);
    }
    let waiting = plain().start_within(std::time::Duration::from_secs(60));
    assert_eq!(
        of(waiting.webhook("https://example.org/hook")).await,
        expected
    );
}
