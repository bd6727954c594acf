//! CORS: the origins of pages that may call, and the headers for their browsers.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;
use uso_transport::{Error, ErrorKind, Operation, Result};

use crate::headers::{is_known, single};
use crate::refusal::Refusal;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");

/// Response headers that a page's script may read, besides the content type.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "retry-after, x-fal-billable-units, x-fal-error-type, x-fal-needs-retry, x-fal-request-id, \
     x-fal-request-timeout-type, x-fal-retryable, x-fal-runner-hints, x-fal-served-from",
);

/// Seconds for which a browser may keep the response to a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

const VARIES: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-headers, access-control-request-method, x-fal-target-url",
);

/// The pages that may call, by their exact origins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Adds an origin such as `https://app.example`.
    pub(crate) fn allow(&mut self, text: &str) -> Result<()> {
        let refuse = |why: &str| {
            Error::new(
                Operation::Configure,
                ErrorKind::Config,
                format!("the origin {text:?} {why}"),
            )
            .with_hint("give each origin as https://host or https://host:port, as browsers name it")
        };
        if text == "*" || text == "null" {
            return Err(refuse("would let any page use the key"));
        }
        let url = Url::parse(text).map_err(|_| refuse("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("is neither http nor https"));
        }
        let origin = url.origin().ascii_serialization();
        if url.as_str().strip_suffix('/') != Some(origin.as_str()) {
            return Err(refuse("is more than scheme, host and port"));
        }
        let origin = HeaderValue::try_from(origin).map_err(|_| refuse("is not ASCII"))?;
        if !self.0.contains(&origin) {
            self.0.push(origin);
        }
        Ok(())
    }

    /// The origin of the page that sent a request; `None` for a request without an origin, which
    /// browsers send for a GET of their own origin, and programs always.
    fn of(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
        if !headers.contains_key(ORIGIN) {
            return Ok(None);
        }
        match single(headers, &ORIGIN) {
            Some(origin) if self.0.contains(origin) => Ok(Some(origin.clone())),
            _ => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "Forbidden: this origin is not allowed; the proxy's operator can allow it",
            )),
        }
    }
}

/// Refuses foreign origins with 403, responds to preflights, and lets the page read any other
/// response.
pub(crate) async fn guard(
    origins: &Origins,
    parts: &Parts,
    responding: impl Future<Output = Response>,
) -> Response {
    let (mut response, origin) = match origins.of(&parts.headers) {
        Err(refusal) => (refusal.into_response(), None),
        Ok(origin) => {
            let response = match preflight(&parts.method, &parts.headers) {
                Some(response) => response,
                None => responding.await,
            };
            (response, origin)
        }
    };
    allow(&mut response, origin);
    response
}

/// The response to a preflight; `None` for any other request.
fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response> {
    if *method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let asked = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let asked = asked.filter_map(|value| value.to_str().ok());
    let granted: Vec<&str> = asked
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| {
            HeaderName::try_from(*name).is_ok_and(|name| is_known(&name) || name == AUTHORIZATION)
        })
        .collect();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Ok(granted) = HeaderValue::try_from(granted.join(", ")) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, granted);
    }
    Some(response)
}

/// Lets the page read the response, whatever its status.
fn allow(response: &mut Response, origin: Option<HeaderValue>) {
    let headers = response.headers_mut();
    headers.insert(VARY, VARIES);
    let Some(origin) = origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_accepted_as_browsers_write_it() {
        let mut origins = Origins::default();
        for good in [
            "https://app.example",
            "http://localhost:5173",
            "https://App.Example:443/",
        ] {
            origins.allow(good).unwrap();
        }
        assert_eq!(origins.0, ["https://app.example", "http://localhost:5173"]);
        for wrong in [
            "*",
            "null",
            "app.example",
            "https://app.example/path",
            "https://u:p@app.example",
            "https://app.example?q",
            "ftp://app.example",
            "",
        ] {
            assert!(origins.allow(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_look_alike_is_another_origin() {
        let mut origins = Origins::default();
        origins.allow("https://app.example").unwrap();
        let of = |value: &'static str| {
            let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(value))]);
            origins.of(&headers)
        };
        assert!(matches!(of("https://app.example"), Ok(Some(_))));
        for other in [
            "http://app.example",
            "https://app.example.evil.example",
            "https://app.example:8443",
            "https://APP.example",
            "null",
            "",
        ] {
            assert!(of(other).is_err(), "{other}");
        }
        assert!(matches!(origins.of(&HeaderMap::new()), Ok(None)));
    }
}
