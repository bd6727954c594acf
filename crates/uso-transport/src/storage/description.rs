//! Description of a file that is uploaded: type, name and lifecycle.

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};

/// The CDN reads the first of these, older documentation and the platform the second.
const LIFECYCLE: [HeaderName; 2] = [
    HeaderName::from_static("x-fal-object-lifecycle"),
    HeaderName::from_static("x-fal-object-lifecycle-preference"),
];

/// What the storage is told of a file.
#[derive(Clone)]
pub(super) struct Description {
    pub(super) content_type: Option<HeaderValue>,
    pub(super) file_name: String,
    pub(super) lifecycle: Option<HeaderValue>,
}

impl Default for Description {
    fn default() -> Self {
        Self {
            content_type: None,
            file_name: "file".to_owned(),
            lifecycle: None,
        }
    }
}

impl Description {
    pub(super) fn content_type(&self) -> HeaderValue {
        let unknown = HeaderValue::from_static("application/octet-stream");
        self.content_type.clone().unwrap_or(unknown)
    }

    pub(super) fn insert_content_type(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, self.content_type());
    }

    pub(super) fn insert_lifecycle(&self, headers: &mut HeaderMap) {
        for name in LIFECYCLE {
            if let Some(lifecycle) = &self.lifecycle {
                headers.insert(name, lifecycle.clone());
            }
        }
    }
}
