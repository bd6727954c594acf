//! Upload: a file on its way to the service, as its caller holds it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::description::Description;
use super::parts::Parts;
use super::piece::Piece;
use super::progress::{Progress, Sent};
use super::source::Source;
use super::way::Way;
use crate::lifecycle::Lifecycle;

/// A file on its way to the service.
///
/// [`Transport::upload`](crate::Transport::upload) sends it. When that fails, the upload keeps the
/// parts that arrived, and the next call sends the others.
///
/// ```no_run
/// # use uso_transport::{Source, Upload};
/// # async fn example() -> uso_transport::Result<()> {
/// let source = Source::file("film.mp4").await?;
/// let upload = Upload::new(source).content_type("video/mp4").file_name("film.mp4");
/// # Ok(())
/// # }
/// ```
pub struct Upload {
    pub(super) source: Source,
    pub(super) description: Arc<Description>,
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

/// A file that the service has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The URL of the file. A reader needs no more than the URL, unless the [`Lifecycle`] says otherwise.
    pub url: String,
    /// Its length.
    pub bytes: u64,
    /// Time of its expiry, where the upload said so; otherwise the account's setting holds.
    pub expires_at: Option<SystemTime>,
}

impl Upload {
    /// An upload of this source.
    pub fn new(source: Source) -> Self {
        Self {
            progress: Progress::of(source.len()),
            source,
            description: Arc::default(),
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
            self.describe(|description| description.content_type = Some(value));
        }
    }

    /// The MIME type, once it is known.
    pub fn known_content_type(&self) -> Option<&str> {
        self.description.content_type.as_ref()?.to_str().ok()
    }

    fn describe(&mut self, change: impl FnOnce(&mut Description)) {
        change(Arc::make_mut(&mut self.description));
    }

    /// The name under which the file is uploaded.
    pub fn known_file_name(&self) -> &str {
        &self.description.file_name
    }

    /// Source of the upload.
    pub fn source(&self) -> &Source {
        &self.source
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
            self.describe(|description| description.file_name = name);
        }
        self
    }

    /// Sets the expiry of the file, and who may read it.
    #[must_use]
    pub fn lifecycle(mut self, lifecycle: &Lifecycle) -> Self {
        self.describe(|description| description.lifecycle = lifecycle.header());
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
            .field("content_type", &self.description.content_type)
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
