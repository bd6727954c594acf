//! Progress of a purchase.

use std::sync::Arc;

use uso::Ticket;
use uso::pictures::PreparedPicture;

use crate::purchase::SavedPicture;

/// A step of a purchase.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The pictures are made fit and uploaded.
    Prepared(Vec<PreparedPicture>),
    /// The submit is recorded and leaves now.
    Sending,
    /// The job is bought; its ticket is recorded.
    Submitted(Box<Ticket>),
    /// The service told of the job.
    Job(uso::Event),
    /// The result has its pictures, and something else about it is odd: its status names an error, or
    /// a part of it cannot be read.
    Warning(String),
    /// A picture is whole on disk.
    Saved(SavedPicture),
    /// The service no longer has a picture that was uploaded earlier, and billed nothing: the picture
    /// is uploaded again and the job is bought anew.
    UploadLost,
    /// The error that decides the outcome: the response to the submit was lost, or the job failed.
    /// The journal keeps its kind and message; the rest is told here alone.
    Failed(Arc<uso::Error>),
}

/// Is told each step.
#[derive(Clone)]
pub(crate) struct Listener(Option<Arc<Tell>>);

type Tell = dyn Fn(&Progress) + Send + Sync;

impl Listener {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn new(tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, progress: &Progress) {
        if let Some(tell) = &self.0 {
            tell(progress);
        }
    }
}
