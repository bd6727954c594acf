//! Futures that are dropped at every await: what they bought stays known.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use uso::purchase::{Recovery, Unclaimed};
use uso::{Client, ErrorKind, Request};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, content};

/// More polls than any call below needs.
const ENOUGH: usize = 5_000;

/// Polls a future until this says stop, and drops it; its output, if it ended before.
async fn dropped_when<T>(
    future: impl Future<Output = T>,
    mut stop: impl FnMut() -> bool,
) -> Option<T> {
    let mut future = Box::pin(future);
    poll_fn(move |context| match stop() {
        true => Poll::Ready(None),
        false => future.as_mut().poll(context).map(Some),
    })
    .await
}

/// Polls a future so many times and drops it; its output, if it ended before.
async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut polls = 0;
    let counted = || {
        polls += 1;
        polls > times
    };
    dropped_when(future, counted).await
}

fn request() -> Request {
    Request::subject("https://example.org/a.png", "x").seed(7)
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Submit,
    SubmitWithUpload,
    Place,
    Generate,
}

async fn call(client: &Client, call: Call) -> uso::Result<()> {
    match call {
        Call::Submit => client.submit(request()).await.map(drop),
        Call::SubmitWithUpload => {
            let request = Request::subject(content(), "x");
            client.submit(request).await.map(drop)
        }
        Call::Place => {
            let prepared = client.prepare(request()).await?;
            client.place(prepared.order()).await.map(drop)
        }
        Call::Generate => client.generate(request()).await.map(drop),
    }
}

#[tokio::test]
async fn a_purchase_that_is_dropped_at_any_await_ends_with_its_ticket_known() {
    for kind in [
        Call::Submit,
        Call::SubmitWithUpload,
        Call::Place,
        Call::Generate,
    ] {
        for times in 0.. {
            assert!(times < ENOUGH, "{kind:?} does not end");
            let rig = Rig::plain().await;
            let done = polled(call(&rig.client, kind), times).await;
            let unclaimed = rig.client.unclaimed().await;
            let ledger = rig.emulator.ledger();
            if let Some(done) = done {
                done.unwrap();
                assert!(unclaimed.is_empty(), "{kind:?}: the caller has the outcome");
                assert_eq!(ledger.purchases().len(), 1);
                break;
            }
            match (ledger.purchases(), unclaimed.as_slice()) {
                ([], []) => {}
                ([purchase], [Unclaimed::Bought(ticket)]) => {
                    assert_eq!(ticket.request_id(), purchase.request_id);
                    let job = rig.client.job(ticket.clone());
                    assert_eq!(job.wait().await.unwrap().ticket(), Some(ticket));
                    assert!(rig.client.unclaimed().await.is_empty(), "it is given once");
                }
                other => panic!("{kind:?} after {times} polls: {other:?}"),
            }
            assert!(rig.emulator.ledger().purchases().len() <= 1);
        }
    }
}

#[tokio::test]
async fn a_purchase_that_is_dropped_before_its_response_ends_with_its_ticket_known() {
    for kind in [
        Call::Submit,
        Call::SubmitWithUpload,
        Call::Place,
        Call::Generate,
    ] {
        let rig = Rig::plain().await;
        let is_bought = || !rig.emulator.ledger().purchases().is_empty();
        let done = dropped_when(call(&rig.client, kind), is_bought).await;
        assert!(done.is_none(), "{kind:?}");
        let unclaimed = rig.client.unclaimed().await;
        let ledger = rig.emulator.ledger();
        let [Unclaimed::Bought(ticket)] = unclaimed.as_slice() else {
            panic!("{kind:?}: {unclaimed:?}");
        };
        assert_eq!(ticket.request_id(), ledger.purchases()[0].request_id);
    }
}

#[tokio::test]
async fn a_dropped_purchase_whose_response_is_lost_ends_with_its_intent_known() {
    for times in 0.. {
        assert!(times < ENOUGH);
        let scenario = Scenario::new()
            .on(Operation::Submit, Fault::AcceptThenDrop)
            .on(Operation::Listing, Fault::Forbidden);
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let done = polled(rig.client.submit(request()), times).await;
        if let Some(done) = done {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
            break;
        }
        let unclaimed = rig.client.unclaimed().await;
        match (rig.emulator.ledger().purchases(), unclaimed.as_slice()) {
            ([], []) => {}
            ([purchase], [Unclaimed::Unknown(intent)]) => {
                let recovered = rig.client.recover(intent).await.unwrap();
                let Recovery::Found(job) = recovered else {
                    panic!("after {times} polls: {recovered:?}");
                };
                assert_eq!(job.request_id(), purchase.request_id);
            }
            other => panic!("after {times} polls: {other:?}"),
        }
    }
}

#[tokio::test]
async fn waiting_can_be_dropped_at_any_await_and_taken_up_again() {
    for times in 0.. {
        assert!(times < ENOUGH);
        let rig = Rig::plain().await;
        let job = rig.client.submit(request()).await.unwrap();
        let done = polled(job.wait(), times).await;
        let has_ended = done.is_some();
        done.transpose().unwrap();
        let output = job.wait().await.unwrap();
        output.images()[0].bytes().await.unwrap();
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
        assert!(rig.client.unclaimed().await.is_empty());
        if has_ended {
            break;
        }
    }
}

#[tokio::test]
async fn saving_can_be_dropped_at_any_await_and_leaves_the_whole_file_or_none() {
    let rig = Rig::plain().await;
    let output = rig.client.generate(request()).await.unwrap();
    let whole = output.images()[0].bytes().await.unwrap();
    for times in 0.. {
        assert!(times < ENOUGH);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let done = polled(output.images()[0].save(&path), times).await;
        match std::fs::read(&path) {
            Ok(bytes) => assert_eq!(bytes, whole, "after {times} polls"),
            Err(_) => assert!(done.is_none(), "after {times} polls"),
        }
        if done.is_some() {
            break;
        }
    }
}

/// The outcome of one poll outside of any runtime.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the call waits, though nothing can wake it"),
    }
}

#[test]
fn without_a_runtime_or_without_its_clock_a_call_is_an_error() {
    let client = uso::testing::client("http://127.0.0.1:9").unwrap();
    let job = client.job_by_id("r-1").unwrap();
    let timeless = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let local = || Request::restyle(content(), content());
    let errors = [
        at_once(client.submit(request())).unwrap_err(),
        at_once(client.generate(request())).unwrap_err(),
        at_once(client.run(request())).unwrap_err(),
        at_once(local().preview()).unwrap_err(),
        at_once(local().estimate()).unwrap_err(),
        at_once(local().recipe()).unwrap_err(),
        at_once(job.wait()).unwrap_err(),
        at_once(job.events().next()).unwrap().unwrap_err(),
        at_once(job.status()).unwrap_err(),
        at_once(job.output()).unwrap_err(),
        at_once(job.cancel()).unwrap_err(),
        timeless.block_on(client.submit(request())).unwrap_err(),
        timeless.block_on(job.wait()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("runtime"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("enable_all")));
    }
}
