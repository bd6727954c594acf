//! Pictures to disk, with the proof that they are there.

mod naming;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use uso::pictures::Saved;
use uso::{Client, ErrorKind, Output, Picture};

use crate::error::Error;
use crate::place::{make_folder_shared, sync_folder_of};
use crate::progress::{Listener, Progress};
use crate::purchase::SavedPicture;
use crate::row::Row;
use crate::store::Store;
use crate::target::Target;

use self::naming::{Name, Taken, name, numbered};

/// Files that are fetched at a time.
const AT_ONCE: usize = 4;

/// Names that are tried for a picture.
const NAMES: u32 = 10_000;

/// MIME type of bytes of no known format.
const UNKNOWN: &str = "application/octet-stream";

/// Why a picture is not on disk.
pub(crate) enum Unsaved {
    Service(uso::Error),
    Journal(Error),
}

impl From<Error> for Unsaved {
    fn from(error: Error) -> Self {
        Self::Journal(error)
    }
}

/// Saves every picture that is not on disk yet. What is saved stays in `saved` also when another
/// picture fails; the first failure is returned.
pub(crate) async fn save(
    store: &dyn Store,
    row: &Row,
    target: &Target,
    output: &Output,
    saved: &mut Vec<SavedPicture>,
    listener: &Listener,
) -> Result<(), Unsaved> {
    saved.retain(SavedPicture::is_on_disk);
    // The service forgets a result soon, and its values may be all that was bought.
    let document = output.document();
    let files: Vec<&Picture> = output.images().iter().chain(&document).collect();
    let several = files.len() > 1;
    let missing = (1_u32..).zip(files);
    let missing = missing.filter(|(number, _)| saved.iter().all(|saved| saved.number != *number));
    let saves = missing.map(|(number, picture)| async move {
        let named = |extension| {
            let numbers = (number, several);
            name(row, target, output.seed(), extension, numbers)
        };
        let first = named(picture.extension());
        let (mut saved, _) = save_one(store, row, picture, number, first).await?;
        if let Some(extension) = extension_of(&saved)
            && extension != picture.extension()
        {
            rename(&mut saved, named(extension).path).await;
        }
        listener.tell(&Progress::Saved(saved.clone()));
        Ok(saved)
    });
    // Collected first: the compiler cannot prove that a lazy stream of them is `Send`.
    let saves: Vec<_> = saves.collect();
    let mut outcomes = stream::iter(saves).buffer_unordered(AT_ONCE);
    let mut failure = None;
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(picture) => saved.push(picture),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    drop(outcomes);
    saved.sort_by_key(|picture| picture.number);
    failure.map_or(Ok(()), Err)
}

/// Fetches the pictures of a row that is done once more, and proves that they are the same.
pub(crate) async fn copy(
    store: &dyn Store,
    row: &Row,
    client: &Client,
    target: &Target,
) -> Result<Vec<PathBuf>, Unsaved> {
    let saved = &row.purchase.pictures;
    let copies = saved.iter().map(|known| async move {
        let failed = |message: String| Error::NotCollected {
            purchase: Box::new(row.purchase.clone()),
            message,
            source: None,
        };
        // What came inside the result has no address: its file is all that there is.
        let url = match &known.url {
            Some(url) => url.clone(),
            None => inline(known).await.map_err(|error| {
                let path = known.path.display();
                failed(format!(
                    "{path} came inside the result, and is not here: {error}"
                ))
            })?,
        };
        let ticket = row.purchase.ticket.clone();
        let picture = client.stored_picture(ticket, url, known.content_type.clone());
        let several = (known.number, saved.len() > 1);
        let extension = extension_of(known).unwrap_or(picture.extension());
        let name = name(row, target, row.purchase.seed, extension, several);
        let (copy, is_new) = save_one(store, row, &picture, known.number, name).await?;
        if copy.sha256 == known.sha256 {
            return Ok(copy.path);
        }
        let what = match is_new && std::fs::remove_file(&copy.path).is_ok() {
            true => "the copy was not kept: it".to_owned(),
            false => copy.path.display().to_string(),
        };
        Err(failed(format!(
            "{what} is another picture than the one that was saved first"
        ))
        .into())
    });
    let copies: Vec<_> = copies.collect();
    stream::iter(copies).buffered(AT_ONCE).try_collect().await
}

/// The content of a saved file as a data URI.
async fn inline(known: &SavedPicture) -> io::Result<String> {
    let known = known.clone();
    let read = tokio::task::spawn_blocking(move || {
        let kind = known.content_type.as_deref().unwrap_or(UNKNOWN);
        let content = STANDARD.encode(known.read()?);
        Ok(format!("data:{kind};base64,{content}"))
    });
    read.await.map_err(io::Error::other)?
}

/// Saves a picture under its name, or under the next one that is free. A file that is there already
/// is this picture only if its bytes are, and no other purchase has it: an earlier process may have
/// ended between the last byte and the record. Says as well whether the file is new.
async fn save_one(
    store: &dyn Store,
    row: &Row,
    picture: &Picture,
    number: u32,
    name: Name,
) -> Result<(SavedPicture, bool), Unsaved> {
    let record = |on_disk| record(picture, number, store.host(), on_disk);
    let whole = std::path::absolute(&name.path);
    let first = whole.map_err(|error| Error::io(&name.path, "found", error))?;
    if let Some(folder) = first.parent() {
        make_folder_shared(folder)?;
    }
    let is_reserved = || {
        let found = first.symlink_metadata();
        found.is_ok_and(|found| found.is_file() && found.len() == 0)
    };
    if name.taken == Taken::Replace || name.taken == Taken::KeepUnlessEmpty && is_reserved() {
        let saved = picture.save_over(&first).await.map_err(Unsaved::Service)?;
        return Ok((record(saved.into()), name.taken != Taken::Replace));
    }
    let mut fetched = None;
    let mut path = first.clone();
    for next in 2..NAMES {
        if path.symlink_metadata().is_ok() {
            let whole = match &fetched {
                Some(whole) => whole,
                None => fetched.insert(fetch_beside(picture, &first).await?),
            };
            if holds(&path, whole).await? {
                let text = path.to_string_lossy().into_owned();
                if !store.has_path(text, row.purchase.id).await? {
                    let on_disk = OnDisk {
                        path,
                        ..whole.clone().into()
                    };
                    return Ok((record(on_disk), false));
                }
            }
        } else {
            match picture.save(&path).await {
                Ok(saved) => return Ok((record(saved.into()), true)),
                // Another process was faster.
                Err(error) if error.kind() == ErrorKind::Exists => {}
                Err(error) => return Err(Unsaved::Service(error)),
            }
        }
        path = numbered(&first, next);
    }
    let taken = io::Error::from(io::ErrorKind::AlreadyExists);
    Err(Error::io(&first, "named", taken).into())
}

/// The extension that the bytes of a picture call for.
fn extension_of(saved: &SavedPicture) -> Option<&'static str> {
    match saved.content_type.as_deref()? {
        "image/jpeg" => Some("jpg"),
        "image/png" => Some("png"),
        "image/webp" => Some("webp"),
        "image/gif" => Some("gif"),
        _ => None,
    }
}

/// Gives a picture the name that its bytes call for, if it is another one and free. The first name
/// is taken away only when the file has the second.
async fn rename(saved: &mut SavedPicture, path: PathBuf) {
    let old = saved.path.clone();
    let Some(new) = std::path::absolute(path).ok().filter(|new| *new != old) else {
        return;
    };
    let renaming = tokio::task::spawn_blocking(move || {
        std::fs::hard_link(&old, &new)?;
        sync_folder_of(&new).map_err(io::Error::other)?;
        std::fs::remove_file(&old)?;
        Ok::<_, io::Error>(new)
    });
    if let Ok(Ok(path)) = renaming.await {
        saved.path = path;
    }
}

/// What a picture is, by a copy in a temporary folder beside its name: a file may be too large for
/// memory.
async fn fetch_beside(picture: &Picture, name: &Path) -> Result<Saved, Unsaved> {
    let folder = tempfile::Builder::new()
        .prefix(".uso-")
        .tempdir_in(name.parent().unwrap_or(Path::new(".")))
        .map_err(|error| Error::io(name, "compared", error))?;
    let saved = picture.save(folder.path().join("copy")).await;
    saved.map_err(Unsaved::Service)
}

/// Whether a file has exactly the content of a picture. If it has, the file and its name are on the
/// disk.
async fn holds(path: &Path, picture: &Saved) -> Result<bool, Error> {
    let (path, picture) = (path.to_owned(), picture.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let found = std::fs::symlink_metadata(&path);
        if !found.is_ok_and(|found| found.is_file() && found.len() == picture.bytes) {
            return Ok(false);
        }
        // A file that cannot be read is not this picture, and its name is taken.
        if digest_of(&path).ok() != Some(picture.sha256) {
            return Ok(false);
        }
        sync_folder_of(&path)?;
        Ok(true)
    });
    looked.await.unwrap_or(Ok(false))
}

/// Syncs a file to the disk, and gives its SHA-256 as lower-case hex.
fn digest_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        digest.update(bytes);
    }
    file.sync_all()?;
    let digest = digest.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file that is on the disk, and its name too.
struct OnDisk {
    path: PathBuf,
    bytes: u64,
    sha256: String,
    /// The MIME type that the bytes have.
    content_type: Option<&'static str>,
}

impl From<Saved> for OnDisk {
    fn from(saved: Saved) -> Self {
        Self {
            path: saved.path,
            bytes: saved.bytes,
            sha256: saved.sha256,
            content_type: Some(saved.content_type),
        }
    }
}

fn record(picture: &Picture, number: u32, host: Option<&str>, on_disk: OnDisk) -> SavedPicture {
    SavedPicture {
        number,
        path: on_disk.path,
        bytes: on_disk.bytes,
        sha256: on_disk.sha256,
        flagged: picture.is_flagged(),
        width: picture.width(),
        height: picture.height(),
        content_type: on_disk
            .content_type
            .filter(|kind| *kind != UNKNOWN)
            .or(picture.content_type())
            .map(str::to_owned),
        url: Some(picture.url())
            .filter(|url| !url.starts_with("data:"))
            .map(str::to_owned),
        host: host.map(str::to_owned),
    }
}
