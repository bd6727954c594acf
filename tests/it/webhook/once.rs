//! Of many notifications of one request, one is handled, however they come and however handlers end.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::post;
use futures_util::FutureExt as _;
use uso::webhook::{MemoryStore, Notification, Once, OnceError, Receiver, once};
use uso_emulator::{AttemptOutcome, Fault, Operation, Scenario};

use super::Scene;

async fn notification() -> Notification {
    let mut scene = Scene::new(Scenario::new()).await;
    scene.submit().await;
    scene.notification().await.unwrap()
}

#[tokio::test]
async fn the_first_wins_and_while_it_works_others_are_asked_to_come_again() {
    let (store, notification) = (MemoryStore::default(), notification().await);
    let (let_go, gate) = tokio::sync::oneshot::channel::<()>();
    let first = once(&store, &notification, || async {
        gate.await.unwrap();
        Ok::<_, io::Error>("kept")
    });
    let mut first = std::pin::pin!(first);
    assert!((&mut first).now_or_never().is_none(), "it waits");
    let never = || async { Err::<(), _>(io::Error::other("a second handler ran")) };
    let second = once(&store, &notification, never).await.unwrap();
    assert_eq!(second, Once::InProgress);
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    let_go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Once::First("kept"));
    let third = once(&store, &notification, never).await.unwrap();
    assert_eq!(third, Once::Repeated);
    assert_eq!(third.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_handler_that_fails_or_is_dropped_leaves_it_to_a_later_notification() {
    let (store, notification) = (MemoryStore::default(), notification().await);
    let fails = || async { Err::<(), _>(io::Error::other("disk full")) };
    let failed = once(&store, &notification, fails).await.unwrap_err();
    assert!(matches!(failed, OnceError::Handler(_)), "{failed:?}");

    // A server drops the handler when the caller hangs up.
    let mut hangs = Box::pin(once(
        &store,
        &notification,
        pending::<Result<(), io::Error>>,
    ));
    assert!((&mut hangs).now_or_never().is_none());
    let again = || async { Ok::<_, io::Error>(()) };
    assert_eq!(
        once(&store, &notification, again).await.unwrap(),
        Once::InProgress
    );
    drop(hangs);
    let handled = once(&store, &notification, again).await.unwrap();
    assert_eq!(handled, Once::First(()));
}

/// A back end that fails the first time, and counts.
#[derive(Clone)]
struct App {
    receiver: Receiver,
    handled: Arc<MemoryStore>,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl FromRef<App> for Receiver {
    fn from_ref(app: &App) -> Self {
        app.receiver.clone()
    }
}

async fn hook(State(app): State<App>, notification: Notification) -> Result<Once<()>, StatusCode> {
    let work = || async {
        // Both notifications of a pair are to meet.
        tokio::task::yield_now().await;
        if app.begun.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(io::Error::other("the database is down"));
        }
        app.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let worked = once(&*app.handled, &notification, work).await;
    worked.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_axum_duplicates_and_repetitions_come_to_one_handled_notification() {
    let scenario = Scenario::new()
        .on(Operation::Webhook, Fault::Duplicate)
        .always();
    let mut scene = Scene::new(scenario).await;
    let app = App {
        receiver: scene.receiver.clone(),
        handled: Arc::default(),
        begun: Arc::default(),
        ended: Arc::default(),
    };
    let (begun, ended) = (Arc::clone(&app.begun), Arc::clone(&app.ended));
    let router = Router::new().route("/back/{attempt}", post(hook));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    scene.hook.url = format!("http://{}/back", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router.with_state(app)).await });

    let job = scene.submit().await;
    let mut count = 1;
    while scene.attempts(count).await.last().unwrap().outcome != AttemptOutcome::Answered(200) {
        scene.emulator().advance(Duration::from_secs(120));
        count += 1;
    }
    let id = job.ticket().request_id();
    for _ in 0..3 {
        assert!(scene.emulator().resend_webhook(id));
        count += 1;
        let last = scene.attempts(count).await.pop().unwrap();
        assert_eq!(last.outcome, AttemptOutcome::Answered(200));
    }
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(
        begun.load(Ordering::SeqCst),
        2,
        "once in vain, once for good"
    );
}
