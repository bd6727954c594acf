//! Saving the pictures of a job: as many as can be, whatever happens to the others.

use std::fs::File as DiskFile;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use uso::error::Operation;
use uso::{Error, ErrorKind, Job, Output, Picture};

use crate::args::Preview;
use crate::exit_code::FLAGGED;
use crate::failure::Failure;
use crate::output_names::{Names, Template, folder_of, free, numbered, plain_id};
use crate::place::Place;
use crate::price;
use crate::printer::Printer;
use crate::records::is_over;
use crate::viewing;

/// Pictures that are fetched at a time. Each has a name of its own.
const AT_ONCE: usize = 4;

/// Where and how pictures are written.
#[derive(Clone, Copy)]
pub(crate) struct Saving<'a> {
    /// Nothing for standard output.
    pub(crate) place: Option<&'a Place>,
    /// The file name's extension where the service does not tell the pictures' type.
    pub(crate) extension: Option<&'a str>,
    pub(crate) preview: Preview,
    pub(crate) open: bool,
}

/// The outcome of saving the pictures of a job.
pub(crate) struct Saved {
    pub(crate) document: Value,
    pub(crate) paths: Vec<PathBuf>,
    seed: Option<u64>,
    bill: Option<String>,
    flagged: bool,
    /// Files that were in the way of a picture, which has another name therefore.
    notes: Vec<String>,
    /// The first that could not be saved.
    failure: Option<Failure>,
    /// Whether everything that can ever be saved is.
    pub(crate) complete: bool,
    preview: Preview,
    open: bool,
}

struct File {
    path: PathBuf,
    bytes: u64,
    note: Option<String>,
}

/// Saves every picture that can be.
pub(crate) async fn save(output: &Output, job: &Job, saving: Saving<'_>) -> Saved {
    let total = output.images().len();
    let mut saved = Saved {
        document: Value::Null,
        paths: Vec::new(),
        seed: output.seed().or(job.ticket().seed()),
        bill: price::bill_line(output.billable_units()),
        flagged: false,
        notes: Vec::new(),
        failure: None,
        complete: true,
        preview: saving.preview,
        open: saving.open,
    };
    let mut images = Vec::new();
    let seed = saved.seed;
    let writes = output.images().iter().enumerate().map(|(index, picture)| {
        let slot = Slot { index, total, seed };
        write(picture, job, saving, slot)
    });
    let writes: Vec<_> = writes.collect();
    let written: Vec<_> = stream::iter(writes).buffered(AT_ONCE).collect().await;
    for ((index, picture), written) in output.images().iter().enumerate().zip(written) {
        let file = match written {
            Ok(file) => file,
            Err(failure) => {
                saved.complete &= failure.error().is_some_and(is_over);
                let failure = match total {
                    1 => failure,
                    _ => failure.at(&format!("picture {} of {total}", index + 1)),
                };
                saved.failure.get_or_insert(failure);
                continue;
            }
        };
        saved.flagged |= picture.is_flagged();
        saved.notes.extend(file.note);
        images.push(json!({
            "path": file.path.to_string_lossy(),
            "bytes": file.bytes,
            "width": picture.width(),
            "height": picture.height(),
            "content_type": picture.content_type(),
            "flagged": picture.is_flagged(),
            "url": Some(picture.url()).filter(|url| !url.starts_with("data:")),
        }));
        saved.paths.push(file.path);
    }
    saved.document = json!({
        "request_id": job.ticket().request_id(),
        "seed": saved.seed,
        "billable_units": output.billable_units(),
        "billed": price::bill_to_json(output.billable_units()),
        "images": images,
    });
    saved
}

impl Saved {
    /// Adds a field to the document.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        if let Some(fields) = self.document.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
        self
    }

    /// Prints what was saved and ends with what was not.
    pub(crate) fn report(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let is_data = printer.json && self.failure.is_none();
        if is_data && !self.is_on_stdout() {
            printer.data(&self.document, &[])?;
        }
        self.show(printer, "")?;
        match self.failure {
            Some(failure) => Err(failure.with_partial(self.document)),
            None if self.flagged => Ok(ExitCode::from(FLAGGED)),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// Prints paths, seed and bill, and shows the pictures; a label stands before the lines where
    /// several jobs print at once.
    pub(crate) fn show(&self, printer: &Printer, label: &str) -> Result<(), Failure> {
        for note in &self.notes {
            printer.warn(note);
        }
        if !self.is_on_stdout() {
            if !printer.json {
                printer.paths(&Value::Null, &self.paths)?;
            }
            viewing::preview(self.preview, &self.paths, printer);
            if self.open {
                viewing::open(&self.paths, printer);
            }
        }
        let mut told: Vec<String> = self
            .seed
            .iter()
            .map(|seed| format!("seed {seed}"))
            .collect();
        told.extend(self.bill.clone());
        if self.failure.is_none() && !told.is_empty() {
            let label = if label.is_empty() {
                String::new()
            } else {
                format!("{label}: ")
            };
            printer.say(&format!("{label}{}", told.join("; ")));
        }
        if self.flagged {
            printer
                .warn("the safety checker flagged the result; the picture is usually black then");
        }
        Ok(())
    }

    fn is_on_stdout(&self) -> bool {
        self.paths.iter().any(|path| path.as_os_str() == "-")
    }

    /// What was not saved, or the exit code.
    pub(crate) fn into_outcome(self) -> Result<u8, Failure> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.flagged => Ok(FLAGGED),
            None => Ok(0),
        }
    }
}

/// Which picture of how many.
#[derive(Clone, Copy)]
struct Slot {
    index: usize,
    total: usize,
    seed: Option<u64>,
}

impl Slot {
    fn number(self) -> Option<usize> {
        (self.total > 1).then_some(self.index + 1)
    }
}

async fn write(
    picture: &Picture,
    job: &Job,
    saving: Saving<'_>,
    slot: Slot,
) -> Result<File, Failure> {
    let Some(place) = saving.place else {
        return to_stdout(picture, job).await;
    };
    let extension = match picture.content_type() {
        Some("image/jpeg") => "jpg",
        Some("image/webp") => "webp",
        Some("image/png") => "png",
        _ => saving.extension.unwrap_or("png"),
    };
    let (path, replace) = match place {
        Place::File(file) => (numbered(file, slot.number()), true),
        Place::Folder(folder) => {
            let id = plain_id(job.ticket().request_id());
            let file = folder.join(format!("uso-{id}.{extension}"));
            (numbered(&file, slot.number()), false)
        }
        Place::Files { paths, replace } => match paths.get(slot.index) {
            Some(path) => (path.as_ref().to_owned(), *replace),
            // More pictures than were asked for.
            None => {
                let last = paths
                    .last()
                    .map(AsRef::as_ref)
                    .unwrap_or(Path::new("uso.png"));
                (free(&numbered(last, Some(slot.index + 1))), false)
            }
        },
        Place::Named { folder, name } => {
            let names = Names {
                seed: slot.seed,
                id: Some(job.ticket().request_id().to_owned()),
                ..Names::default()
            };
            let template = Template::parse(name)?;
            let file = folder.as_ref().join(template.fill(&names, slot.index + 1));
            let number = slot.number().filter(|_| !template.is_numbered());
            (numbered(&file, number), false)
        }
    };
    make_folder(folder_of(&path)).map_err(|error| error.with_ticket(job.ticket()))?;
    let is_free = match path.symlink_metadata() {
        // An empty file is the one that was made to take the name.
        Ok(there) => there.is_file() && there.len() == 0 && matches!(place, Place::Files { .. }),
        Err(_) => true,
    };
    let file = match is_free || replace {
        true => {
            let saved = picture.save_over(&path).await?;
            File {
                path: saved.path,
                bytes: saved.bytes,
                note: None,
            }
        }
        false => beside(picture, &path).await?,
    };
    sync_folder(&file.path);
    Ok(File {
        path: shown(&file.path),
        ..file
    })
}

/// Saves under a free name, since the intended one is taken: by this very picture, when an earlier
/// process saved it, or by another program's file, which is kept.
async fn beside(picture: &Picture, path: &Path) -> Result<File, Error> {
    let mut attempts = 0;
    let saved = loop {
        attempts += 1;
        match picture.save(free(path)).await {
            Ok(saved) => break saved,
            // Another process took the name in between.
            Err(error) if error.kind() == ErrorKind::Io && attempts < 5 => {}
            Err(error) => return Err(error),
        }
    };
    let is_same = match (std::fs::read(path), std::fs::read(&saved.path)) {
        (Ok(there), Ok(new)) => there == new,
        _ => false,
    };
    if is_same && std::fs::remove_file(&saved.path).is_ok() {
        return Ok(File {
            path: path.to_owned(),
            bytes: saved.bytes,
            note: None,
        });
    }
    let note = format!(
        "{} holds something else now, and was left as it is: the picture is in {}",
        path.display(),
        saved.path.display()
    );
    Ok(File {
        path: saved.path,
        bytes: saved.bytes,
        note: Some(note),
    })
}

async fn to_stdout(picture: &Picture, job: &Job) -> Result<File, Failure> {
    let bytes = picture.bytes().await?;
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
    written.map_err(|error| {
        Failure::io(format!("standard output could not be written: {error}")).with_hint(format!(
            "the picture can be fetched again with: uso result {} -o FILE",
            job.ticket().request_id()
        ))
    })?;
    Ok(File {
        path: PathBuf::from("-"),
        bytes: bytes.len() as u64,
        note: None,
    })
}

/// The path as a person writes it: relative where it is below this folder.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok());
    let path = relative.unwrap_or(path);
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

/// The folder was there when the job was bought, and may have gone since.
fn make_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let message = format!("the folder {} cannot be made", folder.display());
        Error::new(Operation::Save, ErrorKind::Io, message).with_source(error)
    })
}

/// A name is on disk only when its folder is: the purchase is closed after this.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = DiskFile::open(folder_of(path)) {
        // Not every file system can sync a folder.
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = path;
}
