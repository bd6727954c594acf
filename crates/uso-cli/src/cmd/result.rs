//! `uso result`: saves the pictures of a job.

use std::process::ExitCode;

use uso::Job;

use crate::args::{CollectOptions, Global, ResultArgs};
use crate::connection::Connection;
use crate::destination::{Destination, Wish};
use crate::failure::Failure;
use crate::output_names::{Names, Template};
use crate::place::Place;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::recorded_jobs;
use crate::records::is_over;
use crate::reservation::Reservation;
use crate::saving::{Saving, save};

pub(crate) async fn run(
    global: &Global,
    args: &ResultArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let connection = Connection::configured(global, |config| match args.timeout {
        Some(limit) => config.finish_within(limit),
        None => config,
    })
    .await?;
    let origin = connection.origin();
    let id = recorded_jobs::resolve(&origin, args.job.id.as_deref())?;
    let recorded = recorded_jobs::place_of(&origin, &id);
    let job = connection.client.job_by_id(&id)?;
    let mut place = PlaceToSave::of(&args.output, recorded)?;
    let host = connection.client.config().base_urls().queue().host_str();
    let progress = Progress::start(printer, "fetching the result").about(host);
    let fetched = match args.wait {
        true => job.wait_with(|event| progress.event(event)).await,
        false => job.collect().await,
    };
    let output = match fetched {
        Ok(output) => output,
        Err(error) => {
            if is_over(&error) {
                recorded_jobs::settle(&origin, &id, printer);
            }
            return Err(error.into());
        }
    };
    let saving = Saving {
        place: place.take(output.images().len(), &job)?,
        extension: None,
        preview: args.output.preview,
        open: args.output.open,
    };
    let saved = save(&output, &job, saving).await;
    progress.end();
    if saved.complete {
        recorded_jobs::settle(&origin, &id, printer);
    }
    saved.report(printer)
}

/// The place that `-o` names, or the recorded one.
pub(crate) struct PlaceToSave<'a> {
    options: &'a CollectOptions,
    recorded: Option<Place>,
    reservation: Option<Reservation>,
}

impl<'a> PlaceToSave<'a> {
    /// Checks `-o` before anything is fetched.
    pub(crate) fn of(
        options: &'a CollectOptions,
        recorded: Option<Place>,
    ) -> Result<Self, Failure> {
        let place = Self {
            options,
            recorded,
            reservation: None,
        };
        if options.output.is_some() {
            place.plan(1)?;
        }
        Ok(place)
    }

    fn plan(&self, count: usize) -> Result<Destination, Failure> {
        let wish = Wish {
            output: self.options.output.as_deref(),
            name: None,
            force: self.options.force,
        };
        let plan = Destination::plan(wish, &Names::default(), count)?;
        Ok(match plan {
            Destination::Folder { folder, .. } => Destination::Folder {
                folder,
                template: Template::parse("uso-{id}.{ext}")?,
            },
            other => other,
        })
    }

    /// The place for this many pictures of a job; nothing for standard output.
    pub(crate) fn take(&mut self, count: usize, job: &Job) -> Result<Option<&Place>, Failure> {
        if self.options.output.is_none() && self.recorded.is_some() {
            return Ok(self.recorded.as_ref());
        }
        let names = Names {
            id: Some(job.ticket().request_id().to_owned()),
            extension: Some("png"),
            ..Names::default()
        };
        let taken = Reservation::take(&self.plan(count)?, &names, count, 0)?;
        Ok(self.reservation.insert(taken).place())
    }
}
