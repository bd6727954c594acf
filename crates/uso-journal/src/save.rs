//! Pictures to disk, with the proof that they are there.

mod naming;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use uso::{Client, ErrorKind, Output, Picture};

use crate::error::Error;
use crate::place::{make_folder_shared, sync_folder_of};
use crate::progress::{Listener, Progress};
use crate::purchase::SavedPicture;
use crate::row::Row;
use crate::store::Store;
use crate::target::Target;

use self::naming::{Name, Taken, name, numbered};

/// Names that are tried for a picture.
const NAMES: u32 = 10_000;

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
    let several = output.images().len() > 1;
    let missing = (1_u32..).zip(output.images());
    let missing = missing.filter(|(number, _)| saved.iter().all(|saved| saved.number != *number));
    let saves = missing.map(|(number, picture)| async move {
        let named = |extension| {
            let numbers = (number, several);
            name(row, target, output.seed(), extension, numbers)
        };
        let first = named(picture.extension());
        let mut saved = save_one(store, row, picture, number, first).await?;
        if let Some(extension) = extension_of(&saved)
            && extension != picture.extension()
        {
            rename(&mut saved, named(extension).path).await;
        }
        listener.tell(&Progress::Saved(saved.clone()));
        Ok(saved)
    });
    let saves: Vec<_> = saves.collect();
    let mut failure = None;
    for outcome in join_all(saves).await {
        match outcome {
            Ok(picture) => saved.push(picture),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
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
        let Some(url) = known.url.clone() else {
            return Err(failed("the service gave its picture no address".to_owned()).into());
        };
        let ticket = row.purchase.ticket.clone();
        let picture = client.stored_picture(ticket, url, known.content_type.clone());
        let several = (known.number, saved.len() > 1);
        let extension = extension_of(known).unwrap_or(picture.extension());
        let name = name(row, target, row.purchase.seed, extension, several);
        let copy = save_one(store, row, &picture, known.number, name).await?;
        match copy.sha256 == known.sha256 {
            true => Ok(copy.path),
            false => Err(failed(format!(
                "{} is another picture than the one that was saved first",
                copy.path.display()
            ))
            .into()),
        }
    });
    let copies: Vec<_> = copies.collect();
    join_all(copies).await.into_iter().collect()
}

/// Saves a picture under its name, or under the next one that is free. A file that is there already
/// is this picture only if its bytes are, and no other purchase has it: an earlier process may have
/// ended between the last byte and the record.
async fn save_one(
    store: &dyn Store,
    row: &Row,
    picture: &Picture,
    number: u32,
    name: Name,
) -> Result<SavedPicture, Unsaved> {
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
        picture.save_over(&first).await.map_err(Unsaved::Service)?;
        return record(&first, picture, number, store.host()).await;
    }
    let mut bytes = None;
    let mut path = first.clone();
    for next in 2..NAMES {
        if path.symlink_metadata().is_ok() {
            let whole = match &bytes {
                Some(bytes) => bytes,
                None => bytes.insert(picture.bytes().await.map_err(Unsaved::Service)?),
            };
            if holds(&path, whole) {
                let text = path.to_string_lossy().into_owned();
                if !store.has_path(text, row.purchase.id).await? {
                    sync(&path).await?;
                    return record(&path, picture, number, store.host()).await;
                }
            }
        } else {
            match picture.save(&path).await {
                Ok(_) => return record(&path, picture, number, store.host()).await,
                // Another process was faster.
                Err(error) if error.kind() == ErrorKind::Io && path.exists() => {}
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

/// Whether a file has exactly these bytes.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|found| {
        found.is_file() && u64::try_from(bytes.len()).is_ok_and(|length| length == found.len())
    });
    is_file && std::fs::read(path).is_ok_and(|found| found == bytes)
}

/// Reads a saved picture back for its digest and its type, which the service can have wrong. Saving
/// has synced the file and its name.
async fn record(
    path: &Path,
    picture: &Picture,
    number: u32,
    host: Option<&str>,
) -> Result<SavedPicture, Unsaved> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let failed = |error| Error::io(&owned, "read", error);
        let kind = kind_of(&owned).map_err(failed)?;
        digest(&owned).map_err(failed).map(|read| (read, kind))
    });
    let ended = |error| Error::io(path, "read", io::Error::other(error));
    let ((bytes, sha256), kind) = read.await.map_err(ended)??;
    Ok(SavedPicture {
        number,
        path: path.to_owned(),
        bytes,
        sha256,
        flagged: picture.is_flagged(),
        width: picture.width(),
        height: picture.height(),
        content_type: kind,
        url: Some(picture.url())
            .filter(|url| !url.starts_with("data:"))
            .map(str::to_owned),
        host: host.map(str::to_owned),
    })
}

/// The MIME type that the first bytes of a file tell.
fn kind_of(path: &Path) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut head)?;
    Ok(infer::get(&head).map(|kind| kind.mime_type().to_owned()))
}

/// Makes sure that a file of an earlier process and its name are on the disk.
async fn sync(path: &Path) -> Result<(), Error> {
    let owned = path.to_owned();
    let synced = tokio::task::spawn_blocking(move || {
        let synced = File::open(&owned).and_then(|file| file.sync_all());
        synced.map_err(|error| Error::io(&owned, "synced", error))?;
        sync_folder_of(&owned)
    });
    let ended = |error| Error::io(path, "synced", io::Error::other(error));
    synced.await.map_err(ended)?
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut digest, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let hex = digest
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            return Ok((length, hex));
        }
        digest.update(buffer.get(..read).unwrap_or_default());
        length += u64::try_from(read).unwrap_or_default();
    }
}
