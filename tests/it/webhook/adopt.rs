//! A purchase whose answer was lost, proved by the notification that announces its end.

use uso::webhook::Notification;
use uso::{Client, Config, ErrorKind, Intent, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, config_for};

use super::Scene;

/// A scene in which the answer to the submit is lost, and the listing shows nothing.
async fn lost(fault: Fault) -> Scene {
    let scenario = Scenario::new().on(Operation::Submit, fault);
    let builder = Rig::plain_builder().scenario(scenario);
    Scene::configured(builder, Config::without_reconciliation).await
}

#[tokio::test]
async fn accept_then_drop_is_adopted_from_the_notification_and_the_ledger_says_one() {
    for fault in [
        Fault::AcceptThenDrop,
        Fault::AcceptThenGatewayPage(502),
        Fault::AcceptThenStatus(500),
    ] {
        let mut scene = lost(fault).await;
        let client = scene.rig.client.clone();
        let order = client
            .prepare(scene.request())
            .await
            .unwrap()
            .order()
            .clone();
        let error = client.place(&order).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(error.intent(), Some(order.intent()));

        // What another process finds on disk is as good.
        let noted = serde_json::to_string(order.intent()).unwrap();
        let intent: Intent = serde_json::from_str(&noted).unwrap();
        assert!(intent.has_webhook());
        let notification = scene.notification().await.unwrap();
        let other_process = Client::new(config_for(&scene.emulator().origin()).unwrap()).unwrap();
        let digest = intent.attempt_digest();
        assert_eq!(notification.attempt_digest().as_deref(), digest);
        let job = other_process.adopt(&intent, &notification).unwrap();
        let ledger = scene.emulator().ledger();
        assert_eq!(ledger.purchases().len(), 1);
        assert_eq!(job.ticket().request_id(), ledger.purchases()[0].request_id);
        assert_eq!(job.ticket().seed(), Some(7));
        let output = job.wait().await.unwrap();
        assert!(!output.images()[0].bytes().await.unwrap().is_empty());
        assert_eq!(scene.emulator().ledger().purchases().len(), 1);
    }
}

#[tokio::test]
async fn only_the_attempt_id_of_this_purchase_proves_it() {
    let mut scene = lost(Fault::AcceptThenDrop).await;
    let client = scene.rig.client.clone();
    let order = client
        .prepare(scene.request())
        .await
        .unwrap()
        .order()
        .clone();
    client.place(&order).await.unwrap_err();
    let request = scene.hook.next().await;
    let path = request.uri().path().to_owned();
    assert!(path.starts_with("/hook/"), "{path}");
    assert_eq!(request.uri().query(), Some("tenant=7"));
    let notification = scene.receiver.receive(request).await.unwrap();
    assert!(client.adopt(order.intent(), &notification).is_ok());

    let refused = |intent: &Intent, notification: &Notification| {
        let error = client.adopt(intent, notification).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    // The same request, prepared again, has an address of its own.
    let other = client
        .prepare(scene.request())
        .await
        .unwrap()
        .order()
        .clone();
    assert!(refused(other.intent(), &notification).contains("another purchase"));
    let plain = Request::subject("https://example.org/a.png", "x");
    let plain = client.prepare(plain).await.unwrap().order().clone();
    assert!(refused(plain.intent(), &notification).contains("without a webhook"));
    for elsewhere in ["", "/", "/hook", "/hook/00000000000000000000000000000000"] {
        refused(order.intent(), &notification.clone().with_path(elsewhere));
    }
    // Its digest, which is what is written down, is not the id.
    let noted = serde_json::to_value(order.intent()).unwrap();
    let digest = noted["attempt"].as_str().unwrap();
    refused(
        order.intent(),
        &notification.clone().with_path(format!("/{digest}")),
    );
    let with_slash = notification.with_path(format!("{path}/?tenant=7"));
    assert!(client.adopt(order.intent(), &with_slash).is_ok());
}

#[tokio::test]
async fn notes_from_before_there_were_webhooks_are_still_read() {
    let rig = Rig::plain().await;
    let plain = Request::subject("https://example.org/a.png", "x").seed(7);
    let order = rig.client.prepare(plain).await.unwrap().order().clone();
    let noted = serde_json::to_value(order.intent()).unwrap();
    assert!(noted.get("attempt").is_none(), "{noted}");
    let read: Intent = serde_json::from_value(noted).unwrap();
    assert_eq!(read, *order.intent());
    assert!(!read.has_webhook());
}

#[tokio::test]
async fn a_wrong_address_is_refused_before_anything_is_sent() {
    let rig = Rig::plain().await;
    for url in [
        "http://example.org/hook",
        "https://user:pass@example.org/hook",
        "ftp://example.org/hook",
        "example.org/hook",
        "",
    ] {
        let request = Request::subject("https://example.org/a.png", "x").webhook(url);
        let error = rig.client.submit(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{url}");
        assert_eq!(error.problems()[0].path, "webhook");
        assert!(!error.to_string().contains("example.org"), "{error}");
    }
    // Everything that is wrong is told at once.
    let request = Request::subject("https://example.org/a.png", "x");
    let request = request.images(99).webhook("http://example.org");
    let error = rig.client.submit(request).await.unwrap_err();
    assert_eq!(error.problems().len(), 2);
    // A synchronous run ends with its answer, and is announced nowhere.
    let request = Request::subject("https://example.org/a.png", "x");
    let error = rig.client.run(request.webhook("https://example.org/hook"));
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Input);
    assert!(rig.operations().is_empty());
}
