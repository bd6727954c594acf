//! Client for fal's image endpoint `fal-ai/uso`: a content picture, up to two style pictures and a
//! prompt go in, new pictures come out.
//!
//! Two promises: **you never pay twice for one picture, and you never lose a picture that you paid
//! for.** fal has no idempotency key, so a submit is sent again only when it provably never left;
//! a submit whose response is lost is looked up in the account's list of requests; and from the
//! purchase on every error carries the [`Ticket`] that collects the job.
//!
//! ```no_run
//! use uso::{Client, Request};
//!
//! # async fn example() -> uso::Result<()> {
//! let client = Client::from_env()?; // FAL_KEY, or FAL_KEY_ID and FAL_KEY_SECRET
//! let job = client.submit(Request::restyle("photo.jpg", "ink.webp")).await?;
//! println!("{}", job.ticket().request_id()); // safe to keep: the ticket resumes the job
//! let output = job.wait().await?;
//! output.images()[0].save("out.png").await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::submit`] buys a job; everything after it can be repeated freely. A job runs on the
//! service whether or not a client waits for it: dropping a [`Job`] detaches from it, and
//! [`Job::cancel`] cancels it.
//!
//! # Requests
//!
//! A [`Request`] has one constructor for each use of the model, such as [`Request::restyle`] and
//! [`Request::subject`], and knobs for everything that the endpoint takes. A [`Reference`] is a
//! path, bytes, a reader, a URL or a data URI. Errors in a request are found before anything is
//! sent, and [`Request::estimate`] gives the price.
//!
//! # Where to read on
//!
//! | module | subject |
//! | --- | --- |
//! | [`status`] | progress of a job, and cancelling |
//! | [`error`] | what to do after an error, and resuming in another process |
//! | [`purchase`] | buying in steps: prepare, note the intent, place, recover |
//! | [`pictures`] | what happens to a local picture before it is sent |
//! | [`endpoint`] | other endpoints of fal |
//! | [`upload`] | files of any size on fal's CDN |
//! | [`webhook`] | receiving fal's notifications |
//! | [`config`] | deadlines, retries, hosts |
//! | [`testing`] | clients of a local emulator |
//! | [`types`] | the endpoint's own input and output |
//! | [`faults`] | the outcome of every fault, measured |
//! | [`guides`] | a page for each task: money, tests, notifications, coming from fal's clients |
//!
//! | crate | subject |
//! | --- | --- |
//! | `uso-journal` | purchases that survive their process, budgets, batches |
//! | `uso-studio` | a local page for making pictures |
//! | `uso-proxy` | a router that keeps the key on the server, for web pages |
//! | `uso-webhook` | verification of notifications in a back end without a key |
//! | `uso-emulator` | a fal on this machine, for tests |
//!
//! # In your tests
//!
//! `uso-emulator` is a fal inside the test: free, offline, with faults and a ledger. On Tokio's
//! paused clock deadlines and pauses take no time. In a `#[tokio::test(start_paused = true)]`:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use uso::Request;
//! use uso_emulator::{Emulator, Fault, Operation, Scenario};
//!
//! let lost = Scenario::new().on(Operation::Submit, Fault::AcceptThenDrop);
//! let emulator = Emulator::builder().scenario(lost).start().await?;
//! let client = uso::testing::client(&emulator.origin())?;
//! client.generate(Request::subject("https://example.org/cat.png", "a cat")).await?;
//! assert_eq!(emulator.ledger().purchases().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! On the command line, `uso emulator` is the same service; `USO_BASE_URL` names its address.
//!
//! # Runtime
//!
//! Every call needs a Tokio runtime that was built with `enable_all`; without one a call returns
//! an error. The folder `examples` has a synchronous program, live progress of several jobs with
//! cancelling, unit tests, and a web service that survives restarts.
//!
//! The facade must not know how HTTP or a database works: `uso-transport` speaks the protocol of the
//! service.
//!
//! # What is not known
//!
//! [`guides::unknowns`] lists what fal does not publish, such as how it rounds megapixels. The docs
//! of the functions concerned repeat it.

mod check;
mod client;
mod content_type;
pub mod endpoint;
mod estimate;
mod from_result;
pub mod guides;
mod job;
mod output;
mod portable;
mod prepared;
mod ready;
mod recipe;
mod recovery;
mod reference;
mod request;
mod runtime;
pub mod testing;
mod unclaimed;
mod uploads;
pub mod webhook;

pub use crate::client::Client;
pub use crate::estimate::Estimate;
pub use crate::job::{Event, Job};
pub use crate::output::{Output, Picture};
pub use crate::reference::Reference;
pub use crate::request::{Request, Styles};
pub use uso_transport::{
    ApiKey, BaseUrls, Config, Error, ErrorKind, Intent, MicroDollars, Result, Ticket,
};
pub use uso_types::{ImageSize, ImageSizePreset, OutputFormat, UsoInput};

/// Progress of a job, and cancelling it.
///
/// ```no_run
/// # async fn example(client: uso::Client) -> uso::Result<()> {
/// use uso::{Event, Request};
///
/// let job = client.submit(Request::reimagine("photo.jpg", "as a woodcut")).await?;
/// let output = job
///     .wait_with(|event| match event {
///         Event::Queued { position } => println!("{position:?} requests ahead"),
///         Event::Running => println!("running"),
///         Event::Log(line) => println!("{}", line.message),
///         other => println!("{other:?}"),
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// [`Job::events`] gives the same events as a `Stream`, and [`Job::status`] asks once.
pub mod status {
    pub use crate::job::Events;
    pub use uso_transport::{Cancellation, Completion, LogLine, State, Status};
}

/// The details of an [`Error`].
///
/// There is one [`Error`] for the whole client. Its [`ErrorKind`]
/// names the cause, and [`Error::next_step`](crate::Error::next_step) says what a program does
/// about the error:
///
/// | next step | what to do |
/// | --- | --- |
/// | [`NextStep::Repeat`](uso_transport::NextStep::Repeat) | make the same call again, later: nothing was bought |
/// | [`NextStep::Resume`](uso_transport::NextStep::Resume) | the job is bought: collect it with [`Client::job`](crate::Client::job) |
/// | [`NextStep::LookFor`](uso_transport::NextStep::LookFor) | the job may be bought: ask [`Client::recover`](crate::Client::recover) before buying again |
/// | [`NextStep::Change`](uso_transport::NextStep::Change) | change the fields of the request that the problems name |
/// | [`NextStep::Stop`](uso_transport::NextStep::Stop) | a person has to read the error |
///
/// ```no_run
/// # async fn example(client: uso::Client) -> uso::Result<()> {
/// use uso::Request;
/// use uso::error::NextStep;
///
/// let Err(error) = client.generate(Request::restyle("photo.jpg", "ink.webp")).await else {
///     return Ok(());
/// };
/// match error.next_step() {
///     NextStep::Repeat => println!("call again in a minute"),
///     NextStep::Resume(ticket) => {
///         let output = client.job(ticket).wait().await?; // also later, in another process
///     }
///     NextStep::LookFor(intent) => println!("{:?}", client.recover(&intent).await?),
///     NextStep::Change(problems) => println!("{problems:?}"),
///     _ => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
///
/// [`faults`] has the outcome of every fault of the network and of the service.
pub mod error {
    pub use uso_transport::{
        Billed, Delivery, InvalidAmount, InvalidKey, InvalidRequestId, NextStep, Operation,
        Problem, Verdict,
    };
}

/// Buying in steps, so that nothing is lost when the process ends in between.
///
/// [`Client::submit`](crate::Client::submit) is [`Client::prepare`](crate::Client::prepare) and
/// [`Client::place`](crate::Client::place) in one. Between the two the intent of the purchase can
/// be written down: it holds neither prompt nor picture nor key, and finds the purchase again
/// when the response to the submit is lost.
///
/// ```no_run
/// # async fn example(client: uso::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use uso::Request;
///
/// let prepared = client.prepare(Request::restyle("photo.jpg", "ink.webp")).await?;
/// let intent = prepared.order().intent();
/// std::fs::write("intent.json", serde_json::to_string(intent)?)?;
/// let job = client.place(prepared.order()).await?;
/// # Ok(())
/// # }
/// ```
pub mod purchase {
    pub use crate::portable::Portable;
    pub use crate::prepared::{Prepared, Preview};
    pub use crate::recipe::Recipe;
    pub use crate::recovery::Recovery;
    pub use crate::unclaimed::Unclaimed;
    pub use uso_transport::{EndpointId, Fingerprint, Order};
}

/// Local pictures on their way to the service, and saved pictures.
///
/// A URL is passed on as it is. A local picture is made fit first, so that a phone's photo works
/// unchanged: turned upright, shrunk to 2048 pixels a side, freed of metadata such as the place
/// where it was taken, and converted to sRGB. Then it is uploaded, or sent inside the request when
/// it is tiny. The same picture is uploaded once, however many requests and tasks use it. Every
/// change is reported:
///
/// ```no_run
/// # async fn example(client: uso::Client) -> uso::Result<()> {
/// use uso::Request;
///
/// let prepared = client.prepare(Request::restyle("IMG_0001.jpg", "ink.webp")).await?;
/// for picture in prepared.pictures() {
///     println!("{picture}"); // content IMG_0001.jpg: 1536x2048, turned upright, shrunk from …
/// }
/// let job = client.place(prepared.order()).await?;
/// # Ok(())
/// # }
/// ```
///
/// The orientation counts in every form: EXIF wherever a file has it (in PNG also behind the pixels,
/// and as ImageMagick's raw profile), and XMP where there is no EXIF. Every local picture is decoded
/// before it is sent: damaged ones are refused, and so is a JPEG whose scan is cut but properly
/// ended, which other decoders fill with grey. A client holds at most 50 MiB of picture files and
/// 224 MiB of decoded pixels at a time; a picture that needs more is refused.
///
/// Without the feature `fit`, which is on by default, no picture is decoded: a local picture that
/// would have to be changed is refused, and the others lose their metadata only.
///
/// [`Request::without_fit`](crate::Request::without_fit) sends pictures as they are.
/// [`Output::save_all`](crate::Output::save_all) saves every picture of a job.
pub mod pictures {
    pub use crate::output::{Saved, escaped, id_in_name};
    pub use crate::prepared::{PreparedPicture, Sending};
    pub use crate::reference::change::Change;
}

/// Files of any size on fal's CDN.
///
/// Pictures of a request are uploaded without this; see [`Client::upload`](crate::Client::upload).
pub mod upload {
    pub use crate::uploads::KnownUpload;
    pub use uso_transport::{Access, Lifecycle, Sent, Source, Upload, Uploaded};
}

/// Details of a [`Config`].
pub mod config {
    pub use uso_transport::{HttpOptions, RetryPolicy};
}

/// The endpoint's own input and output, generated from its schema.
pub mod types {
    pub use crate::request::OptionalText;
    pub use uso_types::{Image, ImageSizeChoice, UsoOutput};
}

/// The outcome of every fault.
///
/// Each row is one call of [`Client`] with one fault in one operation, once; the words are
/// [`ErrorKind`]'s. The table is written by the test that proves it, which also asserts that no
/// call buys twice and that every job that was bought is collected in the end, if the service made
/// a picture.
///
#[doc = include_str!("../docs/faults.md")]
pub mod faults {}

// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
