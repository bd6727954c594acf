//! Credentials of the CDN: owner tokens, and links to single files.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::clock::Moment;
use crate::lock::lock;
use crate::random::secret;
use crate::server::respond;

#[derive(Default)]
pub(crate) struct Tokens(Mutex<Issued>);

#[derive(Default)]
struct Issued {
    tokens: VecDeque<(String, Moment)>,
    links: VecDeque<Link>,
}

struct Link {
    secret: String,
    path: String,
    expires: Moment,
}

impl Tokens {
    /// The longest that one lives.
    pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 86_400);
    /// Credentials that are remembered; older ones are unknown again.
    const KEPT: usize = 1_000;

    pub(super) fn issue(&self, expires: Moment) -> String {
        let token = secret();
        let tokens = &mut lock(&self.0).tokens;
        tokens.push_back((token.clone(), expires));
        tokens.drain(..tokens.len().saturating_sub(Self::KEPT));
        token
    }

    pub(super) fn knows(&self, token: &str, now: Moment) -> bool {
        let issued = lock(&self.0);
        let mut tokens = issued.tokens.iter();
        tokens.any(|(known, expires)| known == token && now < *expires)
    }

    /// Takes the token of a request for expired from now on.
    pub(crate) fn expire(&self, headers: &HeaderMap) {
        if let Some(token) = bearer(headers) {
            lock(&self.0).tokens.retain(|(known, _)| known != token);
        }
    }

    pub(super) fn sign(&self, path: &str, expires: Moment) -> String {
        let link = Link {
            secret: secret(),
            path: path.to_owned(),
            expires,
        };
        let text = link.secret.clone();
        let links = &mut lock(&self.0).links;
        links.push_back(link);
        links.drain(..links.len().saturating_sub(Self::KEPT));
        text
    }

    pub(super) fn opens(&self, secret: &str, path: &str, now: Moment) -> bool {
        let issued = lock(&self.0);
        let mut links = issued.links.iter();
        links.any(|link| link.secret == secret && link.path == path && now < link.expires)
    }
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    respond::text(headers, AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
}
