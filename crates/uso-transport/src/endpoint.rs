//! Endpoint ids, and which part of them goes into which URL.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Namespaces that stand before the owner.
const NAMESPACES: [&str; 2] = ["workflows", "comfy"];

/// The id of an endpoint: `[namespace/]owner/alias[/path]`, such as `fal-ai/uso`.
///
/// ```
/// # use uso_transport::EndpointId;
/// let id: EndpointId = "fal-ai/flux/dev".parse()?;
/// assert_eq!(id.as_str(), "fal-ai/flux/dev");
/// // Status, result and cancel leave the path after the alias out.
/// assert_eq!(id.app(), "fal-ai/flux");
/// assert!("fal-ai/../uso".parse::<EndpointId>().is_err());
/// # Ok::<(), uso_transport::InvalidEndpointId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(String);

/// A string that is not an endpoint id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an endpoint id of the form owner/alias")]
pub struct InvalidEndpointId(String);

impl EndpointId {
    /// The endpoint of this project, `fal-ai/uso`, as its schema names it.
    pub fn uso() -> Self {
        Self(uso_types::ENDPOINT_ID.to_owned())
    }

    /// The whole id: the path of submit and run.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `[namespace/]owner/alias`: the path of status, result and cancel.
    pub fn app(&self) -> &str {
        let kept = if self.starts_with_namespace() { 3 } else { 2 };
        match self.0.match_indices('/').nth(kept - 1) {
            Some((end, _)) => self.0.get(..end).unwrap_or(&self.0),
            None => &self.0,
        }
    }

    fn starts_with_namespace(&self) -> bool {
        self.0
            .split('/')
            .next()
            .is_some_and(|first| NAMESPACES.contains(&first))
    }
}

impl FromStr for EndpointId {
    type Err = InvalidEndpointId;

    fn from_str(text: &str) -> Result<Self, InvalidEndpointId> {
        let id = Self(text.to_owned());
        let least = if id.starts_with_namespace() { 3 } else { 2 };
        let segments_are_safe = text.split('/').all(|segment| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
        });
        if segments_are_safe && text.split('/').count() >= least {
            Ok(id)
        } else {
            Err(InvalidEndpointId(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for EndpointId {
    type Error = InvalidEndpointId;

    fn try_from(text: String) -> Result<Self, InvalidEndpointId> {
        text.parse()
    }
}

impl From<EndpointId> for String {
    fn from(id: EndpointId) -> Self {
        id.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_owner_and_alias_behind_a_namespace() {
        let app = |id: &str| id.parse::<EndpointId>().unwrap().app().to_owned();
        assert_eq!(app("fal-ai/uso"), "fal-ai/uso");
        assert_eq!(app("fal-ai/flux/dev/image-to-image"), "fal-ai/flux");
        assert_eq!(app("workflows/me/mine/step"), "workflows/me/mine");
        assert_eq!(app("comfy/me/mine"), "comfy/me/mine");
    }

    #[test]
    fn segments_that_could_leave_the_path_are_refused() {
        for id in [
            "",
            "uso",
            "fal-ai/",
            "/uso",
            "a//b",
            "a/..",
            "a/b?c",
            "a/b#c",
            "a/b%2f",
            "workflows/me",
        ] {
            assert!(id.parse::<EndpointId>().is_err(), "{id}");
        }
    }
}
