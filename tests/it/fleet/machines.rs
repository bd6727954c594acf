//! Machines of a fleet: commands with folders of their own, which work on one offered batch.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use uso_emulator::Emulator;
use uso_tests::postgres;
use uso_tests::rig::{Cli, Run, content};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

/// A batch whose rows are offered on a server, and the machines that work on it.
pub(super) struct Fleet {
    pub(super) emulator: Emulator,
    pub(super) place: String,
    pub(super) rows: usize,
}

impl Fleet {
    /// Offers rows from a machine of their own. A lease lasts some seconds.
    pub(super) async fn new(server: &postgres::Cluster, emulator: Emulator, rows: usize) -> Self {
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
    pub(super) fn machine(&self) -> Cli {
        Cli::new(PROGRAM)
            .at(&self.emulator.origin())
            .variable("USO_JOURNAL", &self.place)
    }

    pub(super) fn bought(&self) -> usize {
        self.emulator.ledger().purchases().len()
    }

    pub(super) async fn text(&self, sql: &str) -> String {
        postgres::text(&self.place, sql).await
    }

    pub(super) async fn count(&self, condition: &str) -> usize {
        let sql = format!("SELECT count(*)::text FROM uso.job WHERE {condition}");
        self.text(&sql).await.parse().unwrap()
    }
}

pub(super) fn work(machine: &Cli) -> Child {
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

pub(super) async fn end(child: Child) -> Run {
    let waited = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    Run::of(&waited.await.unwrap())
}

pub(super) fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.unwrap().success());
}

/// Lets the first transaction that makes a row this state take its time, so that its worker can be
/// stopped there.
pub(super) fn gate(point: &str) -> String {
    format!(
        "CREATE SEQUENCE public.passed; \
         CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN IF nextval('public.passed') = 1 THEN PERFORM pg_sleep(0.5); END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER gate AFTER UPDATE ON uso.job FOR EACH ROW \
         WHEN (NEW.state = '{point}' AND OLD.state <> '{point}') EXECUTE FUNCTION public.gate()"
    )
}
