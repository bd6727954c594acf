//! `uso result`: saves the pictures of a job.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use uso::ErrorKind;
use uso_journal::{Error, Journal, Progress as Step, Purchase, SavedPicture, State, Target};

use crate::args::{CollectOptions, Global, ResultArgs};
use crate::connection::Connection;
use crate::destination::{Destination, Wish};
use crate::failure::Failure;
use crate::journal::{self, asked};
use crate::output_names::{Names, folder_of, free};
use crate::printer::Printer;
use crate::progress::Progress;
use crate::report::{Report, Show};
use crate::reservation::{self, Reservation};
use crate::standard_output::{self, StandardOutput};

pub(crate) async fn run(
    global: &Global,
    args: &ResultArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::waiting(global, args.timeout).await?;
    let client = &connection.client;
    let journal = journal::open(global, &connection).await?;
    let place = Place::of(&args.output, &journal, printer)?;
    let purchase = match journal::find(&journal, client, args.job.id.as_deref()).await? {
        Some(purchase) => purchase,
        None => {
            let id = args.job.id.as_deref().unwrap_or_default();
            // Nothing is recorded of a request that the service does not know. It knows one whose
            // status cannot be read: the result tells the rest.
            match client.job_by_id(id)?.status().await {
                Err(error) if error.kind() == ErrorKind::Malformed => {}
                status => drop(status?),
            }
            let target = Target::named(".", "uso-{id}.{ext}");
            journal.adopt(client, id, target).await?
        }
    };
    let host = client.config().base_urls().queue().host_str();
    let progress = Arc::new(Progress::start(printer, "fetching the result").about(host));
    let line = Arc::clone(&progress);
    let tell = move |step: &Step| match step {
        Step::Job(event) => line.event(event),
        Step::Warning(warning) => line.warn(warning),
        _ => {}
    };
    let collected = place.collect(client, args.wait, purchase, tell).await;
    progress.end();
    let (purchase, failure) = collected?;
    Report::of(&purchase, failure).print(place.show(), printer)
}

/// The place that `-o` names, or the recorded one.
pub(crate) struct Place<'a> {
    options: &'a CollectOptions,
    journal: &'a Journal,
    /// Standard output, where `-o` names it.
    stdout: Option<StandardOutput>,
}

impl<'a> Place<'a> {
    /// Checks `-o` before anything is fetched.
    pub(crate) fn of(
        options: &'a CollectOptions,
        journal: &'a Journal,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        let output = options.output.as_deref();
        standard_output::refuse_json(output, printer)?;
        let stdout = standard_output::is_named(output).then(|| StandardOutput::new(journal));
        let place = Self {
            options,
            journal,
            stdout,
        };
        if output.is_some() {
            place.plan(&Names::default(), 1)?;
        }
        Ok(place)
    }

    /// The purchase with its pictures on disk, at the place that was named, and otherwise the failure
    /// that it ended with. A job that has not ended is waited for where `wait` says so.
    pub(crate) async fn collect(
        &self,
        client: &uso::Client,
        wait: bool,
        mut purchase: Purchase,
        tell: impl Fn(&Step) + Send + Sync + 'static,
    ) -> Result<(Purchase, Option<Failure>), Failure> {
        let journal = self.journal;
        let id = purchase.id;
        if purchase.pruned {
            return Err(pruned(&purchase));
        }
        let count = usize::try_from(asked(&purchase)).unwrap_or(1);
        let is_whole =
            purchase.state == State::Done && purchase.pictures.iter().all(SavedPicture::is_on_disk);
        if is_whole && !purchase.pictures.is_empty() {
            self.copy(&mut purchase)?;
            return Ok((purchase, None));
        }
        if purchase.state.is_closed() && purchase.request_id().is_none() {
            let failure = Failure::of_purchase(&purchase, None);
            return Ok((purchase, failure));
        }
        self.refuse_several(&purchase, count)?;
        // The sender of a purchase saves its pictures where it was asked to.
        let is_sent = !matches!(purchase.state, State::Pending | State::Reserved);
        let mut taken = match is_sent {
            true => self.take(&purchase, count)?,
            false => None,
        };
        if purchase.state.is_closed() {
            let reopened = journal.reopen(client, id).await;
            purchase = reopened.map_err(|error| Failure::unfinished(error, &purchase))?;
        }
        if is_sent && let Some(target) = self.target(&purchase, taken.as_ref()) {
            let set = journal.set_target(client, id, target).await;
            set.map_err(|error| Failure::unfinished(error, &purchase))?;
            reservation::release(purchase.target.as_ref());
        }
        let seen: Arc<Mutex<Option<Arc<uso::Error>>>> = Arc::default();
        let failed = Arc::clone(&seen);
        let tell = move |step: &Step| match step {
            Step::Failed(error) => {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(error));
            }
            step => tell(step),
        };
        let collected = match wait {
            true => journal.resume(client, id, tell).await,
            false => journal.collect(client, id, tell).await,
        };
        let error = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = match collected {
            Ok(purchase) => {
                let failure = Failure::of_purchase(&purchase, error);
                (purchase, failure)
            }
            Err(error @ Error::NotCollected { .. }) => {
                let (purchase, failure) = Failure::uncollected(error)?;
                (purchase, Some(failure))
            }
            Err(error) => return Err(Failure::unfinished(error, &purchase)),
        };
        match (&mut taken, outcome.0.state.is_closed()) {
            (Some(taken), false) => taken.keep(),
            (_, true) if outcome.0.state != State::Done => {
                reservation::release(outcome.0.target.as_ref());
            }
            _ => {}
        }
        Ok(outcome)
    }

    pub(crate) fn show(self) -> Show {
        Show {
            options: self.options.show,
            stdout: self.stdout,
        }
    }

    /// Refuses standard output for a job that is known to have several files.
    fn refuse_several(&self, purchase: &Purchase, count: usize) -> Result<(), Failure> {
        match self.stdout {
            Some(_) => standard_output::refuse_several(count, &journal::shown_id(purchase)),
            None => Ok(()),
        }
    }

    fn plan(&self, names: &Names, count: usize) -> Result<Destination, Failure> {
        let wish = Wish {
            output: self.options.output.as_deref(),
            name: None,
            force: self.options.force,
        };
        Destination::plan(wish, names, count)
    }

    /// Takes the names of this many pictures, where `-o` names a place in the file system.
    fn take(&self, purchase: &Purchase, count: usize) -> Result<Option<Reservation>, Failure> {
        if self.options.output.is_none() || self.stdout.is_some() {
            return Ok(None);
        }
        let input = purchase.input.as_ref();
        let format = input.and_then(|input| input.get("input")?.get("output_format")?.as_str());
        let names = Names {
            id: purchase.request_id().map(str::to_owned),
            extension: Some(match format {
                Some("jpeg") => "jpg",
                _ => "png",
            }),
            ..Names::default()
        };
        let plan = self.plan(&names, count)?;
        let own = journal::own_files(self.journal);
        plan.refuse_inputs(&inputs(purchase).chain(own).collect::<Vec<_>>())?;
        Reservation::take(&plan, count, 0).map(Some)
    }

    /// The new target of the purchase, where it changes.
    fn target(&self, purchase: &Purchase, taken: Option<&Reservation>) -> Option<Target> {
        match taken {
            Some(taken) => taken.target().cloned(),
            None => self.stdout.as_ref()?.target_of(purchase),
        }
    }

    /// Copies pictures that are on disk to the place that `-o` names.
    fn copy(&self, purchase: &mut Purchase) -> Result<(), Failure> {
        self.refuse_several(purchase, purchase.pictures.len())?;
        // The names that were taken and are not used are given back.
        let Some(taken) = self.take(purchase, purchase.pictures.len())? else {
            return Ok(());
        };
        let Some(Target::Files { mut paths, replace }) = taken.target().cloned() else {
            return Ok(());
        };
        for (picture, path) in purchase.pictures.iter_mut().zip(&mut paths) {
            // The result of another endpoint is a file beside its pictures.
            if let Some(own) = picture.path.extension().filter(|own| *own == "json") {
                *path = free(&path.with_extension(own));
            }
            let content = picture.read().map_err(|error| {
                Failure::io(format!(
                    "{} cannot be read: {error}",
                    picture.path.display()
                ))
            })?;
            write(&content, &picture.path, path).map_err(|error| {
                Failure::io(format!("{} cannot be written: {error}", path.display()))
            })?;
            picture.path.clone_from(path);
        }
        purchase.target = Some(Target::Files { paths, replace });
        Ok(())
    }
}

/// The local pictures that went in.
fn inputs(purchase: &Purchase) -> impl Iterator<Item = PathBuf> {
    let input = purchase.input.as_ref();
    let pictures = input.and_then(|input| input.get("pictures")?.as_array());
    let files = pictures.into_iter().flatten();
    files.filter_map(|picture| Some(picture.get("file")?.as_str()?.into()))
}

/// A purchase whose paths and URLs are erased.
fn pruned(purchase: &Purchase) -> Failure {
    Failure::usage(format!(
        "{} is {} and was pruned: the paths and URLs of its pictures are erased from this journal, which cannot find or fetch them any more",
        purchase.id, purchase.state
    ))
    .with_hint("look at the place that the purchase named")
}

/// Writes the copy of a file in one step: it appears whole or not at all.
fn write(content: &[u8], from: &Path, to: &Path) -> io::Result<()> {
    let mut whole = tempfile::NamedTempFile::new_in(folder_of(to))?;
    whole.write_all(content)?;
    whole.as_file().sync_all()?;
    whole
        .as_file()
        .set_permissions(from.metadata()?.permissions())?;
    whole.persist(to)?;
    Ok(())
}
