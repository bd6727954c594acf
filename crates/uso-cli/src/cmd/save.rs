//! Writing pictures: as many as can be, whatever happens to the others.

use std::path::Path;
use std::process::ExitCode;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use uso::error::Operation;
use uso::{Error, ErrorKind, Job, Output, Picture};

use crate::exit::{FLAGGED, Failure};
use crate::output::Printer;
use crate::state::is_over;
use crate::target::{Target, free, numbered, sanitised};

/// Pictures that are fetched at a time. Each has a name of its own.
const AT_ONCE: usize = 4;

/// Where and how pictures are written.
pub(crate) struct Place<'a> {
    pub(crate) target: &'a Target,
    /// The file name's extension where the service does not tell the pictures' type.
    pub(crate) extension: Option<&'a str>,
    /// Whether an earlier process may have saved some of them: a file in the folder that has the
    /// request's name is then that picture, since files appear only when they are whole.
    pub(crate) again: bool,
}

/// What came of saving the pictures of a job.
pub(crate) struct Saved {
    pub(crate) document: Value,
    pub(crate) paths: Vec<String>,
    seed: Option<u64>,
    flagged: bool,
    /// The first that could not be saved.
    failure: Option<Failure>,
    /// Whether everything that can ever be saved is.
    pub(crate) complete: bool,
}

struct File {
    path: String,
    bytes: u64,
}

/// Saves every picture that can be.
pub(crate) async fn save(output: &Output, job: &Job, place: &Place<'_>) -> Saved {
    let total = output.images().len();
    let mut saved = Saved {
        document: Value::Null,
        paths: Vec::new(),
        seed: output.seed().or(job.ticket().seed()),
        flagged: false,
        failure: None,
        complete: true,
    };
    let mut images = Vec::new();
    let writes = output
        .images()
        .iter()
        .enumerate()
        .map(|(position, picture)| {
            let number = (total > 1).then_some(position + 1);
            write(picture, job, place, number)
        });
    let writes: Vec<_> = writes.collect();
    let written: Vec<_> = stream::iter(writes).buffered(AT_ONCE).collect().await;
    for ((position, picture), written) in output.images().iter().enumerate().zip(written) {
        let number = position + 1;
        let file = match written {
            Ok(file) => file,
            Err(error) => {
                saved.complete &= is_over(&error);
                let failure = Failure::from(error).beside(place.target.folder());
                let failure = if total > 1 {
                    failure.at(&format!("picture {number} of {total}"))
                } else {
                    failure
                };
                saved.failure.get_or_insert(failure);
                continue;
            }
        };
        saved.flagged |= picture.is_flagged();
        images.push(json!({
            "path": file.path,
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
        if let Some(failure) = self.failure {
            if !printer.json {
                printer.data(&Value::Null, &self.paths);
            }
            return Err(failure.with_partial(self.document));
        }
        printer.data(&self.document, &self.paths);
        if let Some(seed) = self.seed {
            printer.say(&format!("seed {seed}"));
        }
        if self.flagged {
            printer
                .warn("the safety checker flagged the result; the picture is usually black then");
            return Ok(ExitCode::from(FLAGGED));
        }
        Ok(ExitCode::SUCCESS)
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

async fn write(
    picture: &Picture,
    job: &Job,
    place: &Place<'_>,
    number: Option<usize>,
) -> Result<File, Error> {
    make(place.target.folder()).map_err(|error| error.with_ticket(job.ticket()))?;
    let saved = match place.target {
        Target::File(file) => picture.save_over(numbered(file, number)).await?,
        Target::Folder(folder) => {
            let extension = match picture.content_type() {
                Some("image/jpeg") => "jpg",
                Some("image/webp") => "webp",
                Some("image/png") => "png",
                _ => place.extension.unwrap_or("png"),
            };
            let id = sanitised(job.ticket().request_id());
            let path = numbered(&folder.join(format!("uso-{id}.{extension}")), number);
            if !place.again {
                picture.save(free(&path)).await?
            } else {
                match picture.save(&path).await {
                    Ok(saved) => saved,
                    // The process that died had this one: names appear with whole files only.
                    Err(_) if path.is_file() => {
                        let bytes = std::fs::metadata(&path).map_or(0, |there| there.len());
                        let path = path.display().to_string();
                        return Ok(File { path, bytes });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    };
    Ok(File {
        path: shown(&saved.path),
        bytes: saved.bytes,
    })
}

/// `./a.png` is `a.png` to a person.
fn shown(path: &Path) -> String {
    let path = path.strip_prefix(".").unwrap_or(path);
    path.display().to_string()
}

/// The folder was there when the job was bought, and may have gone since.
fn make(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let message = format!("the folder {} cannot be made", folder.display());
        Error::new(Operation::Save, ErrorKind::Io, message).with_source(error)
    })
}
