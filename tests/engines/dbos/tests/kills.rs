//! The program of DBOS, killed around its purchase and started again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use uso_emulator::{Emulator, Fault, Operation, PictureMode, Scenario};

/// The private server of the workspace's tests.
#[allow(dead_code, reason = "the tests of the workspace use the rest")]
#[path = "../../../src/postgres.rs"]
mod postgres;

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-engine-dbos");

/// Where the process is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// The service accepted the submit, and its response has not arrived.
    Accepted,
    /// The purchase returned inside the step, and DBOS has not recorded the step.
    Returned,
}

/// A workflow in a database, a service and a folder.
struct Shop {
    database: String,
    workflow: String,
    emulator: Emulator,
    folder: tempfile::TempDir,
}

impl Shop {
    async fn new(cluster: &postgres::Cluster, point: Point, name: &str) -> Self {
        let scenario = match point {
            Point::Accepted => Scenario::new().on(Operation::Submit, Fault::AcceptThenHang),
            Point::Returned => Scenario::new(),
        };
        let emulator = Emulator::builder()
            .picture(PictureMode::Plain)
            .scenario(scenario);
        // The form of the URL that the parser of DBOS takes as well.
        let database = cluster.url("postgres").replacen("uso@", "", 1);
        Self {
            database: format!("{database}&user=uso"),
            workflow: format!("{point:?}-{name}"),
            emulator: emulator.start().await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn bought(&self) -> usize {
        self.emulator.ledger().purchases().len()
    }

    /// The program with the order of the workflow.
    fn program(&self, options: &[&str]) -> Command {
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pictures");
        let mut command = Command::new(PROGRAM);
        command
            .arg(&self.workflow)
            .args([pictures.join("content.jpg"), pictures.join("style.jpg")])
            .args(options)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", &self.database)
            .env("USO_BASE_URL", self.emulator.origin())
            .env("FAL_KEY", "test-id:test-secret")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    /// Starts the program, kills it at a point, and lets its lease end, as time ends it.
    async fn kill_at(&self, point: Point, options: &[&str]) {
        let mut program = self.program(options);
        if matches!(point, Point::Returned) {
            program.env("STOP_AT_RETURN", "1");
        }
        let mut child = program.spawn().unwrap();
        match point {
            Point::Accepted => self.accepts(&mut child).await,
            Point::Returned => {
                let lines = BufReader::new(child.stdout.take().unwrap()).lines();
                let first = tokio::task::spawn_blocking(|| { lines }.next());
                assert_eq!(first.await.unwrap().unwrap().unwrap(), "returned");
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        postgres::run(&self.database, "UPDATE uso.worker SET expires_at = 0").await;
    }

    async fn accepts(&self, child: &mut Child) {
        while self.bought() == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended early");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The picture that the workflow returns after its process was killed and started again.
    async fn picture_after(&self, point: Point, options: &[&str]) -> String {
        self.kill_at(point, options).await;
        assert_eq!(self.bought(), 1, "{point:?}");
        let mut program = self.program(options);
        let output = tokio::task::spawn_blocking(move || program.output().unwrap());
        let output = output.await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{point:?}: {said}");
        let path = said.trim_end().to_owned();
        assert!(Path::new(&path).is_file(), "{point:?}: {path}");
        path
    }

    /// How often DBOS took the workflow up again.
    async fn recoveries(&self) -> String {
        let sql = format!(
            "SELECT recovery_attempts::text FROM dbos.workflow_status WHERE workflow_uuid = '{}'",
            self.workflow
        );
        postgres::text(&self.database, &sql).await
    }
}

fn cluster() -> Option<postgres::Cluster> {
    let cluster = postgres::Cluster::start(&[]);
    if cluster.is_none() {
        let may_skip = std::env::var_os("USO_NO_SKIPS").is_none();
        assert!(
            may_skip,
            "PostgreSQL is missing, and nothing may be skipped"
        );
        eprintln!("skipped: the engines need PostgreSQL");
    }
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_runs_again_buys_once_with_the_journal_and_twice_without() {
    let Some(cluster) = cluster() else { return };
    for point in [Point::Accepted, Point::Returned] {
        let with = Shop::new(&cluster, point, "with").await;
        let picture = with.picture_after(point, &[]).await;
        assert_eq!(with.bought(), 1, "{point:?}");
        assert_eq!(with.recoveries().await, "2", "{point:?}: DBOS ran it again");
        assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));

        let without = Shop::new(&cluster, point, "without").await;
        without.picture_after(point, &["--without-journal"]).await;
        assert_eq!(without.bought(), 2, "{point:?}");
    }
}
