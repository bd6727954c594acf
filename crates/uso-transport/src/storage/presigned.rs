//! Presigned upload: the first way in, a URL that is a credential by itself.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde::Deserialize;
use url::Url;

use super::description::Description;
use super::piece::Piece;
use crate::error::Result;
use crate::requests::{Request, extend, plain_request};
use crate::response::Response;
use crate::storage_response::{given_url, read_json};

/// Where the file goes, and where it will be.
#[derive(Clone)]
pub(super) struct Presigned {
    /// The URL is a credential: its holder may upload.
    upload_url: Url,
    pub(super) file_url: Url,
}

#[derive(Deserialize)]
struct Initiated {
    upload_url: String,
    file_url: String,
}

impl Presigned {
    pub(super) fn read(response: &Response) -> Result<Self> {
        let initiated: Initiated = read_json(response)?;
        Ok(Self {
            upload_url: given_url(response, &initiated.upload_url)?,
            file_url: given_url(response, &initiated.file_url)?,
        })
    }

    fn put(url: Url, description: &Description, piece: Piece) -> Request<Piece> {
        let mut request = plain_request(Method::PUT, url, piece);
        description.insert_content_type(&mut request.headers);
        request
    }

    pub(super) fn whole(&self, description: &Description, piece: Piece) -> Request<Piece> {
        Self::put(self.upload_url.clone(), description, piece)
    }

    pub(super) fn part(
        &self,
        number: usize,
        description: &Description,
        piece: Piece,
    ) -> Request<Piece> {
        let url = extend(&self.upload_url, [number.to_string().as_str()]);
        Self::put(url, description, piece)
    }

    pub(super) fn complete(&self, tags: Bytes) -> Request<Bytes> {
        let url = extend(&self.upload_url, ["complete"]);
        let mut request = plain_request(Method::POST, url, tags);
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(CONTENT_TYPE, json);
        request
    }
}
