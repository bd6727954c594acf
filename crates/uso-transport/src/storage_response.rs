//! Responses of the storage: what each carries, and the errors they stand for.

use http::header;
use url::Url;

use crate::confidential::is_confidential;
use crate::error::{Error, Result};
use crate::kind::{Delivery, ErrorKind, Operation};
use crate::response::Response;
use crate::sanitize::json_problem;

/// A response of the storage; one outside 2xx is the error that it stands for.
pub(crate) fn accepted(response: Response) -> Result<Response> {
    match response.is_success() {
        true => Ok(response),
        false => Err(refused(&response)),
    }
}

/// The error that a response of the storage stands for. It says nothing about the key, which the storage
/// never sees.
pub(crate) fn refused(response: &Response) -> Error {
    let what = format!(
        "the storage refused the upload with HTTP {}",
        response.status
    );
    let (kind, message) = match response.status {
        413 => (
            ErrorKind::Input,
            format!("{what}: the file is larger than it takes"),
        ),
        429 => (ErrorKind::Throttled, what),
        400..=499 => (
            ErrorKind::Server,
            format!("{what}; its address may have expired"),
        ),
        _ => (ErrorKind::Server, what),
    };
    Error::new(Operation::Upload, kind, message)
        .with_response(response.status, response.request_id())
        .with_attempts(response.attempts, response.elapsed)
}

/// A response of the storage as JSON.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(response: &Response) -> Result<T> {
    serde_json::from_slice(&response.body).map_err(|error| {
        let why = json_problem(&error);
        malformed(
            response,
            &format!("the storage's response is of no use: {why}"),
        )
    })
}

pub(crate) fn malformed(response: &Response, message: &str) -> Error {
    // Without the body: it holds a token or an address that is one, and nothing was bought.
    Error::new(Operation::Upload, ErrorKind::Malformed, message)
        .with_response(response.status, response.request_id())
        .with_delivery(Delivery::Answered)
}

/// An address that the service gave; the picture is sent to none that others could listen to.
pub(crate) fn given_url(response: &Response, text: &str) -> Result<Url> {
    match Url::parse(text) {
        Ok(url)
            if is_confidential(&url) && url.username().is_empty() && url.password().is_none() =>
        {
            Ok(url)
        }
        _ => Err(malformed(
            response,
            "the storage's response names an address that is not https",
        )),
    }
}

/// The tag of a part: in the response's header, or in its body.
pub(crate) fn tag(response: &Response) -> Result<String> {
    let in_header = response
        .headers
        .get(header::ETAG)
        .and_then(|value| value.to_str().ok());
    if let Some(tag) = in_header {
        return Ok(tag.to_owned());
    }
    #[derive(serde::Deserialize)]
    struct Body {
        etag: String,
    }
    Ok(read_json::<Body>(response)?.etag)
}
