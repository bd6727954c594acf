//! The first way in: an address that speaks for itself, got against the key.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Piece, Upload, given_url, read_json, refused};
use crate::error::{Operation, Result};
use crate::transport::Transport;
use crate::wire::{extend, plain_request};

/// The CDN reads the first of these, older documentation and the platform the second.
pub(super) const LIFECYCLE: [HeaderName; 2] = [
    HeaderName::from_static("x-fal-object-lifecycle"),
    HeaderName::from_static("x-fal-object-lifecycle-preference"),
];

pub(super) const STORAGE_TYPE: &str = "storage_type=fal-cdn-v3";

/// Where the file goes, and where it will be.
#[derive(Clone)]
pub(super) struct Presigned {
    /// Whoever has it may upload: it is a credential.
    upload_url: Url,
    pub(super) file_url: Url,
}

#[derive(Deserialize)]
struct Initiated {
    upload_url: String,
    file_url: String,
}

impl Presigned {
    fn put(url: &Url, content_type: &HeaderValue, piece: Piece) -> Request<Piece> {
        let mut request = plain_request(Method::PUT, url, piece);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, content_type.clone());
        request
    }

    pub(super) fn part(
        &self,
        number: usize,
        content_type: &HeaderValue,
        piece: Piece,
    ) -> Request<Piece> {
        let url = extend(&self.upload_url, [number.to_string().as_str()]);
        Self::put(&url, content_type, piece)
    }

    pub(super) fn complete(&self, tags: Bytes) -> Request<Bytes> {
        let url = extend(&self.upload_url, ["complete"]);
        let mut request = plain_request(Method::POST, &url, tags);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        request
    }
}

impl Transport {
    /// Asks for an address to upload to.
    pub(super) async fn presign(&self, upload: &Upload, in_parts: bool) -> Result<Presigned> {
        let last = if in_parts {
            "initiate-multipart"
        } else {
            "initiate"
        };
        let mut url = extend(
            self.config().base_urls().rest(),
            ["storage", "upload", last],
        );
        url.set_query(Some(STORAGE_TYPE));
        let content_type = upload.content_type_header();
        let content_type = content_type.to_str().unwrap_or_default();
        let body = json!({ "content_type": content_type, "file_name": upload.file_name });
        let body = Bytes::from(body.to_string());
        let request = || {
            let mut request = self.wire().request(Method::POST, &url, body.clone());
            for name in LIFECYCLE {
                if let Some(lifecycle) = &upload.lifecycle {
                    request.headers_mut().insert(name, lifecycle.clone());
                }
            }
            request
        };
        let reply = self.exchange(Operation::Upload, request).await?;
        if !reply.is_success() {
            return Err(self.refused(reply));
        }
        let initiated: Initiated = read_json(&reply)?;
        Ok(Presigned {
            upload_url: given_url(&reply, &initiated.upload_url)?,
            file_url: given_url(&reply, &initiated.file_url)?,
        })
    }

    /// Sends the file in one request.
    pub(super) async fn send_whole(
        &self,
        presigned: &Presigned,
        upload: &Upload,
    ) -> Result<String> {
        let content_type = upload.content_type_header();
        let request = || Presigned::put(&presigned.upload_url, &content_type, upload.whole());
        let reply = self.send_piece(request).await?;
        if reply.is_success() {
            Ok(presigned.file_url.to_string())
        } else {
            Err(refused(&reply))
        }
    }
}
