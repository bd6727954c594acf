//! A request on its way to a purchase: pictures made fit and uploaded, input complete.

use std::fmt;

use futures_util::future::{join_all, try_join_all};
use uso_transport::{Error, Order, Problem, Result, Source, Transport};
use uso_types::UsoInput;

use crate::reference::fit::{Change, Format};
use crate::reference::{Reference, inline};
use crate::request::Request;
use crate::uploads::{Found, KnownUpload, Ready, Uploads, key};

/// Pictures up to this many bytes travel inside the request: an upload would be two requests more.
/// fal advises against data URIs of more than a few kilobytes.
const INLINE: u64 = 4 << 10;

/// A request that is ready to be bought; [`Client::prepare`](crate::Client::prepare) makes it.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) order: Order,
    pub(crate) pictures: Vec<PreparedPicture>,
}

impl Prepared {
    /// What [`Client::place`](crate::Client::place) buys.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// What became of each picture, content first.
    pub fn pictures(&self) -> &[PreparedPicture] {
        &self.pictures
    }
}

/// What a request would be, told without sending anything; [`Request::preview`] makes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Preview {
    /// The input. Where a picture would be uploaded, the URL that it will get is not known yet, and
    /// `upload:` and the picture's MIME type stand in its place.
    pub input: UsoInput,
    /// What would become of each picture, content first.
    pub pictures: Vec<PreparedPicture>,
}

/// How a picture goes to the service.
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

/// What became of a picture on its way into a request. `Display` says it in one line.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreparedPicture {
    /// Such as `content` or `extra style`.
    pub role: &'static str,
    /// What the caller gave, in short.
    pub name: String,
    /// How it goes to the service.
    pub sending: Sending,
    /// Width and height in pixels as the service will see them, where they can be told.
    pub size: Option<(u32, u32)>,
    /// The length that is sent, where anything is.
    pub bytes: Option<u64>,
    /// What was changed.
    pub changes: Vec<Change>,
    /// What finds it among the uploads, and where it lies.
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
            size: known.size(),
            bytes: Some(known.bytes()),
            changes: known.changes().to_vec(),
            upload: Some((key.to_owned(), known.url().to_owned())),
            ..Self::by_url(role, reference)
        }
    }

    /// What finds it among the uploads, and where it lies, if it was not sent just now.
    pub(crate) fn reused(&self) -> Option<(&str, &str)> {
        let (key, url) = self.upload.as_ref()?;
        (self.sending == Sending::Reused).then_some((key, url))
    }
}

/// A picture before its upload.
enum Stage {
    Url(String),
    Found(String, Found),
}

/// Looks at every picture and makes it ready; nothing is sent, and everything that is wrong is
/// found.
async fn stage(request: &Request, uploads: &Uploads) -> Result<(UsoInput, Vec<Stage>)> {
    let (input, mut problems) = request.checked();
    let fit = request.wants_fit();
    let looks = request.references().map(async |(role, reference)| {
        match reference.url(role) {
            Some(url) => url.map(Stage::Url),
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
    if problems.is_empty() {
        Ok((input, stages))
    } else {
        Err(Error::invalid(problems))
    }
}

/// Looks at a local picture and makes it ready.
async fn find(
    uploads: &Uploads,
    fit: bool,
    role: &str,
    reference: &Reference,
) -> Result<Stage, Problem> {
    let unreadable = |error: Error| Problem::new(role, error.to_string());
    let is = |why: String| Problem::new(role, format!("{reference} is {why}"));
    let source = reference.open(role).await?;
    // The format first: it is told by a few bytes.
    let head = source.head(HEAD).await.map_err(unreadable)?;
    Format::of(&head).map_err(is)?;
    let key = key(&source, fit).await.map_err(unreadable)?;
    let found = uploads.find(&key, &source, fit).await.map_err(is)?;
    Ok(Stage::Found(key, found))
}

/// What tells the format.
const HEAD: usize = 4 << 10;

/// Whether a picture is small enough to travel inside the request, and then as what.
async fn inlined(source: &Source, mime: &str) -> Result<Option<String>> {
    if source.len() > INLINE {
        return Ok(None);
    }
    let bytes = source.read().await?;
    Ok(Some(inline(&bytes, mime)))
}

/// The input with its pictures, which are uploaded where they must be.
pub(crate) async fn prepare(
    request: &Request,
    uploads: &Uploads,
    transport: &Transport,
) -> Result<(UsoInput, Vec<PreparedPicture>)> {
    let (mut input, stages) = stage(request, uploads).await?;
    let references = request.references().zip(stages);
    let sent = references.map(async |((role, reference), stage)| match stage {
        Stage::Url(url) => Ok((url, PreparedPicture::by_url(role, reference))),
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
    Ok((input, pictures))
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
    if let Some(uri) = inlined(&ready.source, ready.format.mime()).await? {
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
    /// What would be sent, with everything checked and every local picture made fit; nothing is
    /// sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) with everything that is wrong with it.
    pub async fn preview(&self) -> Result<Preview> {
        let (mut input, stages) = stage(self, &Uploads::default()).await?;
        let mut pictures = Vec::new();
        for ((role, reference), stage) in self.references().zip(stages) {
            let (url, picture) = match stage {
                Stage::Url(url) => (url, PreparedPicture::by_url(role, reference)),
                Stage::Found(key, Found::Known(known)) => {
                    let way = Sending::Reused;
                    let picture = PreparedPicture::of_known(role, reference, &key, &known, way);
                    (known.url().to_owned(), picture)
                }
                Stage::Found(_, Found::Ready(ready)) => {
                    let mime = ready.format.mime();
                    let (url, way) = match inlined(&ready.source, mime).await? {
                        Some(uri) => (uri, Sending::Inline),
                        None => (format!("upload:{mime}"), Sending::Upload),
                    };
                    (url, PreparedPicture::of_ready(role, reference, &ready, way))
                }
            };
            input.input_image_urls.push(url);
            pictures.push(picture);
        }
        Ok(Preview { input, pictures })
    }
}
