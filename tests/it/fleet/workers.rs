//! Workers of one batch in separate folders: killed, stopped past their lease, and continued.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uso_emulator::Emulator;
use uso_tests::postgres;
use uso_tests::rig::{Cli, Rig, Run, content};

use super::server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

/// A batch whose rows are offered on a server, and the machines that work on it.
struct Fleet {
    emulator: Emulator,
    place: String,
    rows: usize,
}

impl Fleet {
    /// Offers rows from a machine of their own. A lease lasts some seconds.
    async fn new(server: &postgres::Cluster, emulator: Emulator, rows: usize) -> Self {
        let place = server.database().await;
        let fleet = Self {
            emulator,
            place,
            rows,
        };
        let machine = fleet.machine();
        let migrated = machine.run(&["journal", "migrate"]);
        assert_eq!(migrated.code, 0, "{migrated:?}");
        postgres::run(&fleet.place, "UPDATE uso.journal SET lease_ms = 4000").await;
        let mut manifest = "id,content,prompt,seed,size\n".to_owned();
        for row in 0..rows {
            let content = content().display().to_string();
            let _ = writeln!(manifest, "r{row:02},{content},x,{row},256x256");
        }
        std::fs::write(machine.folder().join("m.csv"), manifest).unwrap();
        let run = [
            "batch",
            "run",
            "m.csv",
            "--batch",
            "b",
            "--name",
            "{id}.{ext}",
        ];
        let offered = machine.run(&[run.as_slice(), &["--offer"]].concat());
        assert_eq!(offered.code, 0, "{offered:?}");
        assert_eq!(fleet.bought(), 0, "an offer buys nothing");
        fleet
    }

    /// A machine with folders of its own.
    fn machine(&self) -> Cli {
        Cli::new(PROGRAM)
            .at(&self.emulator.origin())
            .variable("USO_JOURNAL", &self.place)
    }

    fn bought(&self) -> usize {
        self.emulator.ledger().purchases().len()
    }

    async fn text(&self, sql: &str) -> String {
        postgres::text(&self.place, sql).await
    }

    async fn count(&self, condition: &str) -> usize {
        let sql = format!("SELECT count(*)::text FROM uso.job WHERE {condition}");
        self.text(&sql).await.parse().unwrap()
    }

    /// Returns once this holds.
    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !holds().await {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "never: {what}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn work(machine: &Cli) -> Child {
    machine
        .command(&[
            "batch",
            "work",
            "b",
            "--output",
            "out",
            "--concurrency",
            "2",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn end(child: Child) -> Run {
    let waited = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    Run::of(&waited.await.unwrap())
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.unwrap().success());
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_workers_two_are_killed_and_a_fifth_machine_collects_every_picture() {
    let Some(server) = server("workers::killed") else {
        return;
    };
    let builder = Rig::plain_builder().inference_time(Duration::from_millis(400));
    let fleet = Fleet::new(server, builder.start().await.unwrap(), 24).await;
    let machines: Vec<Cli> = (0..4).map(|_| fleet.machine()).collect();
    let mut workers: Vec<Child> = machines.iter().map(work).collect();
    for killed in 0..2 {
        let wanted = 5 * (killed + 1);
        let enough = async || fleet.bought() >= wanted;
        fleet.until("purchases", enough).await;
        let mut worker = workers.remove(0);
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    for worker in workers {
        let run = end(worker).await;
        assert!(run.code == 0 || run.code == 6, "{run:?}");
    }
    // A kill between the record of the submit and its outcome leaves a row unknown.
    assert_eq!(fleet.count("state NOT IN ('done', 'unknown')").await, 0);
    let fifth = fleet.machine();
    let collected = fifth.run(&["batch", "collect", "b", "--out", "all"]);
    assert!(collected.code == 0 || collected.code == 6, "{collected:?}");
    let done = fleet.count("state = 'done'").await;
    let unknown = fleet.count("state = 'unknown'").await;
    assert_eq!(done + unknown, fleet.rows);
    assert_eq!(
        fleet.bought(),
        done,
        "{unknown} rows never left: {collected:?}"
    );
    assert_eq!(names(&fifth.folder().join("all")).len(), done);
    let again = fifth.run(&["batch", "work", "b"]);
    assert_eq!(fleet.bought(), done, "{again:?}");
}

/// Lets the first transaction that makes a row this state take its time, so that its worker can be
/// stopped there.
fn gate(point: &str) -> String {
    format!(
        "CREATE SEQUENCE public.passed; \
         CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN IF nextval('public.passed') = 1 THEN PERFORM pg_sleep(0.5); END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER gate AFTER UPDATE ON uso.job FOR EACH ROW \
         WHEN (NEW.state = '{point}' AND OLD.state <> '{point}') EXECUTE FUNCTION public.gate()"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_past_its_lease_sends_and_writes_nothing_late() {
    let Some(server) = server("workers::stopped") else {
        return;
    };
    for point in ["reserved", "sending", "submitted", "done"] {
        let builder = Rig::plain_builder().inference_time(Duration::from_millis(100));
        let fleet = Fleet::new(server, builder.start().await.unwrap(), 4).await;
        postgres::run(&fleet.place, &gate(point)).await;
        let machine = fleet.machine();
        let stopped = work(&machine);
        let passed = "SELECT is_called::text FROM public.passed";
        let at_point = async || fleet.text(passed).await == "true";
        fleet.until(point, at_point).await;
        signal(&stopped, "STOP");
        let ended = "SELECT (count(*) > 0)::text FROM uso.worker WHERE expires_at < uso.uso_now()";
        let has_ended = async || fleet.text(ended).await == "true";
        fleet.until("the lease ends", has_ended).await;
        let other = fleet.machine();
        let run = end(work(&other)).await;
        assert!(run.code == 0 || run.code == 6, "{point}: {run:?}");
        let settled = fleet.count("state IN ('done', 'unknown')").await;
        assert_eq!(settled, fleet.rows, "{point}: {run:?}");
        let (bought, unknown) = (fleet.bought(), fleet.count("state = 'unknown'").await);
        signal(&stopped, "CONT");
        let late = end(stopped).await;
        assert!(late.code == 0 || late.code == 6, "{point}: {late:?}");
        assert_eq!(fleet.bought(), bought, "{point}: it bought late: {late:?}");
        let still = fleet.count("state = 'unknown'").await;
        assert_eq!(still, unknown, "{point}: it wrote late: {late:?}");
        // What is bought is done, or is one of the unknown rows.
        let done = fleet.count("state = 'done'").await;
        assert!(
            (done..=done + unknown).contains(&bought),
            "{point}: {late:?}"
        );
        assert!(bought <= fleet.rows, "{point}: a row was bought twice");
    }
}
