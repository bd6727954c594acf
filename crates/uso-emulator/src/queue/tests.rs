use std::time::Duration;

use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn submission() -> Submission {
    Submission {
        endpoint_id: "fal-ai/uso".into(),
        input: Arc::new(json!({})),
        size: 2,
        sync: false,
        low_priority: false,
        start_deadline: None,
        store_io: true,
        no_retry: false,
        max_queue_length: None,
        lifecycle: crate::files::Lifecycle::default(),
        webhook: None,
        plan: Plan::default(),
    }
}

fn machine(concurrency: usize) -> Machine {
    Machine::new(concurrency, Retention::default())
}

fn done() -> Outcome {
    Outcome::from_app(200, json!({}))
}

fn submit(machine: &mut Machine, name: &str) {
    machine
        .submit(name.into(), submission(), Duration::ZERO)
        .unwrap();
}

fn phase(machine: &Machine, name: &str) -> Phase {
    machine.get(name, Duration::ZERO).unwrap().phase
}

#[test]
fn jobs_run_in_order_and_within_the_limit() {
    let mut machine = machine(2);
    for name in ["a", "b", "c", "d"] {
        submit(&mut machine, name);
    }
    assert_eq!(
        machine
            .start(SECOND)
            .iter()
            .map(|id| &**id)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(machine.position("c"), Some(0));
    assert_eq!(machine.position("d"), Some(1));
    assert!(machine.start(SECOND).is_empty());
    assert!(machine.complete("a", 1, done(), SECOND * 2));
    assert_eq!(machine.start(SECOND * 2).len(), 1);
    assert_eq!(machine.position("d"), Some(0));
    assert_eq!(phase(&machine, "a"), Phase::Completed);
    assert_eq!(phase(&machine, "c"), Phase::Running);
}

#[test]
fn low_priority_waits_behind_all_others() {
    let mut machine = machine(1);
    submit(&mut machine, "running");
    machine.start(SECOND);
    let low = Submission {
        low_priority: true,
        ..submission()
    };
    machine.submit("low".into(), low, SECOND).unwrap();
    submit(&mut machine, "normal");
    assert_eq!(machine.position("low"), Some(1));
    machine.complete("running", 1, done(), SECOND);
    assert_eq!(&*machine.start(SECOND)[0], "normal");
}

#[test]
fn a_long_queue_refuses_those_who_mind() {
    let mut machine = machine(1);
    for name in ["running", "one", "two"] {
        submit(&mut machine, name);
        machine.start(SECOND);
    }
    let minding = |limit| Submission {
        max_queue_length: Some(limit),
        ..submission()
    };
    assert_eq!(
        machine.submit("x".into(), minding(1), SECOND),
        Err(Refused::QueueTooLong)
    );
    assert_eq!(machine.submit("y".into(), minding(2), SECOND), Ok(()));
    assert!(machine.get("x", SECOND).is_none());
}

#[test]
fn a_synchronous_run_needs_a_free_runner() {
    let mut machine = machine(1);
    let sync = || Submission {
        sync: true,
        ..submission()
    };
    assert_eq!(machine.submit("a".into(), sync(), SECOND), Ok(()));
    machine.start(SECOND);
    assert_eq!(
        machine.submit("b".into(), sync(), SECOND),
        Err(Refused::NoFreeRunner)
    );
}

#[test]
fn cancel_answers_by_phase() {
    let mut machine = machine(1);
    submit(&mut machine, "a");
    submit(&mut machine, "b");
    machine.start(SECOND);
    assert_eq!(machine.cancel("b", SECOND), Cancelled::Removed);
    assert_eq!(machine.cancel("b", SECOND), Cancelled::AlreadyCompleted);
    assert_eq!(machine.cancel("a", SECOND), Cancelled::Requested);
    assert_eq!(machine.cancel("a", SECOND), Cancelled::Requested);
    assert_eq!(machine.cancel("z", SECOND), Cancelled::NotFound);
    let cancelled = machine.get("b", SECOND).unwrap();
    assert_eq!(cancelled.outcome.as_ref().unwrap().status, 499);
    assert_eq!(machine.waiting(), 0);
}

#[test]
fn a_lost_runner_sends_the_job_back() {
    let mut machine = machine(1);
    submit(&mut machine, "a");
    machine.start(SECOND);
    submit(&mut machine, "b");
    assert!(machine.requeue("a", 1, SECOND));
    assert_eq!(
        (phase(&machine, "a"), machine.position("a")),
        (Phase::Queued, Some(1))
    );
    // The runner that was given up cannot end the job any more.
    assert!(!machine.complete("a", 1, done(), SECOND));
    machine.start(SECOND);
    machine.complete("b", 1, done(), SECOND);
    machine.start(SECOND);
    assert!(machine.complete("a", 2, done(), SECOND));
}

#[test]
fn a_start_deadline_counts_until_the_job_runs() {
    let mut machine = machine(1);
    let limited = || Submission {
        start_deadline: Some(SECOND * 5),
        ..submission()
    };
    for name in ["a", "b"] {
        machine.submit(name.into(), limited(), SECOND).unwrap();
        machine.start(SECOND);
    }
    assert_eq!(machine.next_deadline(), Some(SECOND * 5));
    assert!(machine.expire(SECOND * 4).is_empty());
    assert_eq!(
        machine
            .expire(SECOND * 5)
            .iter()
            .map(|id| &**id)
            .collect::<Vec<_>>(),
        ["b"]
    );
    let missed = machine
        .get("b", SECOND * 5)
        .unwrap()
        .outcome
        .clone()
        .unwrap();
    assert_eq!(missed.status, 504);
    assert!(
        missed
            .headers
            .contains(&("x-fal-request-timeout-type", "user".to_owned()))
    );
    assert_eq!(phase(&machine, "a"), Phase::Running);
    // It spans failed attempts: back in the queue, it is already too late.
    machine.requeue("a", 1, SECOND);
    assert_eq!(machine.expire(SECOND * 6).len(), 1);
}

#[test]
fn a_job_that_never_starts_delays_no_other() {
    let mut machine = machine(1);
    let never = Plan {
        never_starts: true,
        ..Plan::default()
    };
    machine
        .submit(
            "a".into(),
            Submission {
                plan: never,
                ..submission()
            },
            SECOND,
        )
        .unwrap();
    submit(&mut machine, "b");
    assert_eq!(
        machine
            .start(SECOND)
            .iter()
            .map(|id| &**id)
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(phase(&machine, "a"), Phase::Queued);
}

#[test]
fn results_are_forgotten_by_size() {
    let ends = SECOND * 10;
    for (outcome, stored, kept) in [
        (done(), None, 3600),
        (Outcome::from_app(200, json!("x".repeat(10_000))), None, 360),
        (done(), Some(SECOND * 10_000), 10_000),
        (
            Outcome::from_app(200, json!("x".repeat(1_000_000))),
            Some(SECOND * 10_000),
            360,
        ),
    ] {
        let mut machine = Machine::new(
            1,
            Retention {
                stored,
                ..Retention::default()
            },
        );
        submit(&mut machine, "a");
        machine.start(SECOND);
        machine.complete("a", 1, outcome, ends);
        let last = ends + SECOND * kept - Duration::from_millis(1);
        assert!(machine.get("a", last).is_some(), "{kept}");
        assert!(machine.get("a", ends + SECOND * kept).is_none(), "{kept}");
    }
}

#[test]
fn of_very_much_the_oldest_is_forgotten() {
    let mut machine = machine(1);
    let large = || Submission {
        size: 100 << 20,
        ..submission()
    };
    for name in ["a", "b", "c", "d"] {
        machine.submit(name.into(), large(), SECOND).unwrap();
        machine.start(SECOND);
        assert!(machine.get(name, SECOND).is_some());
        machine.complete(name, 1, done(), SECOND);
    }
    let known = ["a", "b", "c", "d"].map(|name| machine.get(name, SECOND).is_some());
    assert_eq!(known, [false, false, true, true]);
}

#[test]
fn planned_log_lines_show_in_time() {
    let mut machine = machine(1);
    submit(&mut machine, "a");
    machine.start(SECOND);
    let line = |second: u32| LogLine {
        at: SECOND * second,
        message: second.to_string(),
    };
    machine.get_mut("a").unwrap().logs = vec![line(1), line(2), line(3)];
    assert_eq!(
        machine
            .get("a", SECOND * 2)
            .unwrap()
            .logs_until(SECOND * 2)
            .len(),
        2
    );
    machine.complete("a", 1, done(), SECOND * 2);
    assert_eq!(
        machine
            .get("a", SECOND * 9)
            .unwrap()
            .logs_until(SECOND * 9)
            .len(),
        2
    );
}
