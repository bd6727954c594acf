//! Expiry and access rules of uploaded files.

use std::time::Duration;

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize};

/// Expiry and access rules of an uploaded file. The account's settings hold for everything that is not
/// set.
///
/// ```
/// use std::time::Duration;
/// # use uso_transport::{Access, Lifecycle};
///
/// let private = Lifecycle::new()
///     .expires_after(Duration::from_secs(24 * 3600))
///     .access(Access::Forbid)
///     .access_of("alice", Access::Allow);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Said to be none, or a number of seconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "said"
    )]
    expiration_duration_seconds: Option<Option<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initial_acl: Option<AccessList>,
}

/// A field that is there: `null` is a value.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct AccessList {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Access>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    user: String,
    decision: Access,
}

/// Access to a file for other readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// The file.
    Allow,
    /// HTTP 403.
    Forbid,
    /// HTTP 404, as if there were no file.
    Hide,
}

impl Lifecycle {
    /// The account's settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Deletes the file after this time, in whole seconds and at least one. It is gone for good
    /// then.
    #[must_use]
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.expiration_duration_seconds = Some(Some(time.as_secs().max(1)));
        self
    }

    /// Keeps the file whatever the account's settings say.
    #[must_use]
    pub fn never_expires(mut self) -> Self {
        self.expiration_duration_seconds = Some(None);
        self
    }

    /// Default access of users without a rule. The owner of the account always has access.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.initial_acl.get_or_insert_default().default = Some(access);
        self
    }

    /// Access of this user of fal. The service drops rules for users that it does not know.
    #[must_use]
    pub fn access_of(mut self, user: impl Into<String>, access: Access) -> Self {
        self.initial_acl.get_or_insert_default().rules.push(Rule {
            user: user.into(),
            decision: access,
        });
        self
    }

    pub(crate) fn expiry(&self) -> Option<Duration> {
        self.expiration_duration_seconds
            .flatten()
            .map(Duration::from_secs)
    }

    /// As the service reads it, or nothing where nothing is said.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if *self == Self::default() {
            return None;
        }
        // A header is ASCII, and JSON has a way to write all else in it.
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut plain = String::with_capacity(text.len());
        for letter in text.chars() {
            if letter.is_ascii() {
                plain.push(letter);
            } else {
                let units = letter.encode_utf16(&mut [0; 2]).to_vec();
                plain.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
        HeaderValue::from_str(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_settings_and_nothing_else() {
        let text = |lifecycle: Lifecycle| {
            let header = lifecycle.header();
            header.map(|header| header.to_str().unwrap().to_owned())
        };
        assert_eq!(text(Lifecycle::new()), None);
        assert_eq!(
            text(Lifecycle::new().expires_after(Duration::from_millis(10))).as_deref(),
            Some(r#"{"expiration_duration_seconds":1}"#)
        );
        assert_eq!(
            text(Lifecycle::new().never_expires()).as_deref(),
            Some(r#"{"expiration_duration_seconds":null}"#)
        );
        assert_eq!(
            text(Lifecycle::new().access_of("bob", Access::Hide)).as_deref(),
            Some(r#"{"initial_acl":{"rules":[{"user":"bob","decision":"hide"}]}}"#)
        );
        let protected = Lifecycle::new()
            .access(Access::Forbid)
            .access_of("alice", Access::Allow);
        assert_eq!(
            text(protected).as_deref(),
            Some(
                r#"{"initial_acl":{"default":"forbid","rules":[{"user":"alice","decision":"allow"}]}}"#
            )
        );
        let odd = text(Lifecycle::new().access_of("a\nü🦀", Access::Hide)).unwrap();
        assert!(odd.contains(r#""a\n\u00fc\ud83e\udd80""#), "{odd}");
    }
}
