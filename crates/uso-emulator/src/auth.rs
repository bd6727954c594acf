//! Authentication with `Authorization: Key <id>:<secret>`.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::server::respond::{self, Response, detail};
use crate::settings::Settings;

/// Why a caller was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    NoKey,
    WrongForm,
    UnknownKey,
}

pub(crate) fn check(settings: &Settings, headers: &HeaderMap) -> Result<(), Denied> {
    let Some(given) = respond::text(headers, AUTHORIZATION.as_str()) else {
        return if settings.allow_anonymous {
            Ok(())
        } else {
            Err(Denied::NoKey)
        };
    };
    let key = given
        .strip_prefix("Key ")
        .map(str::trim)
        .ok_or(Denied::WrongForm)?;
    match key.split_once(':') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {}
        _ => return Err(Denied::WrongForm),
    }
    if settings.keys.is_empty() || settings.keys.iter().any(|known| known == key) {
        Ok(())
    } else {
        Err(Denied::UnknownKey)
    }
}

impl Denied {
    /// On submit and run.
    pub(crate) fn by_app(self, app: &str) -> Response {
        match self {
            Self::NoKey => detail(
                401,
                &format!(
                    "Cannot access application \"{app}\". Authentication is required to access \
                     this application."
                ),
            ),
            Self::WrongForm => detail(
                401,
                "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'.",
            ),
            Self::UnknownKey => detail(401, "No user found for Key ID and Secret"),
        }
    }

    /// On status, stream, result and cancel.
    pub(crate) fn by_queue(self, app: &str) -> Response {
        match self {
            Self::UnknownKey => detail(401, "invalid key credentials"),
            Self::NoKey | Self::WrongForm => self.by_app(app),
        }
    }

    /// On the Platform API, which has its own envelope.
    pub(crate) fn by_platform(self) -> Response {
        let text = "Authentication with a key is required";
        respond::platform_api_error(401, "authorization_error", text)
    }
}
