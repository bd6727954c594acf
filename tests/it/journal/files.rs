//! The journal's file: private, checked, and never overwritten.

use std::fs;

use uso_journal::{Error, Journal};
use uso_tests::rig::Rig;

use super::{Desk, request};

#[cfg(unix)]
#[tokio::test]
async fn folder_and_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::plain().await;
    let buy = desk
        .journal
        .purchase(&desk.rig.client, "key", request("a cat"));
    buy.await.unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = desk.journal.path().parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder.join("journal.db-workers")), 0o700);

    // A file that others may read is made private.
    let open = desk.path().join("open.db");
    fs::write(&open, b"").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Journal::open(&open).unwrap());
    assert_eq!(mode(&open), 0o600);
}

#[tokio::test]
async fn the_key_is_nowhere_in_the_file_and_neither_key_nor_prompt_in_debug() {
    let desk = Desk::plain().await;
    let buy = desk
        .journal
        .purchase(&desk.rig.client, "key", request("an unmistakable prompt"));
    let done = buy.await.unwrap();
    let shown = format!("{done:?} {:?}", desk.journal);
    assert!(!shown.contains("unmistakable"), "{shown}");
    let path = desk.journal.path().to_owned();
    drop(desk.journal);
    let bytes = fs::read(&path).unwrap();
    for part in ["test-secret", "test-id"] {
        let found = bytes
            .windows(part.len())
            .any(|found| found == part.as_bytes());
        assert!(!found, "{part} is in the file");
    }
}

#[test]
fn a_file_that_is_no_journal_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.db");
    let text = b"this is no database at all, but a diary".repeat(100);
    fs::write(&damaged, &text).unwrap();
    let Err(error) = Journal::open(&damaged) else {
        panic!("it is no journal");
    };
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("damaged.db"), "{error}");
    assert_eq!(fs::read(&damaged).unwrap(), text);

    let foreign = folder.path().join("foreign.db");
    let database = rusqlite::Connection::open(&foreign).unwrap();
    database
        .execute_batch("CREATE TABLE job (id); INSERT INTO job VALUES (7);")
        .unwrap();
    drop(database);
    let before = fs::read(&foreign).unwrap();
    let error = Journal::open(&foreign).unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&foreign).unwrap(), before);

    let pipe = folder.path().join("folder.db");
    fs::create_dir(&pipe).unwrap();
    // A folder is the place of a journal, and not one itself.
    assert_eq!(
        Journal::open(&pipe).unwrap().path(),
        pipe.join("journal.db")
    );
}

#[tokio::test]
async fn a_damaged_page_is_named_when_it_is_met_and_by_the_check() {
    let desk = Desk::plain().await;
    for number in 0..40 {
        let buy = desk
            .journal
            .purchase(&desk.rig.client, number.to_string(), request("a cat"));
        buy.await.unwrap();
    }
    desk.journal.check().await.unwrap();
    let path = desk.journal.path().to_owned();
    drop(desk.journal);
    // The pages behind those that the schema is made of hold rows.
    let database = rusqlite::Connection::open(&path).unwrap();
    let last = "SELECT max(rootpage) FROM sqlite_schema";
    let last: u32 = database.query_row(last, [], |row| row.get(0)).unwrap();
    drop(database);
    let rows = usize::try_from((last + 2) * 4096).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > rows + 8192, "{}", bytes.len());
    bytes[rows..].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let journal = Journal::open(&path).unwrap();
    let error = journal.check().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    let buy = journal.purchase(&desk.rig.client, "new", request("a cat"));
    let error = buy.await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert_eq!(desk.rig.emulator.ledger().purchases().len(), 40);
}

#[test]
fn a_journal_of_a_newer_version_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(Journal::open(&path).unwrap());
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, .. }), "{error:?}");
    assert!(error.to_string().contains("newer program"), "{error}");
}

#[tokio::test]
async fn a_temporary_journal_leaves_nothing() {
    let rig = Rig::plain().await;
    let journal = Journal::temporary().unwrap();
    let folder = journal.path().parent().unwrap().to_owned();
    let buy = journal.purchase(&rig.client, "key", request("a cat"));
    assert!(buy.await.unwrap().pictures[0].path.exists());
    drop(journal);
    assert!(!folder.exists());
}

#[tokio::test]
async fn the_view_has_the_documented_columns() {
    let desk = Desk::plain().await;
    let buy = desk
        .journal
        .purchase(&desk.rig.client, "key", request("a cat"));
    let done = buy.await.unwrap();
    let documented = include_str!("../../../crates/uso-journal/src/lib.rs");
    let (_, select) = documented.split_once("//! SELECT ").unwrap();
    let (columns, _) = select.split_once("FROM jobs").unwrap();
    let columns = columns.replace("//!", "").replace('\n', " ");
    let database = rusqlite::Connection::open(desk.journal.path()).unwrap();
    let sql = format!("SELECT {columns} FROM jobs WHERE state = 'done'");
    let (id, key): (String, String) = database
        .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!((id, key), (done.id.to_string(), "key".to_owned()));
    let count: i64 = database
        .query_row(
            "SELECT count(*) FROM pragma_table_info('jobs')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(usize::try_from(count).unwrap(), columns.split(',').count());
}
