//! The report of a purchase: its pictures, its seed and its bill, as lines and as JSON.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use uso_journal::{Purchase, SavedPicture, Target};

use crate::args::ShowOptions;
use crate::document::merged;
use crate::exit_code::FLAGGED;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::standard_output::StandardOutput;
use crate::{journal, price, viewing};

/// How saved pictures are shown.
#[derive(Debug)]
pub(crate) struct Show {
    pub(crate) options: ShowOptions,
    /// Standard output, where it takes the picture.
    pub(crate) stdout: Option<StandardOutput>,
}

/// What a command reports of a purchase.
pub(crate) struct Report {
    id: String,
    pub(crate) document: Value,
    lines: Vec<String>,
    pictures: Vec<SavedPicture>,
    /// Paths as a person writes them.
    paths: Vec<PathBuf>,
    notes: Vec<String>,
    flagged: bool,
    failure: Option<Failure>,
}

impl Report {
    /// The report of a purchase, and of the failure that it ended with.
    pub(crate) fn of(purchase: &Purchase, failure: Option<Failure>) -> Self {
        let pictures = &purchase.pictures;
        let paths: Vec<PathBuf> = pictures.iter().map(|saved| shown(&saved.path)).collect();
        let images = pictures.iter().zip(&paths).map(|(saved, path)| {
            json!({
                "path": path.to_string_lossy(),
                "bytes": saved.bytes,
                "sha256": saved.sha256,
                "width": saved.width,
                "height": saved.height,
                "content_type": saved.content_type,
                "flagged": saved.flagged,
                "url": saved.url,
            })
        });
        let seed = purchase
            .seed
            .or(purchase.ticket.as_ref().and_then(uso::Ticket::seed));
        let mut lines: Vec<String> = seed.iter().map(|seed| format!("seed {seed}")).collect();
        lines.extend(price::bill_line(&purchase.cost));
        Self {
            id: journal::shown_id(purchase),
            document: json!({
                "id": purchase.id,
                "request_id": purchase.request_id(),
                "state": purchase.state,
                "seed": seed,
                "billed": price::bill_to_json(&purchase.cost),
                "images": images.collect::<Vec<Value>>(),
            }),
            lines,
            pictures: pictures.clone(),
            paths,
            notes: pictures
                .iter()
                .filter_map(|saved| elsewhere(purchase.target.as_ref()?, saved))
                .collect(),
            flagged: pictures.iter().any(|saved| saved.flagged),
            failure,
        }
    }

    /// Adds fields to the document.
    pub(crate) fn with(mut self, fields: Value) -> Self {
        self.document = merged(self.document, fields);
        self
    }

    /// Prints the report of a command about one job; the exit code, or the failure of the purchase.
    pub(crate) fn print(self, show: Show, printer: &Printer) -> Result<ExitCode, Failure> {
        if printer.json && self.failure.is_none() && show.stdout.is_none() {
            let printed = printer.data(&self.document, &[]);
            printed.map_err(|failure| self.not_shown(failure))?;
        }
        self.show(&show, printer, "")?;
        let document = self.document.clone();
        let outcome = self.into_outcome().map(ExitCode::from);
        outcome.map_err(|failure| failure.with_partial(document))
    }

    /// Prints paths, seed and bill, and shows the pictures; a label stands before the lines where
    /// several jobs print at once.
    pub(crate) fn show(&self, show: &Show, printer: &Printer, label: &str) -> Result<(), Failure> {
        if let Some(stdout) = &show.stdout {
            match &self.failure {
                // A part of a result is not what the reader of standard output waits for.
                Some(_) => {
                    for path in &self.paths {
                        printer.warn(&format!("saved all the same: {}", path.display()));
                    }
                }
                None => stdout.write(&self.pictures, &self.id)?,
            }
        } else {
            for note in &self.notes {
                printer.warn(note);
            }
            if !printer.json {
                let printed = printer.paths(&Value::Null, &self.paths);
                printed.map_err(|failure| self.not_shown(failure))?;
            }
            viewing::preview(show.options.preview, &self.pictures, printer);
            if show.options.open {
                viewing::open(&self.paths, printer);
            }
        }
        if self.failure.is_none() && !self.lines.is_empty() {
            let label = match label {
                "" => String::new(),
                label => format!("{label}: "),
            };
            printer.say(&format!("{label}{}", self.lines.join("; ")));
        }
        if self.flagged {
            printer
                .warn("the safety checker flagged the result; the picture is usually black then");
        }
        Ok(())
    }

    /// The failure of standard output, with what was bought and where the pictures are.
    fn not_shown(&self, failure: Failure) -> Failure {
        let paths = self.paths.iter().map(|path| path.display().to_string());
        let paths = paths.collect::<Vec<_>>().join(", ");
        let lost = self.failure.as_ref().map(Failure::chain);
        failure
            .at(&format!("{} is bought and saved as {paths}", self.id))
            .because(lost)
            .with_hint(format!(
                "print the paths again with: uso result {}",
                self.id
            ))
    }

    /// The exit code, or what was not saved.
    pub(crate) fn into_outcome(self) -> Result<u8, Failure> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.flagged => Ok(FLAGGED),
            None => Ok(0),
        }
    }
}

/// A picture that is not at the place that was named, since a file was in the way.
fn elsewhere(target: &Target, saved: &SavedPicture) -> Option<String> {
    let Target::Files { paths, .. } = target else {
        return None;
    };
    let index = usize::try_from(saved.number.checked_sub(1)?).ok()?;
    let wanted = paths.get(index).filter(|wanted| **wanted != saved.path)?;
    Some(format!(
        "{} holds something else now, and was left as it is: the picture is in {}",
        wanted.display(),
        saved.path.display()
    ))
}

/// The path as a person writes it: relative where it is below this folder.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok());
    let path = relative.unwrap_or(path);
    path.strip_prefix(".").unwrap_or(path).to_owned()
}
