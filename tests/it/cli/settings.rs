//! The stored key, the configuration file and the check of both.

use std::fs;

use serde_json::Value;
use uso_emulator::Emulator;
use uso_tests::rig::{Cli, Rig, content, style};

use super::{path, uso};

fn configure(cli: &Cli, text: &str) {
    fs::create_dir_all(cli.config()).unwrap();
    fs::write(cli.config().join("config.toml"), text).unwrap();
}

fn source(document: &Value, key: &str) -> (String, String) {
    let settings = document["settings"].as_array().unwrap();
    let setting = settings
        .iter()
        .find(|setting| setting["key"] == key)
        .unwrap();
    let text = |name: &str| setting[name].as_str().unwrap().to_owned();
    (text("value"), text("source"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_key_is_used_until_it_is_removed_and_fal_key_wins() {
    let emulator = Emulator::builder().key("known:key").start().await.unwrap();
    let cli = uso().variable("USO_BASE_URL", &emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let buy = |cli: &Cli| cli.run(&["restyle", &content, &style, "-s", "32x32"]).code;
    assert_eq!(buy(&cli), 4);
    let login = |key: &str| {
        let mut command = cli.command(&["login"]);
        let key_file = cli.folder().join("key.txt");
        fs::write(&key_file, key).unwrap();
        command.stdin(fs::File::open(key_file).unwrap());
        let output = command.output().unwrap();
        let shown = [output.stdout.clone(), output.stderr.clone()].concat();
        assert!(
            !String::from_utf8_lossy(&shown).contains("known:key"),
            "{output:?}"
        );
        output.status.code()
    };
    assert_eq!(login(""), Some(2));
    assert_eq!(login("known:key\n"), Some(0));
    assert_eq!(buy(&cli), 0);
    let mut wrong = cli.command(&["restyle", &content, &style, "-s", "32x32"]);
    let wrong = wrong.env("FAL_KEY", "another:key").output().unwrap();
    assert_eq!(wrong.status.code(), Some(4), "{wrong:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = cli.config().join("key");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let run = cli.run(&["status", "r-1"]);
        assert!(run.code == 4 && run.stderr.contains("chmod 600"), "{run:?}");
    }
    assert_eq!(cli.run(&["logout"]).code, 0);
    assert!(
        cli.run(&["logout"])
            .stderr
            .contains("there was no stored key")
    );
    assert_eq!(buy(&cli), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_file_sets_defaults_that_everything_else_wins_over() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    configure(&cli, "max-cost = \"0.01\"\nsize = \"64x32\"\nimages = 2\n");
    let (content, style) = (path(content()), path(style()));
    let estimate = |more: &[&str]| {
        let run = cli.run(&[&["estimate", &content, &style, "--json"], more].concat());
        let json = run.json();
        (json["width"].clone(), json["images"].clone())
    };
    assert_eq!(estimate(&[]), (64.into(), 2.into()));
    assert_eq!(estimate(&["-s", "32x32", "-n", "1"]), (32.into(), 1.into()));
    let refused = cli.run(&["restyle", &content, &style, "-s", "square_hd", "--dry-run"]);
    assert!(
        refused.code == 9 && refused.stderr.contains("$0.01"),
        "{refused:?}"
    );
    let mut allowed = cli.command(&["restyle", &content, &style, "-s", "square_hd", "--dry-run"]);
    let allowed = allowed.env("USO_MAX_COST", "5").output().unwrap();
    assert!(allowed.status.success(), "{allowed:?}");

    let doctor = cli.run(&["doctor", "--json"]).json();
    let help = cli.run(&["--help"]).stdout;
    for setting in doctor["settings"].as_array().unwrap() {
        let key = setting["key"].as_str().unwrap();
        assert!(help.contains(key), "{key}: {help}");
    }
    let file = cli.config().join("config.toml").display().to_string();
    assert_eq!(source(&doctor, "size"), ("64x32".to_owned(), file));
    assert_eq!(source(&doctor, "base-url").1, "USO_BASE_URL");
    assert_eq!(source(&doctor, "steps").1, "default");

    for (text, words) in [
        ("max-cost = ", "line 1"),
        ("colour = \"red\"", "colour is not a setting"),
        ("size = [1]", "must be a text or a number"),
        ("size = \"banana\"", "config.toml: --size"),
    ] {
        configure(&cli, text);
        let run = cli.run(&["restyle", &content, &style, "--dry-run"]);
        assert!(
            run.code == 2 && run.stderr.contains(words),
            "{text}: {run:?}"
        );
    }
    let run = cli.run(&["--help"]);
    assert_eq!(run.code, 0, "help works with a wrong file: {run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_file_holds_for_batches() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    fs::create_dir(cli.folder().join("photos")).unwrap();
    fs::copy(content(), cli.folder().join("photos/cat.jpg")).unwrap();
    let style = path(style());
    let run = |command: &[&str]| {
        cli.run(&[command, &["photos", "--style", &style, "--dry-run"]].concat())
    };
    configure(&cli, "max-cost = \"0.01\"\nname = \"{banana}\"\n");
    let refused = run(&["batch", "run"]);
    assert!(refused.code != 0, "{refused:?}");
    assert!(
        refused.stderr.contains("--max-cost is $0.01"),
        "{refused:?}"
    );
    // A batch keeps its own template, so the file's does not count.
    let allowed = run(&["batch", "run", "--max-cost", "5"]);
    assert_eq!(allowed.code, 0, "{allowed:?}");
    configure(&cli, "timeout = \"banana\"");
    let refused = run(&["batch", "run"]);
    assert!(
        refused.stderr.contains("config.toml: --timeout"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_checks_everything_and_names_the_remedy() {
    let emulator = Emulator::builder().key("known:key").start().await.unwrap();
    let cli = uso().at(&emulator.origin());
    let good = uso()
        .variable("USO_BASE_URL", &emulator.origin())
        .variable("FAL_KEY", "known:key");
    let run = good.run(&["doctor"]);
    assert_eq!(run.code, 0, "{run:?}");
    for check in [
        "key", "queue", "account", "clock", "uploads", "lookup", "files", "journal", "folder",
        "version", "settings",
    ] {
        assert!(run.stdout.contains(check), "{check}: {run:?}");
    }
    assert!(!run.stdout.contains("known:key"), "{run:?}");
    let run = cli.run(&["doctor"]);
    assert!(
        run.code == 1 && run.stdout.contains("refuses the key"),
        "{run:?}"
    );
    assert!(run.stdout.contains("remedy: make a new key"), "{run:?}");
    assert!(run.stdout.contains("!! lookup"), "{run:?}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let run = uso().at(&closed).run(&["doctor", "--json"]);
    assert_eq!(
        (run.code, &run.json()["ok"]),
        (1, &Value::from(false)),
        "{run:?}"
    );
    // Each host is named with its own finding.
    for host in ["uploads", "queue", "lookup", "files"] {
        let json = run.json();
        let mut checks = json["checks"].as_array().unwrap().iter();
        let check = checks.find(|check| check["check"] == host);
        assert!(check.unwrap()["ok"] == false, "{host}: {json}");
    }
    let run = uso().run(&["doctor"]);
    assert!(run.code == 1 && run.stdout.contains("uso login"), "{run:?}");
    assert!(emulator.ledger().purchases().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_variable_is_none() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin()).variable("USO_JOURNAL", "");
    let (content, style) = (content(), style());
    let [content, style] = [&content, &style].map(|path| path.to_str().unwrap());
    let uncapped = uso()
        .at(&rig.emulator.origin())
        .variable("USO_MAX_COST", "")
        .variable("USO_ASK_ABOVE", "");
    let dry = uncapped.run(&["restyle", content, style, "--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    let run = cli.run(&["list", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let refused = cli.run(&["list", "--journal", ""]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn a_wrong_variable_is_named_and_an_address_of_another_server_makes_no_file() {
    let cli = uso().variable("USO_MAX_COST", "ten dollars");
    let run = cli.run(&["restyle", "a.png", "b.png"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("USO_MAX_COST: "), "{run:?}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let mut command = cli.command(&["restyle"]);
        command.arg(std::ffi::OsStr::from_bytes(b"\xe9t\xe9.png"));
        assert_eq!(command.output().unwrap().status.code(), Some(2));
    }
    let cli = uso()
        .variable("FAL_KEY", "an-id:a-secret")
        .variable("USO_JOURNAL", "mysql://127.0.0.1/uso");
    let run = cli.run(&["list"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("mysql:// is not supported"), "{run:?}");
    assert!(!cli.folder().join("mysql:").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_the_journal_that_does_not_run_is_named_with_the_reason() {
    let rig = Rig::plain().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("postgres://uso:hunter2@{}/uso", free.local_addr().unwrap());
    drop(free);
    let cli = uso()
        .at(&rig.emulator.origin())
        .variable("USO_JOURNAL", &place);
    let run = cli.run(&["list"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("Connection refused"), "{run:?}");
    assert!(run.stderr.contains("check that the server runs"), "{run:?}");
    assert!(!run.stderr.contains("hunter2"), "{run:?}");
}
