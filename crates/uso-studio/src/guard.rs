//! Guard of every request, before routing: host, origin, token, and the headers of the response.
//!
//! A page that can spend is a target, and loopback is no boundary: any page in the same browser can
//! send requests to it. So the host must be one of the studio's own names, a change must come from
//! the studio's own page and prove that with a header, and a read needs the cookie.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::access::Access;
use crate::hosts::Hosts;
use crate::refusal::Refusal;

/// Path of the exchange of the token for a cookie.
pub(crate) const SESSION: &str = "/api/session";

const API: &str = "/api/";

/// Nothing but the studio's own files, no inline script or style, no frame around it, and no text
/// that becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; manifest-src 'none'; form-action 'none'; \
    base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What the guard decides by.
pub(crate) struct Guard {
    pub(crate) hosts: Hosts,
    pub(crate) access: Access,
}

/// Lets a request through that may be made, and protects every response.
pub(crate) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match guard.check(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => refusal.into_response(),
    };
    protect(response.headers_mut());
    response
}

impl Guard {
    fn check(&self, parts: &Parts) -> Result<(), Refusal> {
        let Some(host) = self.hosts.of(parts) else {
            let message = "the request names a host that is not this studio's";
            return Err(
                Refusal::new(StatusCode::MISDIRECTED_REQUEST, "host", message)
                    .with_hint("open the printed address, or start uso studio with --allow-host"),
            );
        };
        let changes = match parts.method {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => {
                let message = "the studio takes GET and POST only";
                return Err(Refusal::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method",
                    message,
                ));
            }
        };
        let path = parts.uri.path();
        let is_ours = host.is_origin_of(&parts.headers);
        let has_origin = parts.headers.contains_key(ORIGIN);
        let site = parts.headers.get("sec-fetch-site");
        let is_foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
        let is_refused = match changes {
            true => !is_ours || is_foreign,
            false => (has_origin && !is_ours) || (is_foreign && path.starts_with(API)),
        };
        if is_refused {
            let message = "the request does not come from the studio's own page";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "origin", message));
        }
        let may = match (changes, path) {
            (true, SESSION) => self.access.has_token(&parts.headers),
            (true, _) => self.access.may_change(&parts.headers),
            // The page's own files are no secret, and ask for the token.
            (false, path) if path.starts_with(API) => self.access.may_read(&parts.headers),
            (false, _) => true,
        };
        match may {
            true => Ok(()),
            false => Err(Refusal::unauthorized()),
        }
    }
}

fn protect(headers: &mut HeaderMap) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
