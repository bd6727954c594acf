//! Row of a batch.

use uso::Request;

use crate::target::Target;

/// A purchase of a batch: its key, its request, and where its pictures go.
#[derive(Clone, Debug)]
pub struct BatchRow {
    pub(crate) key: String,
    pub(crate) request: Request,
    pub(crate) target: Option<Target>,
}

impl BatchRow {
    /// A row whose pictures go where the batch has them.
    pub fn new(key: impl Into<String>, request: impl Into<Request>) -> Self {
        Self {
            key: key.into(),
            request: request.into(),
            target: None,
        }
    }

    /// Saves the pictures there.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }
}

impl<K: Into<String>, R: Into<Request>> From<(K, R)> for BatchRow {
    fn from((key, request): (K, R)) -> Self {
        Self::new(key, request)
    }
}
