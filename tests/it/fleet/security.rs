//! Passwords, certificates and rights.

use std::os::unix::fs::PermissionsExt as _;

use uso_journal::{Error, Journal};
use uso_tests::postgres::{self, Cluster};
use uso_tests::rig::{Cli, Rig, skipped};

use super::server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_uso-under-test");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_shows_user_or_password_of_a_journal() {
    let rig = Rig::plain().await;
    let places = [
        "postgres://mallory:hunter2@127.0.0.1:1/uso",
        "postgres://mallory:hunter2@db.example.org/uso?sslmode=disable",
        "postgres://mallory:hunter2@db.example.org/uso?password=hunter2&no=such",
        "postgres://mallory:hunter2@db.example.org:port/uso",
    ];
    let origin = rig.emulator.origin();
    let case = |place: &str| {
        let cli = Cli::new(PROGRAM).at(&origin).variable("USO_JOURNAL", place);
        for command in [["-vv", "list"], ["--json", "list"], ["-vv", "doctor"]] {
            let run = cli.run(&command);
            assert_ne!(run.code, 0, "{run:?}");
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(said.contains("journal"), "{place}: {run:?}");
            for secret in ["hunter2", "mallory"] {
                assert!(!said.contains(secret), "{place}: {run:?}");
            }
        }
    };
    // A command tries a server that is away for a while.
    std::thread::scope(|scope| {
        for place in places {
            scope.spawn(move || case(place));
        }
    });
}

#[tokio::test]
async fn a_role_that_may_make_no_tables_is_told_the_command_and_works_after_it() {
    let Some(server) = server("security::a_role") else {
        return;
    };
    let place = server.database().await;
    let role = format!("r{:016x}", fastrand::u64(..));
    postgres::run(&place, &format!("CREATE ROLE {role} LOGIN")).await;
    let of_role = place.replacen("uso@", &format!("{role}@"), 1);
    let error = Journal::connect(&of_role).await.unwrap_err();
    assert!(matches!(error, Error::NotMigrated { .. }), "{error:?}");
    assert!(error.to_string().contains("uso journal migrate"), "{error}");
    let owner = Cli::new(PROGRAM).variable("USO_JOURNAL", &place);
    let migrated = owner.run(&["journal", "migrate"]);
    assert_eq!(migrated.code, 0, "{migrated:?}");
    let grant = format!(
        "GRANT USAGE ON SCHEMA uso TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA uso TO {role}"
    );
    postgres::run(&place, &grant).await;
    let journal = Journal::connect(&of_role).await.unwrap();
    let client = uso::Client::new(uso_tests::rig::config_for("http://127.0.0.1:9").unwrap());
    let budget = journal.budget(&client.unwrap()).await.unwrap();
    assert_eq!(budget.total_committed.get(), 0);
}

#[tokio::test]
async fn a_server_is_believed_only_with_a_certificate_of_the_named_authority() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let everyone = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everyone).unwrap();
    let made = rcgen::generate_simple_self_signed(["db.test".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["db.test".to_owned()]).unwrap();
    let write = |name: &str, text: String, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        // The server runs as another user where the tests run as root.
        let _ = std::os::unix::fs::chown(&path, Some(65534), Some(65534));
        path.display().to_string()
    };
    let (certificate, key) = (
        write("server.pem", made.cert.pem(), 0o644),
        write("server.key", made.signing_key.serialize_pem(), 0o600),
    );
    let wrong = write("other.pem", other.cert.pem(), 0o644);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={key}"),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let Some(_server) = Cluster::start_at(port, &settings) else {
        skipped("fleet::security::a_server", "PostgreSQL");
        return;
    };
    let place = |host: &str, roots: &str| {
        format!(
            "postgres://uso@{host}:{port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={roots}"
        )
    };
    let trusted = Journal::connect(&place("db.test", &certificate)).await;
    assert_eq!(
        trusted.unwrap().location(),
        format!("postgres://db.test:{port}/postgres")
    );
    for refused in [place("db.test", &wrong), place("other.test", &certificate)] {
        let error = Journal::connect(&refused).await.unwrap_err();
        assert!(
            matches!(error, Error::Database { .. }),
            "{refused}: {error:?}"
        );
        assert!(
            format!("{error:?}").contains("ertificate"),
            "{refused}: {error:?}"
        );
    }
}
