//! Pictures from fal's endpoint `fal-ai/uso`: a content picture, up to two style pictures and a
//! prompt go in, new pictures come out.
//!
//! This is the crate to depend on. It speaks in roles (content, style) where the service has array
//! positions, and it keeps two promises: **you never pay twice for one picture, and you never lose
//! one that was paid for.** It must not know HTTP, which is `uso-transport`'s, nor how the types
//! came about, which is `uso-types`'.
//!
//! # The main job
//!
//! ```no_run
//! use uso::{Client, Request};
//!
//! # async fn example() -> uso::Result<()> {
//! let client = Client::from_env()?; // FAL_KEY, or FAL_KEY_ID and FAL_KEY_SECRET
//! let job = client.submit(Request::restyle("photo.jpg", "ink.webp")).await?;
//! println!("{}", job.ticket().request_id()); // safe to keep: the job can be resumed with it
//! let output = job.wait().await?;
//! output.images()[0].save("out.png").await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::submit`] buys a job and returns a [`Job`]; everything after it can be repeated freely.
//! A job runs on the service whether or not anybody waits for it: dropping a [`Job`] detaches from
//! it, [`Job::cancel`] is what stops it.
//!
//! # What to ask for
//!
//! A [`Request`] is one of the model's real uses, and a combination that the model does not know
//! does not compile:
//!
//! ```
//! use uso::{ImageSizePreset, OutputFormat, Request};
//!
//! // This subject in a new scene.
//! let cat = Request::subject("cat.png", "a cat on a lighthouse, at dusk");
//! // This picture in that look, with its layout kept; two looks are mixed.
//! let mixed = Request::restyle("photo.jpg", "ink.webp").extra_style("https://example.org/wash.png");
//! // This subject, that look, a new scene; and every knob that the endpoint has.
//! let scene = Request::styled_scene("cat.png", "ink.webp", "a cat in the rain")
//!     .size(ImageSizePreset::Landscape16_9)
//!     .images(4)
//!     .seed(7)
//!     .format(OutputFormat::Jpeg);
//! ```
//!
//! ```compile_fail
//! use uso::Request;
//! // Without a style there is no extra style.
//! Request::subject("cat.png", "a cat").extra_style("ink.webp");
//! ```
//!
//! A [`Reference`] is a path, bytes, a reader, a URL or a data URI; a string that starts with
//! `http://`, `https://` or `data:` is what it says, any other is a path. What is wrong with a
//! request is found before anything is sent, and [`Request::estimate`] says what it will cost.
//!
//! # Pictures on their way
//!
//! A URL is passed on as it is. A local picture is made fit first, so that a phone's photo just
//! works: turned upright, shrunk to 2048 pixels a side, freed of metadata such as the place where it
//! was taken, brought to sRGB. Then it is uploaded, or sent along when it is tiny. The same picture
//! is uploaded once, in however many requests and tasks it is; what was changed is told as data and
//! in a line:
//!
//! ```no_run
//! # async fn example(client: uso::Client) -> uso::Result<()> {
//! use uso::Request;
//!
//! let prepared = client.prepare(Request::restyle("IMG_0001.jpg", "ink.webp")).await?;
//! for picture in prepared.pictures() {
//!     println!("{picture}"); // content IMG_0001.jpg: 1536x2048, turned upright, shrunk from …
//! }
//! let job = client.place(prepared.order()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Request::without_fit`] sends pictures as they are. [`Client::upload`] uploads a file of any
//! size in some megabytes of memory; [`Output::save_all`] saves everything that a job made.
//!
//! # Progress
//!
//! ```no_run
//! # async fn example(client: uso::Client) -> uso::Result<()> {
//! use uso::{Event, Request};
//!
//! let job = client.submit(Request::reimagine("photo.jpg", "as a woodcut")).await?;
//! let output = job
//!     .wait_with(|event| match event {
//!         Event::Queued { position } => println!("{position:?} requests ahead"),
//!         Event::Running => println!("running"),
//!         Event::Log(line) => println!("{}", line.message),
//!         other => println!("{other:?}"),
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Job::events`] gives the same as a `Stream`.
//!
//! # When something goes wrong
//!
//! There is one [`Error`]. Its [`ErrorKind`] says what to do next, and from the moment of the
//! purchase on it carries the [`Ticket`], which resumes the job in this process or in another:
//!
//! ```no_run
//! # async fn example(client: uso::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use uso::{ErrorKind, Request, Ticket};
//!
//! let job = client.submit(Request::restyle("photo.jpg", "ink.webp")).await?;
//! std::fs::write("ticket.json", serde_json::to_string(job.ticket())?)?;
//! match job.wait().await {
//!     Ok(output) => println!("seed {:?}", output.seed()),
//!     Err(error) if error.kind() == ErrorKind::Deadline => {
//!         let ticket: Ticket = serde_json::from_str(&std::fs::read_to_string("ticket.json")?)?;
//!         let output = client.job(ticket).wait().await?; // later, anywhere
//!     }
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What every fault of the line and of the service leads to, as a test measures it against the
//! emulator, is in [`faults`].
//!
//! # Being told
//!
//! A [`Request::webhook`] has the end of a job announced to a server of yours. [`webhook`] has what
//! a receiver needs: verification, fal's public keys, and handling each delivery once. It is also
//! the surest way back to a purchase whose answer was lost: [`Client::adopt`].
//!
//! # Without an account
//!
//! `uso emulator` (or the crate `uso-emulator` in a test) is a fal on this machine. Give its
//! address as `USO_BASE_URL`, or as [`BaseUrls::single_origin`] in a [`Config`].
//!
//! # What is not known
//!
//! fal does not publish how it rounds megapixels, how many references it takes, what it wants in
//! the first slot when there are only styles (so those forms are not offered), nor whether a job
//! that is cancelled while it runs is billed, nor how long it keeps an upload (an upload is used
//! again for six days). The docs of the functions concerned say so again.

/// What every fault leads to.
///
/// Each row is one call of [`Client`] with one fault in the way of one operation, once; the words
/// are [`ErrorKind`]'s. The table is made by the test that proves it, which also asserts that no
/// call buys twice and that everything bought is had in the end, if the service made it.
///
#[doc = include_str!("../docs/faults.md")]
pub mod faults {}

mod client;
mod estimate;
mod job;
mod output;
mod prepared;
mod reference;
mod request;
mod uploads;
pub mod webhook;

pub use crate::client::Client;
pub use crate::estimate::Estimate;
pub use crate::job::{Event, Events, Job};
pub use crate::output::{Output, Picture};
pub use crate::prepared::{Prepared, PreparedPicture, Preview, Sending};
pub use crate::reference::Reference;
pub use crate::reference::fit::Change;
pub use crate::request::{Request, Styled, Unstyled};
pub use crate::uploads::KnownUpload;

pub use uso_transport::{
    Access, ApiKey, BaseUrls, Billed, Cancellation, Completion, Config, Delivery, Download,
    EndpointId, Error, ErrorKind, Fingerprint, Intent, InvalidRequestId, Lifecycle, LogLine,
    MicroDollars, Operation, Order, Problem, Result, RetryPolicy, Sent, Source, State, Status,
    Ticket, Upload, Uploaded, Verdict,
};
pub use uso_types::{
    Image, ImageSize, ImageSizeChoice, ImageSizePreset, OutputFormat, UsoInput, UsoOutput,
};
