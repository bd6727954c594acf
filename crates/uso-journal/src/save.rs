//! Pictures to disk, with the proof that they are there.

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
        let name = name(row, target, output.seed(), picture, (number, several));
        let saved = save_one(store, row, picture, number, name).await?;
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
        let name = name(row, target, row.purchase.seed, &picture, several);
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

/// The name that a picture should have.
struct Name {
    path: PathBuf,
    taken: Taken,
}

/// What happens to a file that has the name already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Keep,
    /// An empty file was made to reserve the name.
    KeepUnlessEmpty,
    Replace,
}

fn name(
    row: &Row,
    target: &Target,
    seed: Option<u64>,
    picture: &Picture,
    (number, several): (u32, bool),
) -> Name {
    match target {
        Target::Files { paths, replace } => {
            let taken = match replace {
                true => Taken::Replace,
                false => Taken::KeepUnlessEmpty,
            };
            let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
            match (paths.get(index), paths.last()) {
                (Some(path), _) => Name {
                    path: path.clone(),
                    taken,
                },
                (None, last) => Name {
                    path: numbered(last.map_or(Path::new("picture"), PathBuf::as_path), number),
                    taken: if paths.len() == 1 { taken } else { Taken::Keep },
                },
            }
        }
        Target::Folder { folder, name } => {
            let purchase = &row.purchase;
            let seed = seed.or(purchase.ticket.as_ref().and_then(uso::Ticket::seed));
            let filled = fill(name, |place| match place {
                "local" => Some(purchase.id.to_string()),
                "key" => Some(plain(&purchase.key)),
                "n" | "number" => Some(number.to_string()),
                "id" => Some(plain(purchase.request_id().unwrap_or("unknown"))),
                "seed" => Some(seed.map_or_else(|| "unknown".to_owned(), |seed| seed.to_string())),
                "ext" => Some(picture.extension().to_owned()),
                _ => None,
            });
            let path = folder.join(plain_name(&filled));
            let has_number = name.contains("{n}") || name.contains("{number}");
            Name {
                path: match several && !has_number && number > 1 {
                    true => numbered(&path, number),
                    false => path,
                },
                taken: Taken::Keep,
            }
        }
    }
}

/// Fills the places of a template; `{{` and `}}` stand for braces. A value is never read as a
/// template.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, found)) = rest
        .find(['{', '}'])
        .and_then(|at| rest.split_at_checked(at))
    {
        filled.push_str(before);
        let doubled = found.strip_prefix("{{").map(|after| ("{", after));
        if let Some((brace, after)) =
            doubled.or_else(|| found.strip_prefix("}}").map(|after| ("}", after)))
        {
            filled.push_str(brace);
            rest = after;
            continue;
        }
        let place = found
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        match place.and_then(|(place, after)| Some((value(place)?, after))) {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                let (brace, after) = found.split_at_checked(1).unwrap_or((found, ""));
                filled.push_str(brace);
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Letters, digits, '-', '_' and '.' of a value, so that it cannot lead to another folder.
fn plain(value: &str) -> String {
    let keep = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '_',
    };
    value.chars().take(80).map(keep).collect()
}

/// A file's name without separators, and never empty or hidden.
fn plain_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| match letter {
            '/' | '\\' | '\0' => '_',
            letter => letter,
        })
        .collect();
    match name.trim_matches(['.', ' ']).is_empty() {
        true => "picture".to_owned(),
        false => name,
    }
}

/// `out.png` becomes `out-2.png`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_braces_is_no_template() {
        let value = |place: &str| (place == "key").then(|| "{n}".to_owned());
        assert_eq!(fill("{key}-{other}.{", value), "{n}-{other}.{");
        assert_eq!(fill("{{key}}-{{{key}}}}", value), "{key}-{{n}}}");
    }

    #[test]
    fn no_value_leads_to_another_folder() {
        assert_eq!(plain("../a b"), ".._a_b");
        assert_eq!(plain_name("../x"), ".._x");
        assert_eq!(plain_name(".."), "picture");
    }
}
