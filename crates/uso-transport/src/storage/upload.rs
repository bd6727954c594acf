//! An upload as its caller holds it, and how far it is.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use url::Url;

use super::direct::Direct;
use super::lifecycle::Lifecycle;
use super::parts::Parts;
use super::piece::Piece;
use super::presigned::Presigned;
use super::source::Source;

/// A file on its way to the service.
///
/// [`Transport::upload`](crate::Transport::upload) sends it. When that fails, the upload keeps the
/// parts that arrived, and the next call sends the others.
///
/// ```no_run
/// use uso_transport::{Config, Source, Transport, Upload};
///
/// # async fn example() -> uso_transport::Result<()> {
/// let transport = Transport::new(Config::from_env()?)?;
/// let source = Source::file("film.mp4").await?;
/// let mut upload = Upload::new(source).content_type("video/mp4").file_name("film.mp4");
/// let uploaded = transport.upload(&mut upload).await?;
/// println!("{}", uploaded.url);
/// # Ok(())
/// # }
/// ```
pub struct Upload {
    pub(super) source: Source,
    content_type: Option<HeaderValue>,
    pub(super) file_name: String,
    pub(super) lifecycle: Option<HeaderValue>,
    pub(super) expires_after: Option<Duration>,
    pub(super) progress: Progress,
    pub(super) session: Option<Session>,
}

/// An upload that has begun on the service's side.
pub(super) struct Session {
    pub(super) way: Way,
    /// The storage was told that all parts are there, and may know no more of the upload.
    pub(super) is_completing: bool,
    /// The tags of the parts that arrived; none for a file that is sent whole.
    pub(super) parts: Option<Parts>,
}

/// How the service takes the file.
#[derive(Clone)]
pub(super) enum Way {
    Presigned(Presigned),
    Direct(Direct),
}

/// A file that the service has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Where it is. Whoever knows the URL may read it, unless its [`Lifecycle`] says otherwise.
    pub url: String,
    /// Its length.
    pub bytes: u64,
    /// When it expires, where the upload said so; otherwise the account's setting holds.
    pub expires_at: Option<SystemTime>,
}

/// How much of a file was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Bytes that were handed to the connection. It goes back when a part is sent again.
    pub sent: u64,
    /// The length of the file.
    pub total: u64,
}

type Told = Arc<dyn Fn(Sent) + Send + Sync>;

/// Counts what was sent, for whoever wants to know.
#[derive(Clone, Default)]
pub(super) struct Progress {
    sent: Arc<Mutex<u64>>,
    total: u64,
    tell: Option<Told>,
}

impl Progress {
    pub(super) fn change(&self, change: impl FnOnce(u64) -> u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        *sent = change(*sent);
        // Told under the lock, so that the last word is the last count.
        if let Some(tell) = &self.tell {
            let (sent, total) = (*sent, self.total);
            tell(Sent { sent, total });
        }
    }
}

impl Upload {
    /// An upload of this source.
    pub fn new(source: Source) -> Self {
        Self {
            progress: Progress {
                total: source.len(),
                ..Progress::default()
            },
            source,
            content_type: None,
            file_name: "file".to_owned(),
            lifecycle: None,
            expires_after: None,
            session: None,
        }
    }

    /// The MIME type that the file is said to be of. What cannot be one is ignored.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> Self {
        self.set_content_type(content_type);
        self
    }

    /// As [`Upload::content_type`], for an upload that is already there.
    pub fn set_content_type(&mut self, content_type: &str) {
        if let Ok(value) = HeaderValue::from_str(content_type) {
            self.content_type = Some(value);
        }
    }

    /// The MIME type, once it is known.
    pub fn known_content_type(&self) -> Option<&str> {
        self.content_type.as_ref()?.to_str().ok()
    }

    /// What is uploaded.
    pub fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn content_type_header(&self) -> HeaderValue {
        let unknown = HeaderValue::from_static("application/octet-stream");
        self.content_type.clone().unwrap_or(unknown)
    }

    /// The name that the service is told, which shows in the URL. Characters other than ASCII
    /// letters, digits, `-`, `_` and `.` are replaced.
    #[must_use]
    pub fn file_name(mut self, name: &str) -> Self {
        let plain = |letter: char| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
            _ => '_',
        };
        let name: String = name.chars().take(100).map(plain).collect();
        if !name.trim_matches('.').is_empty() {
            self.file_name = name;
        }
        self
    }

    /// When the file expires, and who may read it.
    #[must_use]
    pub fn lifecycle(mut self, lifecycle: &Lifecycle) -> Self {
        self.lifecycle = lifecycle.header();
        self.expires_after = lifecycle.expiry();
        self
    }

    /// Tells how much was sent, as it is sent: eight times a mebibyte, from whichever task sends.
    #[must_use]
    pub fn on_progress(mut self, tell: impl Fn(Sent) + Send + Sync + 'static) -> Self {
        self.progress.tell = Some(Arc::new(tell));
        self
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("source", &self.source)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

impl Upload {
    pub(super) fn begin(&mut self, way: Way, in_parts: bool) {
        let parts = in_parts.then(|| Parts::of(self.source.len()));
        self.session = Some(Session {
            way,
            is_completing: false,
            parts,
        });
    }

    pub(super) fn has_parts(&self) -> bool {
        let parts = self
            .session
            .as_ref()
            .and_then(|session| session.parts.as_ref());
        parts.is_some_and(Parts::any_arrived)
    }

    /// The whole file.
    pub(super) fn whole(&self) -> Piece {
        self.source.piece(0..self.source.len(), &self.progress)
    }
}

impl Way {
    pub(super) fn file_url(&self) -> &Url {
        match self {
            Self::Presigned(presigned) => &presigned.file_url,
            Self::Direct(direct) => &direct.access_url,
        }
    }
}
