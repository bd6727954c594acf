//! Direct upload: the second way in, the CDN itself with a token. The key is never sent there.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method};
use serde::Deserialize;
use url::Url;

use super::description::Description;
use super::piece::Piece;
use crate::cdn_token::Token;
use crate::error::Result;
use crate::requests::{Request, extend};
use crate::response::Response;
use crate::storage_response::{given_url, malformed, read_json};

const FILE_NAME: HeaderName = HeaderName::from_static("x-fal-file-name");

/// An upload in parts that the CDN knows.
#[derive(Clone)]
pub(super) struct Direct {
    pub(super) access_url: Url,
    upload_id: String,
}

/// What the CDN says of a file that it took.
#[derive(Deserialize)]
struct Accepted {
    access_url: String,
    #[serde(default, rename = "uploadId")]
    upload_id: Option<String>,
}

/// The request that announces a new file, whole or in parts.
pub(super) fn begin<B>(
    token: &Token,
    description: &Description,
    path: &[&str],
    body: B,
) -> Request<B> {
    let url = extend(&token.base_url, path.iter().copied());
    let mut request = token.request(Method::POST, url, body);
    let headers = &mut request.headers;
    description.insert_content_type(headers);
    if let Ok(name) = HeaderValue::from_str(&description.file_name) {
        headers.insert(FILE_NAME, name);
    }
    description.insert_lifecycle(headers);
    request
}

/// The URL of a file that the CDN took whole.
pub(super) fn accepted_url(response: &Response) -> Result<Url> {
    let accepted: Accepted = read_json(response)?;
    given_url(response, &accepted.access_url)
}

impl Direct {
    pub(super) fn read(response: &Response) -> Result<Self> {
        let accepted: Accepted = read_json(response)?;
        let Some(upload_id) = accepted.upload_id.filter(|id| !id.is_empty()) else {
            return Err(malformed(
                response,
                "the storage's response names no upload",
            ));
        };
        Ok(Self {
            access_url: given_url(response, &accepted.access_url)?,
            upload_id,
        })
    }

    fn url(&self, last: &str) -> Url {
        extend(&self.access_url, ["multipart", &self.upload_id, last])
    }

    pub(super) fn part(
        &self,
        token: &Token,
        number: usize,
        description: &Description,
        piece: Piece,
    ) -> Request<Piece> {
        let mut request = token.request(Method::PUT, self.url(&number.to_string()), piece);
        let headers = &mut request.headers;
        description.insert_content_type(headers);
        // A compressed response would lose its tag.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request
    }

    pub(super) fn complete(&self, token: &Token, tags: Bytes) -> Request<Bytes> {
        let mut request = token.request(Method::POST, self.url("complete"), tags);
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(CONTENT_TYPE, json);
        request
    }
}
