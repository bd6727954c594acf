//! Problem of a request.

use std::fmt;

use serde::Serialize;

/// Problem of a request, as our own check or the service's 422 names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The field, such as `num_images` or `input_image_urls[0]`; empty when it is the whole input.
    pub path: String,
    /// Description for people.
    pub message: String,
    /// The machine's category, such as `image_too_large`; empty when there is none.
    pub category: String,
    /// The limits that the service named, such as `max_width` and `2048`.
    pub limits: Vec<(String, String)>,
}

impl Problem {
    /// A problem that our own check found.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            category: String::new(),
            limits: Vec::new(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        for (position, (name, value)) in self.limits.iter().enumerate() {
            let separator = if position == 0 { " (" } else { ", " };
            write!(f, "{separator}{name} {value}")?;
        }
        if !self.limits.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// The problems as one fragment; `otherwise` where there is none.
pub(crate) fn sentence(problems: &[Problem], otherwise: &str) -> String {
    if problems.is_empty() {
        return otherwise.to_owned();
    }
    let parts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    parts.join("; ")
}
