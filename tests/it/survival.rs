//! A killed process loses nothing and buys nothing twice: `uso resume` finishes what it left.

mod kills;
mod records;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use uso_emulator::{Billing, Fault, Operation, Scenario};
use uso_journal::{Journal, Purchase, State};
use uso_tests::rig::{Cli, Rig, Run, content, style, until_async};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");
const PROMPT: &str = "an unmistakable lighthouse in the fog";

/// How long an emulated job runs where it is to be met running.
const RUNNING: Duration = Duration::from_secs(30);

/// What the killer waits for.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// The submit is recorded and leaves.
    Sending,
    /// The request id is recorded.
    Submitted,
    /// The service accepted it.
    Bought,
    /// This many requests of the kind arrived.
    Request(Operation, usize),
    /// The scenario's fault met this many requests of the kind.
    Struck(Operation, usize),
    /// The process said this.
    Said(&'static str),
    /// A download began to be written, and met its fault.
    Part,
    /// This many pictures are on disk, and the next download met its fault.
    Saved(usize),
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    One,
    Three,
    TwoInFolder,
}

impl Shape {
    const ALL: [Self; 3] = [Self::One, Self::Three, Self::TwoInFolder];

    fn pictures(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
            Self::TwoInFolder => 2,
        }
    }

    fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::One => ["--images", "1", "-o", "out/a.png"],
            Self::Three => ["--images", "3", "-o", "out/a.jpg"],
            Self::TwoInFolder => ["--images", "2", "-o", "out/"],
        }
    }
}

/// One command line with its state and its output folder, against one emulator.
struct Scene {
    rig: Rig,
    cli: Cli,
}

impl Scene {
    async fn new(scenario: Scenario, inference: Duration) -> Self {
        let builder = Rig::plain_builder()
            .scenario(scenario)
            .inference_time(inference);
        let rig = Rig::of(builder).await;
        let cli = Cli::new(PROGRAM).at(&rig.emulator.origin());
        let state = cli.folder().join("state");
        let cli = cli.variable("USO_STATE_DIR", state.to_str().unwrap());
        fs::create_dir(cli.folder().join("out")).unwrap();
        Self { rig, cli }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let talk = fs::File::create(self.cli.folder().join("talk")).unwrap();
        let mut command = self.cli.command(arguments);
        command.stdout(Stdio::null()).stderr(talk).spawn().unwrap()
    }

    fn generate(&self, shape: Shape, more: &[&str]) -> Child {
        let (content, style) = (content(), style());
        let references = [content.to_str().unwrap(), style.to_str().unwrap()];
        let fixed = [
            "generate",
            "--content",
            references[0],
            "--style",
            references[1],
            "--prompt",
            PROMPT,
            "--size",
            "48x32",
        ];
        self.start(&[&fixed[..], &shape.arguments(), more].concat())
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.cli.command(arguments);
        let run = tokio::task::spawn_blocking(move || Run::of(&command.output().unwrap()));
        run.await.unwrap()
    }

    /// The files that are not empty: an empty one in the output folder takes a name.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cli.folder().join(folder));
        let entries = entries.into_iter().flatten().flatten();
        let is_lock = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "lock");
        let is_empty = |path: &PathBuf| fs::metadata(path).is_ok_and(|there| there.len() == 0);
        let paths = entries.map(|entry| entry.path());
        paths
            .filter(|path| !is_empty(path) || is_lock(path))
            .collect()
    }

    /// What the journal of the command holds.
    async fn jobs(&self) -> Vec<Purchase> {
        let path = self.cli.folder().join("state/journal.db");
        if !path.exists() {
            return Vec::new();
        }
        let journal = Journal::open(path).unwrap();
        journal.jobs(&self.rig.client).read().await.unwrap()
    }

    async fn states(&self) -> Vec<State> {
        let jobs = self.jobs().await;
        jobs.into_iter().map(|job| job.state).collect()
    }

    fn count(&self, operation: Operation) -> usize {
        let requests = self.rig.emulator.requests();
        requests
            .iter()
            .filter(|request| request.operation == operation)
            .count()
    }

    /// A fault that is logged is used up, and will not meet the resume as well.
    fn struck(&self, operation: Operation) -> usize {
        let requests = self.rig.emulator.requests();
        requests
            .iter()
            .filter(|request| request.operation == operation && request.fault.is_some())
            .count()
    }

    async fn is_at(&self, point: Point) -> bool {
        // Files of a download that is not whole yet are hidden.
        let is_part = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with('.')
        };
        match point {
            Point::Sending => {
                let states = self.states().await;
                states.iter().any(|state| state.may_be_bought())
            }
            Point::Submitted => self.states().await == [State::Submitted],
            Point::Bought => !self.rig.emulator.ledger().purchases().is_empty(),
            Point::Request(operation, count) => self.count(operation) >= count,
            Point::Said(text) => fs::read_to_string(self.cli.folder().join("talk"))
                .unwrap()
                .contains(text),
            Point::Struck(operation, count) => self.struck(operation) >= count,
            Point::Part => {
                let entries = fs::read_dir(self.cli.folder().join("out")).unwrap();
                let mut paths = entries.flatten().map(|entry| entry.path());
                self.struck(Operation::File) > 0 && paths.any(|path| is_part(&path))
            }
            Point::Saved(count) => {
                let files = self.files("out");
                self.struck(Operation::File) > 0
                    && files.iter().filter(|path| !is_part(path)).count() >= count
            }
        }
    }

    /// Returns when the point is reached, or the process has ended before it.
    async fn reach(&self, point: Point, child: &mut Child) -> bool {
        let mut has_ended = false;
        until_async(&format!("{point:?}"), async || {
            let is_reached = self.is_at(point).await;
            has_ended = !is_reached && child.try_wait().unwrap().is_some();
            is_reached || has_ended
        })
        .await;
        !has_ended
    }

    /// Kills at the point, lets the emulated time pass, resumes, and holds the books against the
    /// disk.
    async fn kill_and_resume(&self, point: Point, shape: Shape) {
        let mut child = self.generate(shape, &[]);
        let reached = self.reach(point, &mut child).await;
        let talk = || fs::read_to_string(self.cli.folder().join("talk")).unwrap();
        assert!(
            reached,
            "{point:?} {shape:?}: it ended too early: {:?} {}",
            child.try_wait(),
            talk()
        );
        child.kill().unwrap();
        child.wait().unwrap();
        self.rig.emulator.advance(RUNNING + Duration::from_secs(1));
        let mut run = self.run(&["resume"]).await;
        if run.code == 6 && self.is_at(Point::Bought).await {
            // What the killed process left in the socket was accepted after the first look.
            run = self.run(&["resume"]).await;
        }

        let ledger = self.rig.emulator.ledger();
        assert!(ledger.purchases().len() <= 1, "{point:?} {shape:?} {run:?}");
        let files = self.files("out");
        let told = || {
            format!(
                "{point:?} {shape:?} {run:?} {files:?} {:?}",
                self.rig.operations()
            )
        };
        let Some(purchase) = ledger.purchases().first() else {
            // Nothing was accepted, which only the passing of the start deadline can prove.
            assert_eq!(run.code, 6, "{}", told());
            assert_eq!(self.states().await, [State::Unknown], "{}", told());
            assert!(files.is_empty(), "{}", told());
            return;
        };
        assert_eq!(purchase.billing, Billing::Billed, "{}", told());
        assert_eq!(run.code, 0, "{}", told());
        assert_eq!(files.len(), shape.pictures(), "{}", told());
        for file in &files {
            let picture = image::load_from_memory(&fs::read(file).unwrap());
            assert!(picture.is_ok(), "{file:?} {}", told());
        }
        assert_eq!(self.states().await, [State::Done], "{}", told());
    }
}

/// Every shape at this point.
async fn survive(point: Point, scenario: impl Fn() -> Scenario) -> usize {
    survive_as(&Shape::ALL, point, Duration::from_millis(5), scenario).await
}

async fn survive_as(
    shapes: &[Shape],
    point: Point,
    inference: Duration,
    scenario: impl Fn() -> Scenario,
) -> usize {
    for shape in shapes {
        let scene = Scene::new(scenario(), inference).await;
        scene.kill_and_resume(point, *shape).await;
    }
    shapes.len()
}

const LONG: Duration = Duration::from_secs(10_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_before_the_purchase_buys_nothing_twice() {
    use Operation::{Listing, Submit};
    let mut cases = survive(Point::Sending, Scenario::new).await;
    cases += survive(Point::Struck(Submit, 1), || {
        Scenario::new().on(Submit, Fault::Hang)
    })
    .await;
    cases += survive(Point::Struck(Listing, 1), || {
        Scenario::new()
            .on(Submit, Fault::Drop)
            .on(Listing, Fault::Hang)
    })
    .await;
    assert_eq!(cases, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_the_purchase_loses_nothing() {
    use Operation::{Listing, Submit};
    let mut cases = 0;
    for fault in [Fault::AcceptThenHang, Fault::Delay(LONG)] {
        cases += survive(Point::Bought, || Scenario::new().on(Submit, fault.clone())).await;
    }
    for fault in [Fault::AcceptThenDrop, Fault::AcceptThenGatewayPage(502)] {
        cases += survive(Point::Struck(Listing, 1), || {
            Scenario::new()
                .on(Submit, fault.clone())
                .on(Listing, Fault::Hang)
        })
        .await;
    }
    cases += survive(Point::Struck(Listing, 2), || {
        Scenario::new()
            .on(Submit, Fault::AcceptThenDrop)
            .on(Listing, Fault::EmptyListing)
            .on(Listing, Fault::Hang)
    })
    .await;
    assert_eq!(cases, 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_waiting_loses_nothing() {
    use Operation::{Status, Stream};
    let mut cases = 0;
    let slow = |point| survive_as(&Shape::ALL, point, RUNNING, Scenario::new);
    cases += slow(Point::Submitted).await;
    cases += slow(Point::Said("submitted as")).await;
    cases += slow(Point::Request(Stream, 1)).await;
    cases += slow(Point::Said("running")).await;
    let polled = || Scenario::new().on(Stream, Fault::Status(404)).always();
    cases += survive_as(&Shape::ALL, Point::Request(Status, 1), RUNNING, polled).await;
    assert_eq!(cases, 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_collecting_loses_nothing() {
    use Operation::{File, Result};
    let mut cases = 0;
    for (operation, fault) in [
        (Result, Fault::Hang),
        (Result, Fault::Delay(LONG)),
        (File, Fault::Hang),
        (File, Fault::SlowHeaders),
    ] {
        cases += survive(Point::Struck(operation, 1), || {
            Scenario::new().on(operation, fault.clone())
        })
        .await;
    }
    cases += survive(Point::Part, || Scenario::new().on(File, Fault::Hang)).await;
    let several = [Shape::Three, Shape::TwoInFolder];
    let at_once = Duration::from_millis(5);
    let second = || Scenario::new().on(File, Fault::Hang).after(1);
    cases += survive_as(&several, Point::Struck(File, 1), at_once, second).await;
    cases += survive_as(&several, Point::Saved(1), at_once, second).await;
    assert_eq!(cases, 19);
}
