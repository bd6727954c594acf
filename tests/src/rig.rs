//! An emulator, a client of it, and the command line in a clean environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use uso::config::RetryPolicy;
use uso::{ApiKey, BaseUrls, Client, Config};
use uso_emulator::{Emulator, EmulatorBuilder, PictureMode};

/// The longest time that another process or task may take to reach a state.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns once a state is reached that no event announces, such as one of another process.
///
/// # Panics
///
/// When the state is not reached.
pub async fn until(what: &str, mut is_reached: impl FnMut() -> bool) {
    until_async(what, async || is_reached()).await;
}

/// As [`until`], for a condition that is asked for, such as one of a database.
///
/// # Panics
///
/// When the state is not reached.
#[expect(clippy::panic, reason = "a test without the state ends here")]
pub async fn until_async(what: &str, mut is_reached: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_reached().await {
        if began.elapsed() > PATIENCE {
            panic!("not reached: {what}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// An emulator and a client of it.
pub struct Rig {
    /// The service.
    pub emulator: Emulator,
    /// The facade, pointed at it.
    pub client: Client,
}

impl Rig {
    /// An emulator that makes real pictures.
    pub async fn with_pictures() -> Self {
        Self::of(Self::pictures_builder()).await
    }

    /// An emulator that makes tiny plain pictures, for tests of everything else.
    pub async fn plain() -> Self {
        Self::of(Self::plain_builder()).await
    }

    /// The settings of [`Rig::with_pictures`], to differ from.
    pub fn pictures_builder() -> EmulatorBuilder {
        Emulator::builder().picture(PictureMode::Restyled)
    }

    /// The settings of [`Rig::plain`], to differ from.
    pub fn plain_builder() -> EmulatorBuilder {
        Emulator::builder().picture(PictureMode::Plain)
    }

    /// This emulator and a client with the default settings.
    pub async fn of(builder: EmulatorBuilder) -> Self {
        Self::configured(builder, |config| config).await
    }

    /// This emulator and a client with other settings.
    ///
    /// # Panics
    ///
    /// When the emulator does not start; a test has nothing else to do then.
    #[expect(clippy::expect_used, reason = "a test without its emulator ends here")]
    pub async fn configured(
        builder: EmulatorBuilder,
        configure: impl FnOnce(Config) -> Config,
    ) -> Self {
        let emulator = builder.start().await.expect("the emulator starts");
        let config = config_for(&emulator.origin()).expect("the emulator's origin is a base URL");
        // As many attempts as by default, with pauses that no test waits for.
        let quick = RetryPolicy::default()
            .first_delay(Duration::from_millis(1))
            .longest_delay(Duration::from_millis(5));
        let config = config.retry(quick);
        let client = Client::new(configure(config)).expect("the settings are usable");
        Self { emulator, client }
    }

    /// The requests that the emulator saw, as words such as `submit`.
    pub fn operations(&self) -> Vec<String> {
        self.emulator
            .requests()
            .iter()
            .map(|request| request.operation.as_str().to_owned())
            .collect()
    }
}

/// Settings for an emulator at this origin.
///
/// # Errors
///
/// When the origin is none.
pub fn config_for(origin: &str) -> uso::Result<Config> {
    Ok(Config::new(
        ApiKey::new("test-id:test-secret")?,
        BaseUrls::single_origin(origin)?,
    ))
}

/// A number below a limit that looks random and is the same in each run.
pub fn pick(round: usize, salt: usize, below: usize) -> usize {
    let mixed = (round as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (salt as u64).wrapping_mul(0xbf58_476d);
    (mixed >> 33) as usize % below
}

/// A file of the tests' folder.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The project's content picture.
pub fn content() -> PathBuf {
    file("pictures/content.jpg")
}

/// The project's style picture.
pub fn style() -> PathBuf {
    file("pictures/style.jpg")
}

/// Real pictures beside the project, where there are any: the folder that `USO_PICTURES` names, or
/// `../shared/images`.
pub fn real_pictures() -> Vec<PathBuf> {
    let beside = || file("../../shared/images");
    let folder = std::env::var_os("USO_PICTURES").map_or_else(beside, PathBuf::from);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("jpg" | "png" | "webp"))
    };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(is_picture)
        .collect();
    found.sort();
    found
}

/// Says that a test was skipped, where it is seen also when the test passes; fails it where skips
/// are not allowed.
///
/// # Panics
///
/// When `USO_NO_SKIPS` is set.
pub fn skipped(test: &str, missing: &str) {
    assert!(
        std::env::var_os("USO_NO_SKIPS").is_none(),
        "{test} needs {missing}, and nothing may be skipped"
    );
    // Written past the harness, which keeps the output of tests that pass.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("skipped: {test} needs {missing}\n"),
    );
}

/// The command line, in an empty folder and without the variables of this machine.
pub struct Cli {
    program: PathBuf,
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
    config: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What a run of the command line came to.
#[derive(Debug)]
pub struct Run {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Cli {
    /// The command line as this binary.
    ///
    /// # Panics
    ///
    /// When no temporary folder can be made.
    #[expect(clippy::expect_used, reason = "a test without its folder ends here")]
    pub fn new(program: &str) -> Self {
        let folder = || tempfile::tempdir().expect("a temporary folder");
        Self {
            program: program.into(),
            folder: folder(),
            state: folder(),
            config: folder(),
            variables: Vec::new(),
        }
    }

    /// Sets a variable for every run.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Uses the emulator at this origin.
    #[must_use]
    pub fn at(self, origin: &str) -> Self {
        self.variable("USO_BASE_URL", origin)
            .variable("FAL_KEY", "test-id:test-secret")
    }

    /// The folder that it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of its key and its configuration file.
    pub fn config(&self) -> PathBuf {
        self.config.path().join("uso")
    }

    /// The command with these arguments, not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let kept = ["PATH", "HOME", "TMPDIR", "SystemRoot"];
        let kept = kept
            .iter()
            .filter_map(|name| Some((*name, std::env::var_os(name)?)));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(kept)
            .env("USO_STATE_DIR", self.state.path())
            .env("XDG_CONFIG_HOME", self.config.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[expect(clippy::expect_used, reason = "a test without its program ends here")]
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(
            &self
                .command(arguments)
                .output()
                .expect("the command starts"),
        )
    }
}

impl Run {
    /// The outcome of a finished process.
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// stdout as one JSON document.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[expect(clippy::panic, reason = "the document is what the test is about")]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("stdout is not JSON ({error}): {self:?}"),
        }
    }
}

/// Has a subscriber see the events of this thread, until the guard is dropped.
///
/// While only one subscriber is registered, tracing asks the subscriber of the thread that reaches
/// an event first whether anyone wants it, and keeps the answer for all threads. With another
/// subscriber that stays, it asks all of them.
pub fn observe(
    subscriber: impl tracing::Subscriber + Send + Sync + 'static,
) -> tracing::subscriber::DefaultGuard {
    static OTHER: OnceLock<tracing::Dispatch> = OnceLock::new();
    OTHER.get_or_init(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new()));
    tracing::subscriber::set_default(subscriber)
}
