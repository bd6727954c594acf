//! The journal of purchases that the global options and the environment name.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uso::Client;
use uso_journal::{Error, Jobs, Journal, LocalId, Purchase};

use crate::args::Global;
use crate::connection::Connection;
use crate::credentials::private_folder;
use crate::environment::set;
use crate::failure::Failure;
use crate::output_names::{free, plain_id};
use crate::printer::Printer;

/// How long a command waits for the server at its end.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Purchases that are read at a time.
const PAGE: u32 = 500;

/// Name of the journal in the state folder that `USO_STATE_DIR` names.
const NAME: &str = "journal.db";

/// The journal, which takes no connection to the service to open.
pub(crate) async fn connect(global: &Global) -> Result<Journal, Failure> {
    let place = path(global)?;
    let Some(url) = server(&place)? else {
        return Ok(Journal::open(place)?);
    };
    Ok(on_server(global, Journal::connect(url).await?))
}

/// A journal on a server, which the end of the command closes.
fn on_server(global: &Global, journal: Journal) -> Journal {
    let _ = global.open_journal.set(journal.clone());
    let Some(folder) = set("USO_STATE_DIR") else {
        return journal;
    };
    let name = plain_id(journal.location());
    journal.keep_in(PathBuf::from(folder).join("servers").join(name))
}

/// The journal of a dry run, which makes and changes none: one that is there.
pub(crate) async fn look(global: &Global, client: &Client) -> Result<Option<Journal>, Failure> {
    let place = path(global)?;
    let server = server(&place)?;
    let Some(mut journal) = Journal::existing(&place).await? else {
        return Ok(None);
    };
    if server.is_some() {
        journal = on_server(global, journal);
    }
    journal.share_uploads(client).await?;
    Ok(Some(journal))
}

/// As [`look`], for what needs a journal: an empty one where there is none, with the records of
/// batches that are kept at its place.
pub(crate) async fn look_or_empty(global: &Global, client: &Client) -> Result<Journal, Failure> {
    if let Some(journal) = look(global, client).await? {
        return Ok(journal);
    }
    let (empty, place) = (Journal::temporary()?, path(global)?);
    Ok(match place.parent() {
        _ if server(&place)?.is_some() => empty,
        _ if place.is_dir() => empty.keep_in(place),
        Some(folder) => empty.keep_in(folder),
        None => empty,
    })
}

/// Ends the part of this process in a journal on a server, so that what a command left can go on
/// elsewhere at once.
pub(crate) async fn close(global: &Global) {
    if let Some(journal) = global.open_journal.get() {
        // Where the server is away, the lease ends by itself.
        let _ = tokio::time::timeout(CLOSE_WITHIN, journal.close()).await;
    }
}

/// The URL of a journal on a server.
fn server(place: &Path) -> Result<Option<&str>, Failure> {
    let url = place.to_str().and_then(|place| place.split_once("://"));
    match url {
        None => Ok(None),
        Some(("postgres" | "postgresql", _)) => Ok(place.to_str()),
        Some((scheme, _)) => Err(Failure::usage(format!(
            "--journal: an address that begins with {scheme}:// is not supported; nothing was sent"
        ))
        .with_hint("name a file, or a PostgreSQL server: postgres://USER@HOST/DATABASE")),
    }
}

/// The file of the journal, or its URL.
pub(crate) fn path(global: &Global) -> Result<PathBuf, Failure> {
    match (&global.journal, set("USO_STATE_DIR")) {
        (Some(path), _) => Ok(path.clone()),
        (None, Some(folder)) => Ok(PathBuf::from(folder).join(NAME)),
        (None, None) => Ok(Journal::default_path()?),
    }
}

/// Opens the journal for the service and the account of this connection. A command with an emulator
/// of its own has a journal of its own, which ends with it.
pub(crate) async fn open(global: &Global, connection: &Connection) -> Result<Journal, Failure> {
    if connection.is_emulated() {
        return Ok(Journal::temporary()?);
    }
    let journal = connect(global).await?;
    import(global, &journal, &connection.client).await?;
    Ok(journal)
}

/// Says that another key of this journal has purchases that are not finished, which a change of the
/// key would hide.
pub(crate) async fn warn_of_other_accounts(
    journal: &Journal,
    client: &Client,
    printer: &Printer,
) -> Result<(), Failure> {
    let count = journal.unfinished_of_other_accounts(client, None).await?;
    match count {
        0 => {}
        1 => printer.warn("1 unfinished job belongs to another key; that key finishes it"),
        _ => printer.warn(&format!(
            "{count} unfinished jobs belong to other keys; those keys finish them"
        )),
    }
    Ok(())
}

/// Imports the state files of the first release, which stay where they are. Returns the files that
/// are none, with the reason.
pub(crate) async fn import(
    global: &Global,
    journal: &Journal,
    client: &Client,
) -> Result<Vec<(PathBuf, String)>, Failure> {
    // A journal that is named is not the successor of the state folder.
    let folder = match &global.journal {
        Some(_) => None,
        None => first_release(),
    };
    match folder {
        Some(folder) => Ok(journal
            .import_state_files(client, folder)
            .await?
            .passed_over),
        None => Ok(Vec::new()),
    }
}

/// The folder of the first release's state files.
fn first_release() -> Option<PathBuf> {
    if let Some(folder) = set("USO_STATE_DIR") {
        return Some(folder.into());
    }
    if let Some(folder) = set("XDG_STATE_HOME") {
        return Some(Path::new(&folder).join("uso"));
    }
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    home.map(|home| home.join(".local/state/uso"))
}

/// The recorded job that an argument means, and without an argument the newest one. `None` for a
/// request id that is not recorded here.
pub(crate) async fn find(
    journal: &Journal,
    client: &Client,
    given: Option<&str>,
) -> Result<Option<Purchase>, Failure> {
    let Some(given) = given else {
        let newest = journal.jobs(client).limit(1).read().await?.pop();
        return newest.map(Some).ok_or_else(|| {
            Failure::usage("no job is recorded, and no id is given")
                .with_hint("give the id that the purchase printed")
        });
    };
    match journal.find(client, given).await {
        Ok(purchase) => Ok(Some(purchase)),
        Err(Error::NotFound(_)) if given.parse::<LocalId>().is_err() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads purchases page by page, so that a long journal takes no more memory than a short one.
pub(crate) async fn each(
    jobs: Jobs,
    mut take: impl FnMut(Purchase) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut jobs = jobs.limit(PAGE);
    loop {
        let page = jobs.next_page().await?;
        if page.is_empty() {
            return Ok(());
        }
        page.into_iter().try_for_each(&mut take)?;
    }
}

/// The files of a journal, which no picture replaces.
pub(crate) fn own_files(journal: &Journal) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm"].into_iter().map(|end| {
        let mut file = journal.path().as_os_str().to_owned();
        file.push(end);
        file.into()
    })
}

/// The jobs that completions offer, newest first, each with the place of its pictures.
pub(crate) fn candidates(client: &Client, path: &Path) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let (Ok(runtime), true) = (runtime, path.exists()) else {
        return Vec::new();
    };
    let jobs = runtime.block_on(async {
        let journal = Journal::open(path).ok()?;
        journal.jobs(client).limit(50).read().await.ok()
    });
    let jobs = jobs.unwrap_or_default().into_iter();
    jobs.map(|job| {
        let shown = format!("{}, {}", job.state, place(&job));
        (shown_id(&job), shown)
    })
    .collect()
}

/// The request id, or the short id while there is none: what a command takes again.
pub(crate) fn shown_id(purchase: &Purchase) -> String {
    let id = purchase.request_id().map(str::to_owned);
    id.unwrap_or_else(|| purchase.id.to_string())
}

/// The folder or the first file of the pictures, to show.
pub(crate) fn place(purchase: &Purchase) -> String {
    let path = match (&purchase.pictures.first(), &purchase.target) {
        (Some(picture), _) => picture.path.as_path(),
        (None, Some(target)) => target.path(),
        (None, None) => Path::new(""),
    };
    path.display().to_string()
}

/// The number of pictures that a purchase asks for.
pub(crate) fn asked(purchase: &Purchase) -> u32 {
    let input = purchase.input.as_ref();
    let count = input.and_then(|input| input.get("input")?.get("num_images")?.as_u64());
    count
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(1)
}

/// Writes a response that could not be understood into a folder beside the journal.
pub(crate) fn keep_response(
    global: &Global,
    request_id: Option<&str>,
    body: &[u8],
) -> io::Result<PathBuf> {
    let journal = path(global).map_err(|failure| io::Error::other(failure.chain()))?;
    let beside = match server(&journal).ok().flatten() {
        Some(_) => first_release().ok_or(io::ErrorKind::NotFound)?.join(NAME),
        None => journal,
    };
    let folder = beside.with_file_name("responses");
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    private_folder(&folder)?;
    let id = plain_id(request_id.unwrap_or("unknown"));
    let path = free(&folder.join(format!("{id}.response")));
    let mut file = options.write(true).create_new(true).open(&path)?;
    file.write_all(body)?;
    Ok(path)
}
