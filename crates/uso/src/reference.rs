//! Pictures as a caller holds them.

pub(crate) mod change;
pub(crate) mod container;
pub(crate) mod fit;
pub(crate) mod format;
mod inflate;
pub(crate) mod reading;
mod stream;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::Mutex;
use url::Url;
use uso_transport::{Problem, Source};

use self::reading::LastReading;
use self::stream::{LARGEST_PICTURE, Stream, is_pipe};

/// A reference picture: a path, bytes, a reader, a URL or a data URI.
///
/// A string that starts with `http://` or `https://` is a URL, one that starts with `data:` a data
/// URI, any other a path. The type of a picture is told by its content and not by its name. A URL is
/// passed on as it is, and must be reachable for the service without a key or a cookie; everything
/// else is uploaded before the purchase, or sent with the request when it is tiny.
///
/// Messages name a local picture by its path as it was given. A service that passes messages on to
/// its own callers gives the bytes instead, by [`Reference::bytes`] or under a name by
/// [`Reference::read`].
///
/// A named pipe, such as the `/dev/fd/63` that a shell's `<(command)` stands for, is a path that can
/// be read only once: its content is kept, and clones of the reference share it.
///
/// ```
/// use uso::Reference;
///
/// let path = Reference::from("photo.jpg");
/// let url = Reference::from("https://example.org/photo");
/// let bytes = Reference::from(vec![0x89, b'P', b'N', b'G']);
/// assert_eq!(path.to_string(), "photo.jpg");
/// assert_eq!(bytes.to_string(), "4 bytes");
/// # let _ = url;
/// ```
#[derive(Clone)]
pub struct Reference(Kind);

#[derive(Clone)]
enum Kind {
    Path(Arc<File>),
    Bytes(Bytes, Option<Arc<Path>>),
    Reader(Arc<Mutex<Stream>>),
    Url(String),
    DataUri(String),
}

/// A file, which clones of a reference share.
struct File {
    path: PathBuf,
    last_reading: LastReading,
    /// Used where the path is that of a pipe.
    pipe: Mutex<Stream>,
}

impl Reference {
    /// A file or a named pipe, also when its name looks like a URL.
    ///
    /// Clones share what a reading gave: as long as the file stays the same, the recipe, the
    /// estimate and the upload of a request read the file once in total where that is possible.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self(Kind::Path(Arc::new(File {
            pipe: Mutex::new(Stream::pipe(path.clone())),
            last_reading: LastReading::default(),
            path,
        })))
    }

    /// The picture's own bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Bytes(bytes.into(), None))
    }

    /// The content of a file that the caller has read: messages and the recipe of a request name the
    /// path, and the file is not opened again. For callers that have checked which file they opened.
    pub fn read(path: impl AsRef<Path>, bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Bytes(bytes.into(), Some(Arc::from(path.as_ref()))))
    }

    /// The content of a reader, such as standard input. It is read when it is needed, into memory,
    /// and once: clones of the reference share it.
    ///
    /// ```
    /// use uso::{Reference, Request};
    ///
    /// let picture = Reference::reader(tokio::io::stdin());
    /// let request = Request::restyle(picture, "ink.webp");
    /// ```
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self(Kind::Reader(Arc::new(Mutex::new(Stream::reader(reader)))))
    }

    /// The path of a reference that is a file or a pipe, or was read from a file.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Path(file) => Some(&file.path),
            Kind::Bytes(_, path) => path.as_deref(),
            _ => None,
        }
    }

    /// The path and the last reading of a reference that is a file.
    pub(crate) fn last_reading(&self) -> Option<(&Path, &LastReading)> {
        match &self.0 {
            Kind::Path(file) => Some((&file.path, &file.last_reading)),
            _ => None,
        }
    }

    /// Whether the picture is at a URL, and not local.
    pub(crate) fn is_url(&self) -> bool {
        matches!(self.0, Kind::Url(_))
    }

    /// The URL of a reference that is one, which is passed on; `role` names it in a problem.
    pub(crate) fn url(&self, role: &str) -> Option<Result<String, Problem>> {
        let Kind::Url(url) = &self.0 else { return None };
        let why = match Url::parse(url) {
            Ok(parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
                "the URL carries a user or a password, which the service does not use; leave them out, or give the picture as a file".to_owned()
            }
            Ok(parsed) if parsed.has_host() => return Some(Ok(url.clone())),
            _ => format!("{self} is not a URL"),
        };
        Some(Err(Problem::new(role, why)))
    }

    /// The content of anything but a URL, not larger than a picture may be.
    pub(crate) async fn open(&self, role: &str) -> Result<Source, Problem> {
        let refuse = |why: String| Problem::new(role, why);
        let source = match &self.0 {
            Kind::Path(file) if file.path.as_os_str().is_empty() => {
                let why = "the path is empty; give a path, a URL or a data URI";
                return Err(refuse(why.to_owned()));
            }
            Kind::Path(file) if is_pipe(&file.path).await => {
                let read = file.pipe.lock().await.read().await;
                Source::bytes(read.map_err(|why| refuse(format!("{self} {why}")))?)
            }
            Kind::Path(file) => {
                tracing::trace!(path = %file.path.display(), "opening a picture");
                let source = Source::file(&file.path).await;
                source.map_err(|error| refuse(error.to_string()))?
            }
            Kind::Bytes(bytes, _) => Source::bytes(bytes.clone()),
            Kind::Reader(stream) => {
                let read = stream.lock().await.read().await;
                Source::bytes(read.map_err(|why| refuse(format!("{self} {why}")))?)
            }
            Kind::DataUri(uri) => Source::bytes(decode(uri).map_err(refuse)?),
            Kind::Url(_) => return Err(refuse(format!("{self} is a URL, and is not opened here"))),
        };
        if source.len() > LARGEST_PICTURE {
            let why = format!(
                "{self} is larger than {} MiB, which is as much as is read of a picture; shrink it first",
                LARGEST_PICTURE >> 20
            );
            return Err(refuse(why));
        }
        Ok(source)
    }
}

/// The picture in a data URI.
fn decode(uri: &str) -> Result<Bytes, String> {
    let (header, encoded) = uri.split_once(',').unwrap_or((uri, ""));
    if !(header.starts_with("data:image/") && header.ends_with(";base64") && !encoded.is_empty()) {
        return Err("the data URI does not have the form data:image/…;base64,…".to_owned());
    }
    let decoded = STANDARD.decode(encoded);
    decoded
        .map(Bytes::from)
        .map_err(|_| "the data URI is not valid base64".to_owned())
}

/// A picture as a data URI.
pub(crate) fn inline(bytes: &[u8], mime: &str) -> String {
    let mut uri = format!("data:{mime};base64,");
    STANDARD.encode_string(bytes, &mut uri);
    uri
}

impl From<&str> for Reference {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Reference {
    fn from(text: String) -> Self {
        let starts = |prefix: &str| {
            text.get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if starts("http://") || starts("https://") {
            Self(Kind::Url(text))
        } else if starts("data:") {
            Self(Kind::DataUri(text))
        } else {
            Self::path(text)
        }
    }
}

impl From<&String> for Reference {
    fn from(text: &String) -> Self {
        Self::from(text.clone())
    }
}

impl From<PathBuf> for Reference {
    fn from(path: PathBuf) -> Self {
        Self::path(path)
    }
}

impl From<&Path> for Reference {
    fn from(path: &Path) -> Self {
        Self::path(path)
    }
}

impl From<&PathBuf> for Reference {
    fn from(path: &PathBuf) -> Self {
        Self::path(path)
    }
}

impl From<Vec<u8>> for Reference {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Bytes> for Reference {
    fn from(bytes: Bytes) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Url> for Reference {
    fn from(url: Url) -> Self {
        Self::from(String::from(url))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Path(file) => write!(f, "{}", file.path.display()),
            Kind::Bytes(_, Some(path)) => write!(f, "{}", path.display()),
            Kind::Bytes(bytes, None) => write!(f, "{} bytes", bytes.len()),
            Kind::Reader(_) => f.write_str("the input"),
            Kind::Url(url) => {
                // Without query, fragment, user and password, any of which may be a secret.
                let shown = url.split(['?', '#']).next().unwrap_or_default();
                let (scheme, rest) = shown.split_once("://").unwrap_or(("", shown));
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
                let host = authority.rsplit('@').next().unwrap_or_default();
                write!(f, "{scheme}://{host}{path}")
            }
            Kind::DataUri(uri) => write!(f, "a data URI of {} bytes", uri.len()),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}
