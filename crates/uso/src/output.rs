//! The output of a job: its pictures, and what the service says about them.

mod files;
mod names;
mod picture;

use std::path::Path;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use uso_transport::{
    Error, ErrorKind, MicroDollars, Operation, Response, Result, Ticket, Transport,
};
use uso_types::{UsoOutput, json_repair};

use self::files::Found;
use self::names::{Template, Values};
pub use self::names::{escaped, id_in_name};
pub use self::picture::{Picture, Saved};
use crate::from_result::{FromResult, REPAIRED, attached, sealed::Sealed, unusable};
use crate::runtime;

/// Pictures that are fetched at a time.
const AT_ONCE: usize = 4;

/// The output of a job: at least one picture, and what the service says about it.
///
/// The pictures come first: a field of the result that cannot be read is `None` and is named by
/// [`Output::warnings`].
///
/// For the ticket of another endpoint, the pictures are the files of any type that the result names,
/// also none; `Endpoint::job` gives the result typed.
#[derive(Clone)]
pub struct Output {
    transport: Transport,
    images: Vec<Picture>,
    ticket: Option<Ticket>,
    seed: Option<u64>,
    prompt: Option<String>,
    warnings: Vec<String>,
    response: Response,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The service repeats the prompt, and in sync mode the body holds the pictures.
        f.debug_struct("Output")
            .field("request_id", &self.request_id())
            .field("images", &self.images)
            .field("seed", &self.seed)
            .field("billable_units", &self.billable_units())
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl Sealed for Output {}

impl FromResult for Output {
    fn read(transport: &Transport, ticket: Option<&Ticket>, response: Response) -> Result<Self> {
        let unusable = |message: String| unusable(&response, ticket, message);
        if let Some(ticket) = ticket.filter(|ticket| !picture::is_uso(ticket)) {
            return match response.body().is_empty() {
                true => Err(unusable("the result is empty".to_owned())),
                false => Ok(Self::of_other(transport, ticket, response)),
            };
        }
        let Ok(parsed) = json_repair::parse_first::<Value>(response.body()) else {
            let refused = response.decode::<Value>();
            let refused = refused.map_err(|error| attached(error, ticket));
            return refused.and_then(|_| Err(unusable("the result is not JSON".to_owned())));
        };
        let repaired = parsed.is_repaired.then(|| REPAIRED.to_owned());
        let (mut result, left_out) = UsoOutput::from_value_lossy(parsed.value)
            .map_err(|part| unusable(format!("the result cannot be read: {part}")))?;
        let flags = result.has_nsfw_concepts.take().unwrap_or_default();
        let flags = flags.into_iter().chain(std::iter::repeat(false));
        let images = result
            .images
            .take()
            .unwrap_or_default()
            .into_iter()
            .zip(flags);
        let images: Vec<Picture> = images
            .filter(|(image, _)| !image.url.trim().is_empty())
            .map(|(image, flagged)| {
                Picture::new(transport.clone(), ticket.cloned(), image, flagged)
            })
            .collect();
        if images.is_empty() {
            return Err(unusable("the result has no picture in it".to_owned()));
        }
        Ok(Self {
            transport: transport.clone(),
            images,
            ticket: ticket.cloned(),
            seed: result.seed,
            prompt: result.prompt.take(),
            warnings: repaired
                .into_iter()
                .chain(left_out.iter().map(|part| format!("left out: {part}")))
                .collect(),
            response,
        })
    }

    fn with_warning(mut self, warning: String) -> Self {
        self.warnings.push(warning);
        self
    }

    fn has_content(&self) -> bool {
        !self.images.is_empty()
    }
}

impl Output {
    /// The output of another endpoint: its files, also where the rest of it cannot be read.
    fn of_other(transport: &Transport, ticket: &Ticket, response: Response) -> Self {
        let (result, warning) = match json_repair::parse_first::<Value>(response.body()) {
            Ok(parsed) => (
                parsed.value,
                parsed.is_repaired.then(|| REPAIRED.to_owned()),
            ),
            Err(_) => (Value::Null, Some("the result is not JSON".to_owned())),
        };
        let files = files::files(&result, transport.config().base_urls());
        let picture = |found: Found| {
            Picture::new(
                transport.clone(),
                Some(ticket.clone()),
                found.file,
                found.is_flagged,
            )
        };
        Self {
            transport: transport.clone(),
            images: files.into_iter().map(picture).collect(),
            ticket: Some(ticket.clone()),
            seed: result.get("seed").and_then(Value::as_u64),
            prompt: None,
            warnings: warning.into_iter().collect(),
            response,
        }
    }

    /// The pictures; there is at least one, except for another endpoint.
    pub fn images(&self) -> &[Picture] {
        &self.images
    }

    /// The result itself as a file of JSON, for a job of another endpoint: its values may be all that
    /// was bought. `None` for `fal-ai/uso`.
    pub fn document(&self) -> Option<Picture> {
        let ticket = self.ticket.as_ref().filter(|it| !picture::is_uso(it))?;
        let transport = self.transport.clone();
        Some(files::document(transport, ticket.clone(), self.raw_body()))
    }

    /// The ticket of the job; `None` for a synchronous run, which has none.
    pub fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    /// The request's id on the service.
    pub fn request_id(&self) -> Option<&str> {
        let of_ticket = self.ticket.as_ref().map(Ticket::request_id);
        of_ticket.or(self.response.request_id())
    }

    /// The seed that the service used, where it says so.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The prompt that the service used, where it says so.
    pub fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref()
    }

    /// Warnings about parts of the result that could not be read, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The billed units as the service's header gives them: a decimal number of megapixels.
    pub fn billable_units(&self) -> Option<&str> {
        self.response.billable_units()
    }

    /// The billed units at the published price, rounded up to a millionth of a dollar; `None`
    /// where the service names no units, and for another endpoint. An account may have a discount.
    pub fn cost(&self) -> Option<MicroDollars> {
        if self.ticket.as_ref().is_some_and(|it| !picture::is_uso(it)) {
            return None;
        }
        self.cost_at(MicroDollars::for_pixels(1_000_000))
    }

    /// The billed units at this price of a unit, rounded up to a millionth of a dollar; `None`
    /// where the service names no units.
    pub fn cost_at(&self, unit: MicroDollars) -> Option<MicroDollars> {
        self.response.cost(unit)
    }

    /// The body of the response, unchanged.
    pub fn raw_body(&self) -> &[u8] {
        self.response.body()
    }

    /// Saves all pictures into a folder, which is created where it is missing, several at a time.
    /// The results are in the order of the pictures: a picture that cannot be saved does not stop
    /// the others.
    ///
    /// In `template`, `{n}` is the picture's number from 1 on, `{id}` the request id (see
    /// [`id_in_name`](crate::pictures::id_in_name)), `{seed}` the seed and `{ext}` the extension of
    /// the format that the picture's bytes have. A brace of the name itself is doubled, which
    /// [`escaped`](crate::pictures::escaped) does. A name that exists is never replaced.
    ///
    /// ```no_run
    /// # async fn example(output: uso::Output) -> uso::Result<()> {
    /// for saved in output.save_all("pictures", "{id}-{n}.{ext}").await? {
    ///     println!("{}", saved?.path.display());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future keeps the pictures that are saved already and leaves no partial file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the template is not usable, [`ErrorKind::Io`] when the folder
    /// cannot be created; for each picture those of [`Picture::save`].
    pub async fn save_all(
        &self,
        folder: impl AsRef<Path>,
        template: &str,
    ) -> Result<Vec<Result<Saved>>> {
        runtime::check(Operation::Save)?;
        let folder = folder.as_ref();
        let template = Template::new(template, self.images.len())
            .map_err(|problem| self.attach(Error::invalid(vec![problem])))?;
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|error| {
            let message = format!("the folder {} cannot be created", folder.display());
            let error = Error::new(Operation::Save, ErrorKind::Io, message).with_source(error);
            self.attach(error)
        })?;
        let saves = self.images.iter().enumerate().map(|(index, picture)| {
            let template = &template;
            picture.save_named(move |extension| {
                folder.join(template.name(&Values {
                    number: index + 1,
                    request_id: self.request_id(),
                    seed: self.seed,
                    extension,
                }))
            })
        });
        // Collected first: the compiler cannot prove that a lazy stream of them is `Send`.
        let saves: Vec<_> = saves.collect();
        Ok(stream::iter(saves).buffered(AT_ONCE).collect().await)
    }

    fn attach(&self, error: Error) -> Error {
        attached(error, self.ticket.as_ref())
    }
}
