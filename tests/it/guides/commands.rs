//! Commands of pages, run as they stand, in a folder with the files that the pages name.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;
use uso_tests::postgres::Cluster;
use uso_tests::rig::{Cli, Rig, skipped};

use super::Page;

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

/// Variables that pages set and the test has set already, to addresses of its own.
const SET: [&str; 4] = ["FAL_KEY", "USO_BASE_URL", "USO_JOURNAL", "USO_PROXY_TOKEN"];

/// Commands that serve until they are ended.
const SERVERS: [&str; 4] = [
    "uso emulator",
    "uso studio",
    "uso proxy",
    "uso webhook listen",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_readme_and_the_guides_works() {
    let mut run = Vec::new();
    for page in Page::guides() {
        let lines: Vec<String> = page
            .blocks("sh")
            .iter()
            .flat_map(|block| commands(block))
            .collect();
        if lines.is_empty() {
            continue;
        }
        let rig = Rig::plain().await;
        let mut cli = Cli::new(PROGRAM)
            .at(&rig.emulator.origin())
            .variable("USO_PROXY_TOKEN", &"t".repeat(64));
        if page.text.contains("USO_JOURNAL=postgres://") {
            let Some(cluster) = Cluster::shared() else {
                skipped(
                    "the commands of the guide to several machines",
                    "PostgreSQL",
                );
                continue;
            };
            cli = cli.variable("USO_JOURNAL", &cluster.database().await);
        }
        let name = page.path.display().to_string();
        let done = tokio::task::spawn_blocking(move || {
            let mut scene = Scene::of(cli);
            for line in &lines {
                scene.run(&name, line);
            }
            lines.len()
        });
        run.push((page.path.clone(), done.await.unwrap()));
        assert!(rig.emulator.ledger().purchases().len() < 12, "{run:?}");
    }
    assert!(run.len() >= 8, "{run:?}");
}

/// The blocks of JSON are settings of clients that start a server of the Model Context Protocol.
#[test]
fn every_setting_of_an_agent_starts_a_server() {
    let cli = Cli::new(PROGRAM).at("http://127.0.0.1:9");
    let folder = cli.folder().to_str().unwrap();
    let mut started = 0;
    for page in Page::guides() {
        for block in page.blocks("json") {
            let settings: Value = serde_json::from_str(block).expect(block);
            let servers = settings.as_object().unwrap().values();
            let servers = servers.filter_map(|servers| servers.get("uso"));
            for server in servers {
                assert_eq!(server["command"], "uso", "{block}");
                let arguments: Vec<String> = server["args"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|argument| match argument.as_str().unwrap() {
                        "/path/to/project" | "${workspaceFolder}" => folder.to_owned(),
                        other => other.to_owned(),
                    })
                    .collect();
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                // A client that is gone at once ends the server without an error.
                let run = cli.run(&arguments);
                assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{block}: {run:?}");
                started += 1;
            }
        }
    }
    assert_eq!(started, 3);
}

/// The commands of a block: its lines without comments, settings of variables and cargo.
fn commands(block: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for line in block.lines() {
        let line = line.split("  #").next().unwrap().trim();
        if let Some(settings) = line.strip_prefix("export ") {
            let names = settings.split(' ').filter_map(|word| word.split_once('='));
            for (name, _) in names {
                assert!(SET.contains(&name), "{line}: the test does not set {name}");
            }
        } else if !line.is_empty() && !line.starts_with("cargo ") {
            commands.push(line.to_owned());
        }
    }
    commands
}

/// A folder with pictures, a shell that finds the command, and the servers that were started.
struct Scene {
    cli: Cli,
    servers: Vec<Child>,
    /// Addresses of the pages, and those of the servers that took their place.
    addresses: Vec<(&'static str, String)>,
}

impl Scene {
    fn of(cli: Cli) -> Self {
        let folder = cli.folder();
        for name in ["photos", ".bin"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        let names = ["photo.jpg", "ink.webp", "photos/a.jpg", "photos/b.jpg"];
        for (shade, name) in (0..).step_by(50).zip(names) {
            let picture = image::RgbImage::from_pixel(48, 32, image::Rgb([shade, 90, 200]));
            picture.save(folder.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(PROGRAM, folder.join(".bin/uso")).unwrap();
        Self {
            cli,
            servers: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn run(&mut self, page: &str, line: &str) {
        // No browser opens during a test.
        let mut line = line.replace(" --open", "");
        for (written, real) in &self.addresses {
            line = line.replace(written, real);
        }
        if SERVERS.iter().any(|server| line.starts_with(server)) {
            self.serve(page, &line);
            return;
        }
        let mut command = self.shell(&line);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The key that `uso login` asks for; others close their input unread.
        let _ = child.stdin.take().unwrap().write_all(b"an-id:a-secret\n");
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{page}: {line}: {}\n{stdout}{stderr}",
            output.status
        );
    }

    /// Starts a server on a free port, and returns once it says where it listens.
    fn serve(&mut self, page: &str, line: &str) {
        let line = line.trim_end_matches('&').trim_end();
        let mut command = self.shell(&format!("exec {line} --listen 127.0.0.1:0"));
        if line.contains("--emulator") {
            command.env_remove("USO_BASE_URL").env_remove("FAL_KEY");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, receive) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let send = send.clone();
            std::thread::spawn(move || {
                for said in BufReader::new(output).lines().map_while(Result::ok) {
                    // A server goes on after the test has read enough.
                    let _ = send.send(said);
                }
            });
        }
        drop(send);
        self.servers.push(child);
        let mut all = String::new();
        let address = receive.iter().find_map(|said| {
            all.push_str(&said);
            let port = said.split("127.0.0.1:").nth(1)?;
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            (!port.is_empty()).then(|| format!("127.0.0.1:{port}"))
        });
        let address = address.unwrap_or_else(|| panic!("{page}: {line} does not listen: {all}"));
        if line.contains("webhook") {
            self.addresses.push(("127.0.0.1:7701", address));
        }
    }

    fn shell(&self, line: &str) -> Command {
        let uso = self.cli.command(&[]);
        let folder: &Path = self.cli.folder();
        let mut command = Command::new("sh");
        command.args(["-euc", line]).current_dir(folder).env_clear();
        for (name, value) in uso.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let mut path = folder.join(".bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .env("PATH", path)
            .env("HOME", folder)
            .env("XDG_DATA_HOME", folder.join(".data"))
            .env_remove("BROWSER");
        command
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
