//! State files of the first release, one JSON file a purchase, as rows of the journal.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use uso::{Intent, Ticket};

use crate::error::Error;
use crate::purchase::{Cost, LocalId, Purchase, Reason};
use crate::row::{Row, Target};
use crate::state::State;
use crate::store::Realm;

/// The longest state file that is read. Real ones have about a kilobyte.
const LONGEST: u64 = 64 << 10;

/// A state file of the first release.
#[derive(Deserialize)]
struct Record {
    origin: String,
    #[serde(default)]
    account: Option<String>,
    target: OldTarget,
    intent: Intent,
    #[serde(default)]
    ticket: Option<Ticket>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OldTarget {
    File(PathBuf),
    Folder(PathBuf),
}

/// What an import found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Imported {
    /// Purchases that are new in the journal.
    pub added: u64,
    /// Files that are no state files, and why; they were passed over.
    pub passed_over: Vec<(PathBuf, String)>,
}

/// The state files of a folder.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<(Realm, Row)>,
    /// Files that are no state files, and why.
    pub(crate) passed_over: Vec<(PathBuf, String)>,
}

/// Reads the state files of a folder. A file whose purchase names no account is taken for one of
/// `account`. Nothing is changed in the folder.
pub(crate) fn read(folder: &Path, account: &str) -> Result<Found, Error> {
    let mut found = Found::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(found);
        }
        Err(error) => return Err(Error::io(folder, "read", error)),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    for path in paths {
        match record(&path) {
            Ok(record) => found.rows.push(row(&path, record, account)),
            Err(why) => found.passed_over.push((path, why)),
        }
    }
    Ok(found)
}

fn record(path: &Path) -> Result<Record, String> {
    let found = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(LONGEST + 1).read_to_end(&mut text);
    if read.map_err(|error| error.to_string())? > usize::try_from(LONGEST).unwrap_or_default() {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    // The position alone: the message may quote the file.
    serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it is no state file, at line {line} column {column}")
    })
}

fn row(path: &Path, record: Record, account: &str) -> (Realm, Row) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let realm = Realm {
        origin: record.origin,
        account: record.account.unwrap_or_else(|| account.to_owned()),
    };
    let bought = record.ticket.is_some();
    let at = record.intent.made_at().min(SystemTime::now());
    let purchase = Purchase {
        id: LocalId(0),
        key: format!("first-release:{stem}"),
        batch: None,
        origin: realm.origin.clone(),
        account: realm.account.clone(),
        endpoint: record.intent.endpoint().to_string(),
        state: match bought {
            true => State::Submitted,
            false => State::Unknown,
        },
        attempt: 1,
        reason: None::<Reason>,
        fingerprint: record.intent.fingerprint().as_str().to_owned(),
        input: None,
        intent: Some(record.intent),
        ticket: record.ticket,
        pictures: Vec::new(),
        seed: None,
        cost: Cost::default(),
        created_at: at,
        changed_at: at,
        in_work: false,
        pruned: false,
    };
    let target = match record.target {
        OldTarget::File(path) => Target::File {
            path,
            replace: false,
        },
        OldTarget::Folder(folder) => Target::Folder {
            folder,
            name: "{id}-{n}.{ext}".to_owned(),
        },
    };
    let row = Row {
        purchase,
        realm: 0,
        worker: None,
        fence: 0,
        target: Some(target),
        reserved_at: 0,
        cancel_asked: false,
    };
    (realm, row)
}
