//! The verdict on a purchase, for every HTTP status.

use std::fmt::Write as _;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use uso_transport::{Operation, Verdict};

fn of(operation: Operation, status: u16) -> Verdict {
    Verdict::of(operation, status, &HeaderMap::new(), b"")
}

#[test]
fn every_status_has_its_verdict() {
    let mut table = String::from("status: submit, run\n");
    for status in 100..=599 {
        let (submit, run) = (of(Operation::Submit, status), of(Operation::Run, status));
        writeln!(table, "{status}: {submit:?}, {run:?}").unwrap();
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("verdict", table));
}

#[test]
fn only_a_gate_in_front_of_the_model_says_that_a_throttled_run_bought_nothing() {
    let limit = br#"{"detail":"busy","error_type":"concurrent_requests_limit"}"#;
    let own = br#"{"detail":"the model is busy"}"#;
    let asked = HeaderMap::from_iter([(
        HeaderName::from_static("x-fal-needs-retry"),
        HeaderValue::from_static("1"),
    )]);
    let run = |headers: &HeaderMap, body: &[u8]| Verdict::of(Operation::Run, 429, headers, body);
    assert_eq!(run(&HeaderMap::new(), limit), Verdict::NotBought);
    assert_eq!(run(&asked, own), Verdict::NotBought);
    assert_eq!(run(&HeaderMap::new(), own), Verdict::Unknown);
}

#[test]
fn a_request_that_buys_nothing_has_bought_nothing() {
    for operation in [Operation::Status, Operation::Result, Operation::Download] {
        for status in [200, 409, 500] {
            assert_eq!(of(operation, status), Verdict::NotBought);
        }
    }
}
