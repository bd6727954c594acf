//! Webhook of one purchase: the URL that the service notifies when the job ends.
//!
//! fal has no idempotency key and no id that a client may choose. But it calls the URL that a
//! submit names, so an unguessable URL serves as one: a notification sent to it proves that the
//! submit was accepted, and carries the request id.

use std::fmt;

use rustls::crypto::ring::default_provider;
use url::Url;

use crate::confidential::is_confidential;
use crate::error::{Error, Result};
use crate::intent::AttemptDigest;
use crate::kind::{ErrorKind, Operation};
use crate::problem::Problem;
use crate::sanitize::hex;

/// Address at which the end of one purchase is announced: the URL that was given, and a last segment
/// that cannot be guessed, the attempt id of 128 random bits. The receiver must accept any path below
/// its own. A query stays, a fragment is dropped.
///
/// Another account that knows the whole URL can have its own request announced there, so `Debug`
/// shows nothing, and no error or log line quotes it.
///
/// ```
/// # use uso_transport::Webhook;
/// assert!(Webhook::new("https://example.org/hook").is_ok());
/// assert!(Webhook::new("http://127.0.0.1:7701/").is_ok());
/// let error = Webhook::new("http://example.org/hook").unwrap_err();
/// assert_eq!(error.problems()[0].path, "webhook");
/// ```
#[derive(Clone)]
pub struct Webhook {
    url: Url,
    attempt: AttemptDigest,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook(…)")
    }
}

impl Webhook {
    /// An address of its own under this one, for one purchase.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the URL is neither `https` nor `http` to this machine, or carries
    /// a user or a password.
    pub fn new(address: &str) -> Result<Self> {
        Self::below(parse(address)?)
    }

    /// Another address under the same one, for another purchase.
    pub(crate) fn again(&self) -> Result<Self> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop();
        }
        Self::below(url)
    }

    fn below(mut url: Url) -> Result<Self> {
        let mut random = [0; 16];
        default_provider()
            .secure_random
            .fill(&mut random)
            .map_err(|_| {
                let message = "the system has no randomness for the address of the webhook";
                Error::new(Operation::Prepare, ErrorKind::Config, message)
            })?;
        let id = hex(&random);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&id);
        }
        let attempt = AttemptDigest::of(&id);
        Ok(Self { url, attempt })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn attempt(&self) -> &AttemptDigest {
        &self.attempt
    }
}

/// An address that fal may be told: `https`, or `http` where it cannot leave the machine.
fn parse(address: &str) -> Result<Url> {
    // The address may be a secret of its own, and is not quoted.
    let refuse = |why: &str| Error::invalid(vec![Problem::new("webhook", why)]);
    let mut url = Url::parse(address.trim())
        .map_err(|_| refuse("the URL cannot be read; give it as https://host/path"))?;
    if !is_confidential(&url) {
        return Err(refuse(match url.scheme() {
            "http" => {
                "http is for this machine only, since the result would travel in clear text; use https"
            }
            _ => "the URL is neither https nor http",
        }));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "the URL must not carry a user or a password; leave them out, since every delivery is signed",
        ));
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempt_is_the_last_segment_and_the_rest_stays() {
        for (given, start, end) in [
            ("https://h.example", "https://h.example/", ""),
            ("https://h.example/hook/", "https://h.example/hook/", ""),
            (
                "https://h.example/hook?a=b#c",
                "https://h.example/hook/",
                "?a=b",
            ),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x/", ""),
        ] {
            let made = Webhook::new(given).unwrap();
            let id = made.url().as_str().strip_prefix(start).unwrap();
            let id = id.strip_suffix(end).unwrap();
            assert_eq!(id.len(), 32, "{given}");
            assert_eq!(AttemptDigest::of(id), *made.attempt(), "{given}");
            assert_ne!(Webhook::new(given).unwrap().attempt(), made.attempt());
            assert!(!format!("{made:?}").contains(id));
        }
    }

    #[test]
    fn an_address_that_would_give_the_result_away_is_refused_unquoted() {
        for address in [
            "http://hook.example/secret",
            "https://user@hook.example/secret",
            "https://:pass@hook.example/secret",
            "ftp://127.0.0.1/secret",
            "data:,secret",
            "/secret",
            "",
        ] {
            let error = Webhook::new(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{address}");
            assert_eq!(error.problems()[0].path, "webhook");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
