//! Pictures as a caller holds them.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use url::Url;
use uso_transport::Problem;

/// What the service takes for an image at the most, in bytes.
const LARGEST_PICTURE: u64 = 50 << 20;

/// Formats that the service's image stack is known to read.
const FORMATS: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/// A picture that goes in: a path, bytes, a URL or a data URI.
///
/// A string that starts with `http://`, `https://` or `data:` is what it says, any other is a
/// path. The type of a picture is told by its content and not by its name. A URL must be reachable
/// for the service without a key or a cookie.
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
pub struct Reference(Source);

#[derive(Clone)]
enum Source {
    Path(PathBuf),
    Bytes(Bytes),
    Url(String),
    DataUri(String),
}

impl Reference {
    /// A file, whatever its name looks like.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self(Source::Path(path.into()))
    }

    /// The picture's own bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// What stands on the wire. `role` names the reference in a problem.
    pub(crate) async fn into_wire(self, role: &str) -> Result<String, Problem> {
        let refuse = |why: String| Problem::new(role, why);
        match self.0 {
            Source::Url(url) => match Url::parse(&url) {
                Ok(parsed) if parsed.has_host() => Ok(url),
                _ => Err(refuse(format!("{url:?} is not a URL"))),
            },
            Source::DataUri(uri) => {
                let header = uri.split(',').next().unwrap_or_default();
                let is_image = header.starts_with("data:image/") && header.ends_with(";base64");
                if is_image && uri.len() > header.len() + 1 {
                    Ok(uri)
                } else {
                    let form = "the data URI does not have the form data:image/…;base64,…";
                    Err(refuse(form.to_owned()))
                }
            }
            Source::Bytes(bytes) => {
                inline(&bytes).map_err(|why| refuse(format!("these bytes are {why}")))
            }
            Source::Path(path) => {
                let bytes = read(&path).await.map_err(refuse)?;
                inline(&bytes).map_err(|why| refuse(format!("{} is {why}", path.display())))
            }
        }
    }

    /// Width and height as the picture's header has them; `None` where only the service sees it.
    pub(crate) async fn dimensions(&self, role: &str) -> Result<Option<(u32, u32)>, Problem> {
        let bytes = match &self.0 {
            Source::Url(_) => return Ok(None),
            Source::DataUri(uri) => {
                let encoded = uri.split_once(',').map_or("", |(_, encoded)| encoded);
                let damaged = |_| Problem::new(role, "the data URI is not valid base64");
                Bytes::from(STANDARD.decode(encoded).map_err(damaged)?)
            }
            Source::Bytes(bytes) => bytes.clone(),
            Source::Path(path) => {
                Bytes::from(read(path).await.map_err(|why| Problem::new(role, why))?)
            }
        };
        let refuse = |why: String| Problem::new(role, format!("{self} is {why}"));
        format_of(&bytes).map_err(refuse)?;
        let damaged = |_| refuse("damaged: its size cannot be read".to_owned());
        let size = imagesize::blob_size(&bytes).map_err(damaged)?;
        Ok(u32::try_from(size.width)
            .ok()
            .zip(u32::try_from(size.height).ok()))
    }
}

/// Reads a file, as far as the service would take it.
async fn read(path: &Path) -> Result<Vec<u8>, String> {
    if path.as_os_str().is_empty() {
        return Err("it is empty; give a path, a URL or a data URI".to_owned());
    }
    let shown = path.display();
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("{shown} does not exist"));
        }
        Err(error) => return Err(format!("{shown} cannot be opened: {error}")),
    };
    let mut bytes = Vec::new();
    let read = file.take(LARGEST_PICTURE + 1).read_to_end(&mut bytes).await;
    read.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    Ok(bytes)
}

/// A local picture as a data URI; `Err` continues the phrase "it is …".
fn inline(bytes: &[u8]) -> Result<String, String> {
    let mut uri = format!("data:{};base64,", format_of(bytes)?);
    STANDARD.encode_string(bytes, &mut uri);
    Ok(uri)
}

/// The MIME type of a picture that the service takes; `Err` continues the phrase "it is …".
fn format_of(bytes: &[u8]) -> Result<&'static str, String> {
    if bytes.is_empty() {
        return Err("empty".to_owned());
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST_PICTURE) {
        return Err(format!(
            "larger than the {} MiB that the service takes",
            LARGEST_PICTURE >> 20
        ));
    }
    let formats = "use JPEG, PNG, WebP or GIF";
    match infer::get(bytes) {
        Some(kind) if FORMATS.contains(&kind.mime_type()) => Ok(kind.mime_type()),
        Some(kind) => Err(format!("of type {}; {formats}", kind.mime_type())),
        None => Err(format!("not a picture; {formats}")),
    }
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
            Self(Source::Url(text))
        } else if starts("data:") {
            Self(Source::DataUri(text))
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
            Source::Path(path) => write!(f, "{}", path.display()),
            Source::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Source::Url(url) => f.write_str(url.split('?').next().unwrap_or_default()),
            Source::DataUri(uri) => write!(f, "a data URI of {} bytes", uri.len()),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}
