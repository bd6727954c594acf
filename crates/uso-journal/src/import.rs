//! State files of the first release, one JSON file a purchase, as rows of the journal.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use uso::{Client, Intent, Ticket};

use crate::error::Error;
use crate::money::UnitPrice;
use crate::purchase::to_ms;
use crate::row::Row;
use crate::state::State;
use crate::store::Realm;
use crate::target::Target;

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
    Files {
        #[serde(with = "crate::path_text::list")]
        paths: Vec<PathBuf>,
        replace: bool,
    },
    Named {
        #[serde(with = "crate::path_text")]
        folder: PathBuf,
        name: String,
    },
}

/// Counts of an import.
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
    let target = match record.target {
        OldTarget::File(path) => Target::files([path]),
        OldTarget::Folder(folder) => Target::Folder {
            folder,
            name: "uso-{id}.{ext}".to_owned(),
        },
        OldTarget::Files { paths, replace } => Target::Files { paths, replace },
        OldTarget::Named { folder, name } => Target::Folder { folder, name },
    };
    let key = format!("first-release:{stem}");
    let endpoint = record.intent.endpoint().to_string();
    let mut row = new_row(&realm, &key, &endpoint, target);
    let purchase = &mut row.purchase;
    purchase.created_at = record.intent.made_at().min(SystemTime::now());
    purchase.changed_at = purchase.created_at;
    purchase.fingerprint = record.intent.fingerprint().as_str().to_owned();
    purchase.intent = Some(record.intent);
    if record.ticket.is_some() {
        purchase.state = State::Submitted;
        purchase.ticket = record.ticket;
    }
    (realm, row)
}

/// The row of a job of this client's account that another program bought.
pub(crate) fn bought_elsewhere(client: &Client, ticket: &Ticket, target: Target) -> (Realm, Row) {
    let config = client.config();
    let realm = Realm {
        origin: config.base_urls().queue().to_string(),
        account: config.account(),
    };
    let key = format!("request:{}", ticket.request_id());
    let endpoint = ticket.endpoint().to_string();
    let mut row = new_row(&realm, &key, &endpoint, target);
    row.purchase.state = State::Submitted;
    row.purchase.ticket = Some(ticket.clone());
    (realm, row)
}

fn new_row(realm: &Realm, key: &str, endpoint: &str, target: Target) -> Row {
    let mut row = Row::empty(0, key, endpoint, "", to_ms(SystemTime::now()));
    let purchase = &mut row.purchase;
    purchase.origin.clone_from(&realm.origin);
    purchase.account.clone_from(&realm.account);
    purchase.state = State::Unknown;
    purchase.target = Some(target);
    // The bill is booked once the service tells the megapixels.
    purchase.cost.unit_price = Some(UnitPrice::published());
    row
}
