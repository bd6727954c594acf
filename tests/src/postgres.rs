//! A private PostgreSQL cluster of the tests, and a database for each journal.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use tokio_postgres::{Client, NoTls};

/// The user that runs the server when the tests run as root, which PostgreSQL refuses.
const UNPRIVILEGED: &str = "65534";

/// Makes a cluster, serves it until the standard input ends, and removes it. The arguments are the
/// folder of the programs and that of the cluster.
const SCRIPT: &str = r#"
set -e
bin=$1 folder=$2
trap 'rm -rf "$folder"' EXIT
"$bin/initdb" -D "$folder/data" -A trust -U uso -E UTF8 --locale=C --no-instructions >"$folder/log" 2>&1
shift 2
serve() {
    "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c max_connections=600 "$@" \
        >>"$folder/log" 2>&1 </dev/null &
    server=$!
    until "$bin/pg_isready" -q -h "$folder"; do
        kill -0 "$server" || { cat "$folder/log" >&2; exit 1; }
    done
    echo ready
}
serve "$@"
# Each line crashes the server and starts it again.
while read -r line; do
    kill -QUIT "$server"
    wait "$server" || true
    serve "$@"
done
kill -INT "$server"
wait "$server" || true
"#;

/// A private cluster. It is removed with its value, and when the process of the tests ends in any
/// way.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    keeper: Child,
    input: Option<ChildStdin>,
    output: Mutex<BufReader<ChildStdout>>,
}

impl Cluster {
    /// The cluster that the tests of this process share; `None` where PostgreSQL is not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[])).as_ref()
    }

    /// Starts a cluster with these settings of the server; `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    ///
    /// When the server does not start.
    pub fn start(settings: &[&str]) -> Option<Self> {
        Self::start_at(5432, settings)
    }

    /// As [`Cluster::start`], with another port.
    ///
    /// # Panics
    ///
    /// When the server does not start.
    pub fn start_at(port: u16, settings: &[&str]) -> Option<Self> {
        // Memory where there is some: the tests commit some thousand times.
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => Self::start_in(memory, port, settings),
            false => Self::start_in(&std::env::temp_dir(), port, settings),
        }
    }

    /// As [`Cluster::start_at`], with the data in a new folder of this one, which every user may
    /// enter.
    ///
    /// # Panics
    ///
    /// When the server does not start.
    #[expect(clippy::expect_used, reason = "a test without its server ends here")]
    pub fn start_in(folder: &Path, port: u16, settings: &[&str]) -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir_in(folder);
        let folder = folder.expect("a temporary folder").keep();
        let mut command = match is_root() {
            true => {
                std::os::unix::fs::chown(
                    &folder,
                    UNPRIVILEGED.parse().ok(),
                    UNPRIVILEGED.parse().ok(),
                )
                .expect("root gives a folder away");
                let mut command = Command::new("setpriv");
                command.args([
                    "--reuid",
                    UNPRIVILEGED,
                    "--regid",
                    UNPRIVILEGED,
                    "--clear-groups",
                    "sh",
                ]);
                command
            }
            false => Command::new("sh"),
        };
        command
            .args(["-c", SCRIPT, "sh"])
            .arg(programs)
            .arg(&folder);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let mut keeper = command
            .env("PGPORT", port.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut said = String::new();
        let output = keeper.stdout.take().expect("its output is piped");
        let mut output = BufReader::new(output);
        output.read_line(&mut said).expect("its output is text");
        if said != "ready\n" {
            let mut why = String::new();
            let _ = keeper
                .stderr
                .take()
                .map(|mut pipe| pipe.read_to_string(&mut why));
            assert_eq!(said, "ready\n", "the server does not start: {why}");
        }
        Some(Self {
            folder,
            input: keeper.stdin.take(),
            output: Mutex::new(output),
            keeper,
        })
    }

    /// Crashes the server, as a lost machine does, and starts it again.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    #[expect(clippy::expect_used, reason = "a test without its server ends here")]
    pub fn crash(&mut self) {
        let input = self.input.as_mut().expect("the cluster runs");
        input.write_all(b"crash\n").expect("the cluster runs");
        let mut said = String::new();
        let output = self.output.get_mut().expect("no reader failed");
        output.read_line(&mut said).expect("its output is text");
        assert_eq!(said, "ready\n");
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://uso@/{database}?host={}", self.folder.display())
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a statement in a database.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub async fn run(&self, database: &str, sql: &str) {
        run(&self.url(database), sql).await;
    }

    /// Makes an empty database and gives its URL.
    pub async fn database(&self) -> String {
        let name = format!("t{:016x}", rand());
        self.run("postgres", &format!("CREATE DATABASE {name}"))
            .await;
        self.url(&name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

/// A connection to a server without TLS.
///
/// # Panics
///
/// When there is none.
#[expect(clippy::expect_used, reason = "a test without its server ends here")]
pub async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a server");
    tokio::spawn(connection);
    client
}

/// Runs a statement.
///
/// # Panics
///
/// When the server refuses it.
#[expect(clippy::expect_used, reason = "the statements of a test are right")]
pub async fn run(url: &str, sql: &str) {
    client(url).await.batch_execute(sql).await.expect(sql);
}

/// The text that a query gives.
///
/// # Panics
///
/// When the server refuses it.
#[expect(clippy::expect_used, reason = "the statements of a test are right")]
pub async fn text(url: &str, sql: &str) -> String {
    let row = client(url).await.query_one(sql, &[]).await.expect(sql);
    row.get(0)
}

fn rand() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// The folder of PostgreSQL's programs: that of `initdb` on the path, or Debian's.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut debian: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let has_all = |folder: &PathBuf| {
        let programs = ["initdb", "pg_isready", "postgres"];
        programs.iter().all(|name| folder.join(name).is_file())
    };
    folders.into_iter().find(has_all)
}
