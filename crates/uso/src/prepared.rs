//! A request on its way to a purchase: its pictures made fit and uploaded, its input complete.

use std::fmt;

use futures_util::future::{join_all, try_join_all};
use uso_transport::{Error, Operation, Order, Problem, Result, Transport};
use uso_types::UsoInput;

use crate::estimate::Estimate;
use crate::ready::{self, Ready};
use crate::reference::change::Change;
use crate::reference::reading::{Facts, Sent};
use crate::reference::{Reference, inline};
use crate::request::Request;
use crate::runtime;
use crate::uploads::{Found, KnownUpload, Looked, Uploads};

/// A request that is ready to be bought; [`Client::prepare`](crate::Client::prepare) makes it.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) order: Order,
    pub(crate) pictures: Vec<PreparedPicture>,
}

impl Prepared {
    /// The order that [`Client::place`](crate::Client::place) buys.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Pictures as they go to the service, content first.
    pub fn pictures(&self) -> &[PreparedPicture] {
        &self.pictures
    }
}

/// A checked request whose local pictures were read and made fit, before anything is sent.
///
/// [`Client::preview`](crate::Client::preview) and [`Request::preview`] make it, and
/// [`Client::complete`](crate::Client::complete) turns it into a [`Prepared`] without reading a
/// picture again. Until then it holds the pictures that are still to be uploaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Preview {
    /// The input. The URL of a picture that is still to be uploaded is not known yet: `upload:` and
    /// the picture's MIME type stand in its place.
    pub input: UsoInput,
    /// Pictures as they would go to the service, content first.
    pub pictures: Vec<PreparedPicture>,
    pub(crate) request: Request,
    stages: Vec<Stage>,
}

impl Preview {
    /// Size and price of the request.
    pub fn estimate(&self) -> Estimate {
        let content = self.request.content().and_then(|_| self.pictures.first());
        Estimate::of(
            self.request.input(),
            content.and_then(|content| content.size),
        )
    }
}

/// Form in which a picture goes to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sending {
    /// By the URL that was given.
    Url,
    /// Inside the request, as a data URI.
    Inline,
    /// By an upload of its own.
    Upload,
    /// By an earlier upload of the same picture.
    Reused,
}

impl Sending {
    /// The way's name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Inline => "inline",
            Self::Upload => "upload",
            Self::Reused => "reused",
        }
    }
}

/// Picture as it goes to the service, with its changes. `Display` is one line.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreparedPicture {
    /// The role of the picture, such as `content` or `extra style`.
    pub role: &'static str,
    /// The caller's reference, in short.
    pub name: String,
    /// The way to the service.
    pub sending: Sending,
    /// Width and height in pixels as the service will see them, where they are known.
    pub size: Option<(u32, u32)>,
    /// The length that is sent, where anything is.
    pub bytes: Option<u64>,
    /// The changes that were made.
    pub changes: Vec<Change>,
    /// The key among the uploads, and the URL.
    upload: Option<(String, String)>,
}

impl fmt::Display for PreparedPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.role, self.name)?;
        if let Some((width, height)) = self.size {
            write!(f, "{width}x{height}, ")?;
        }
        for change in &self.changes {
            write!(f, "{change}, ")?;
        }
        match (self.sending, self.bytes) {
            (Sending::Url, _) => f.write_str("passed on as it is"),
            (Sending::Inline, _) => f.write_str("sent with the request"),
            (Sending::Upload, Some(bytes)) if self.upload.is_none() => {
                write!(f, "to be uploaded ({bytes} bytes)")
            }
            (Sending::Upload, Some(bytes)) => write!(f, "uploaded ({bytes} bytes)"),
            (Sending::Upload, None) => f.write_str("uploaded"),
            (Sending::Reused, _) => f.write_str("already uploaded"),
        }
    }
}

impl fmt::Debug for PreparedPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedPicture({self})")
    }
}

impl PreparedPicture {
    fn by_url(role: &'static str, reference: &Reference) -> Self {
        Self {
            role,
            name: reference.to_string(),
            sending: Sending::Url,
            size: None,
            bytes: None,
            changes: Vec::new(),
            upload: None,
        }
    }

    fn of_ready(role: &'static str, reference: &Reference, ready: &Ready, way: Sending) -> Self {
        Self {
            sending: way,
            size: ready.size,
            bytes: Some(ready.source.len()),
            changes: ready.changes.clone(),
            ..Self::by_url(role, reference)
        }
    }

    fn of_known(
        role: &'static str,
        reference: &Reference,
        key: &str,
        known: &KnownUpload,
        way: Sending,
    ) -> Self {
        Self {
            sending: way,
            size: known.size,
            bytes: Some(known.bytes),
            changes: known.changes.clone(),
            upload: Some((key.to_owned(), known.url().to_owned())),
            ..Self::by_url(role, reference)
        }
    }

    /// The key among the uploads.
    pub(crate) fn upload_key(&self) -> Option<&str> {
        self.upload.as_ref().map(|(key, _)| key.as_str())
    }

    /// The key among the uploads and the URL of a picture that was uploaded earlier.
    pub(crate) fn reused(&self) -> Option<(&str, &str)> {
        let (key, url) = self.upload.as_ref()?;
        (self.sending == Sending::Reused).then_some((key, url))
    }
}

/// A picture before its upload.
#[derive(Clone)]
enum Stage {
    Url(String, PreparedPicture),
    Found(String, Found),
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(..) => "Url",
            Self::Found(_, Found::Known(_)) => "Known",
            Self::Found(_, Found::Ready(_)) => "Ready",
        })
    }
}

/// Reads every picture once and makes it ready. Nothing is sent, and every problem is reported.
pub(crate) async fn preview(request: Request, uploads: &Uploads) -> Result<Preview> {
    let (mut input, mut problems) = request.checked();
    let fit = request.wants_fit();
    let looks = request.references().map(async |(role, reference)| {
        match reference.url(role) {
            Some(url) => url.map(|url| Stage::Url(url, PreparedPicture::by_url(role, reference))),
            // Boxed, as is the sending below: a job by URLs alone need not have room for it.
            None => Box::pin(find(uploads, fit, role, reference)).await,
        }
    });
    let mut stages = Vec::new();
    for looked in join_all(looks).await {
        match looked {
            Ok(stage) => stages.push(stage),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Error::invalid(problems));
    }
    let mut pictures = Vec::new();
    for ((role, reference), stage) in request.references().zip(&stages) {
        let (url, picture) = match stage {
            Stage::Url(url, picture) => (url.clone(), picture.clone()),
            Stage::Found(key, Found::Known(known)) => {
                let way = Sending::Reused;
                let picture = PreparedPicture::of_known(role, reference, key, known, way);
                (known.url().to_owned(), picture)
            }
            Stage::Found(_, Found::Ready(ready)) => {
                let (url, way) = match inlined(ready).await? {
                    Some(uri) => (uri, Sending::Inline),
                    None => (format!("upload:{}", ready.format.mime()), Sending::Upload),
                };
                (url, PreparedPicture::of_ready(role, reference, ready, way))
            }
        };
        input.input_image_urls.push(url);
        pictures.push(picture);
    }
    Ok(Preview {
        input,
        pictures,
        request,
        stages,
    })
}

/// Reads a local picture and makes it ready, unless the picture is at hand.
async fn find(
    uploads: &Uploads,
    fit: bool,
    role: &str,
    reference: &Reference,
) -> Result<Stage, Problem> {
    if let Some((path, last)) = reference.last_reading()
        && let Some(facts) = last.facts(path)
        && let Some((key, found)) = uploads.at_hand(&facts.digest, fit)
    {
        return Ok(Stage::Found(key, found));
    }
    let stamp = ready::stamp(reference);
    let source = reference.open(role).await?;
    let looked = uploads.find(source, fit).await;
    let Looked { digest, key, found } =
        looked.map_err(|why| Problem::new(role, format!("{reference} is {why}")))?;
    let sent = found.size().map(|size| Sent {
        is_fit: fit,
        size: Ok(size),
    });
    ready::keep(reference, stamp, &Facts { digest, sent });
    Ok(Stage::Found(key, found))
}

/// A picture that is small enough to travel inside the request, as a data URI.
async fn inlined(ready: &Ready) -> Result<Option<String>> {
    if !ready.is_small() {
        return Ok(None);
    }
    let bytes = ready.source.read().await?;
    Ok(Some(inline(&bytes, ready.format.mime())))
}

/// The request, and its input with its pictures, which are uploaded where they must be.
pub(crate) async fn complete(
    preview: Preview,
    uploads: &Uploads,
    transport: &Transport,
) -> Result<(Request, UsoInput, Vec<PreparedPicture>)> {
    let Preview {
        mut input,
        request,
        stages,
        ..
    } = preview;
    // A raw input has URLs of its own.
    let own = input.input_image_urls.len().saturating_sub(stages.len());
    input.input_image_urls.truncate(own);
    let references = request.references().zip(stages);
    let sent = references.map(async |((role, reference), stage)| match stage {
        Stage::Url(url, picture) => Ok((url, picture)),
        Stage::Found(key, found) => {
            let send = send(uploads, transport, (role, reference), &key, found);
            Box::pin(send).await
        }
    });
    let mut pictures = Vec::new();
    for (url, picture) in try_join_all(sent).await? {
        input.input_image_urls.push(url);
        pictures.push(picture);
    }
    Ok((request, input, pictures))
}

/// Brings a local picture to the service, unless it is there, and gives its place in the input.
async fn send(
    uploads: &Uploads,
    transport: &Transport,
    (role, reference): (&'static str, &Reference),
    key: &str,
    found: Found,
) -> Result<(String, PreparedPicture)> {
    let of = |known: &KnownUpload, way| {
        let picture = PreparedPicture::of_known(role, reference, key, known, way);
        (known.url().to_owned(), picture)
    };
    let ready = match found {
        Found::Known(known) => return Ok(of(&known, Sending::Reused)),
        Found::Ready(ready) => ready,
    };
    if let Some(uri) = inlined(&ready).await? {
        let picture = PreparedPicture::of_ready(role, reference, &ready, Sending::Inline);
        return Ok((uri, picture));
    }
    let (known, is_new) = uploads.upload(transport, key, &ready).await?;
    Ok(of(
        &known,
        match is_new {
            true => Sending::Upload,
            false => Sending::Reused,
        },
    ))
}

impl Request {
    /// The request as it would be sent, checked, with every local picture made fit; nothing is
    /// sent. [`Client::preview`](crate::Client::preview) knows the client's earlier uploads, too.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a reader or a pipe keeps what was read of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) with every problem of the request.
    pub async fn preview(&self) -> Result<Preview> {
        runtime::check(Operation::Prepare)?;
        preview(self.clone(), &Uploads::default()).await
    }
}
