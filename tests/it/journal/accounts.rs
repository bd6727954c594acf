//! Rows of different services and accounts never mix.

use uso::{ApiKey, BaseUrls, Client, Config, MicroDollars};
use uso_journal::{Error, State};

use super::{Desk, request};

fn client(origin: &str, key: &str) -> Client {
    let urls = BaseUrls::single_origin(origin).unwrap();
    Client::new(Config::new(ApiKey::new(key).unwrap(), urls)).unwrap()
}

#[tokio::test]
async fn one_key_is_two_purchases_for_two_accounts_and_neither_sees_the_other() {
    let desk = Desk::plain().await;
    let origin = desk.rig.emulator.origin();
    let (one, two) = (client(&origin, "one:secret"), client(&origin, "two:secret"));
    // Another secret of the same key id is the same account.
    let rotated = client(&origin, "one:other-secret");
    let buy = |client: &Client, prompt: &str| {
        let buy = desk.journal.purchase(client, "key", request(prompt));
        async move { buy.await.unwrap() }
    };
    let (first, second) = (buy(&one, "a cat").await, buy(&two, "a dog").await);
    assert_eq!(desk.bought(), 2);
    assert_ne!(first.id, second.id);
    assert_eq!(buy(&rotated, "a cat").await, first);
    assert_eq!(desk.bought(), 2);

    let listed = desk.journal.jobs(&one).read().await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&first));
    for text in [
        second.id.to_string(),
        second.request_id().unwrap().to_owned(),
    ] {
        let found = desk.journal.find(&one, &text).await;
        assert!(
            matches!(found, Err(Error::NotFound(_))),
            "{text}: {found:?}"
        );
    }
    let not_its = desk.journal.reopen(&one, second.id).await;
    assert!(matches!(not_its, Err(Error::NotFound(_))), "{not_its:?}");

    let cap = Some(MicroDollars::new(1));
    desk.journal.set_caps(&one, cap, cap).await.unwrap();
    let refused = desk.journal.purchase(&one, "more", request("x")).await;
    assert!(matches!(refused, Err(Error::Budget(_))), "{refused:?}");
    let more = desk
        .journal
        .purchase(&two, "more", request("x"))
        .await
        .unwrap();
    assert_eq!(more.state, State::Done);
}

#[tokio::test]
async fn uploads_of_one_account_are_used_again_by_it_alone() {
    let desk = Desk::plain().await;
    let origin = desk.rig.emulator.origin();
    let uploads = || {
        let operations = desk.rig.operations();
        operations
            .iter()
            .filter(|operation| *operation == "initiate")
            .count()
    };
    let buy = |key: &'static str, number: &'static str| {
        // A client of its own each time, as another process has.
        let client = client(&origin, key);
        let request = uso::Request::subject(uso_tests::rig::content(), "x");
        let buy = desk.journal.purchase(&client, number, request);
        async move { buy.await.unwrap() }
    };
    buy("one:secret", "1").await;
    let first = uploads();
    assert_eq!(first, 1, "{:?}", desk.rig.operations());
    // Another process: another handle of the journal.
    let again = desk.open().await;
    let request = || uso::Request::subject(uso_tests::rig::content(), "y");
    let one = client(&origin, "one:secret");
    again.purchase(&one, "2", request()).await.unwrap();
    assert_eq!(uploads(), 1);
    let two = client(&origin, "two:secret");
    again.purchase(&two, "2", request()).await.unwrap();
    assert_eq!(uploads(), 2);
}
