//! Faults of bodies: endless, cut, or not as declared.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderValue};
use http::response::Parts;
use http::{HeaderMap, StatusCode, Version};
use hyper::body::Frame;

use super::Fault;
use super::streams::LEAVING;
use crate::server::respond::{self, Body, Response, full};

const CHUNK: usize = 64 << 10;

/// Bodies that do not depend on the real one.
pub(super) fn endless(fault: &Fault, headers: &mut HeaderMap) -> Option<Body> {
    match fault {
        Fault::HugeBody(length) => {
            headers.insert(CONTENT_LENGTH, (*length).into());
            Some(blanks(*length))
        }
        Fault::EndlessBody => Some(blanks(u64::MAX)),
        Fault::GzipBomb => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Some(bomb())
        }
        _ => None,
    }
}

/// Blanks are valid JSON so far, so that a parser has no reason to stop.
fn blanks(length: u64) -> Body {
    let chunk = Bytes::from(vec![b' '; CHUNK]);
    respond::stream(stream::unfold(length, move |left| {
        let mut next = chunk.clone();
        next.truncate(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK));
        let rest = left - next.len() as u64;
        async move { (left > 0).then(|| (Ok(Frame::data(next)), rest)) }
    }))
}

/// Members of a gzip file can simply follow each other: a thousand times ten mebibytes.
fn bomb() -> Body {
    const MEMBER: usize = 10 << 20;
    const MEMBERS: usize = 1000;
    // Made once: compressing takes so long that a client's deadline may pass over it.
    static PACKED: OnceLock<Bytes> = OnceLock::new();
    let member = PACKED.get_or_init(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing into memory does not fail.
        let _ = encoder.write_all(&vec![b' '; MEMBER]);
        Bytes::from(encoder.finish().unwrap_or_default())
    });
    let member = member.clone();
    respond::stream(stream::repeat_with(move || Ok(Frame::data(member.clone()))).take(MEMBERS))
}

/// Bodies that are the real one, done wrong.
pub(super) fn changed(fault: &Fault, parts: &mut Parts, bytes: &Bytes) -> Option<Body> {
    let headers = &mut parts.headers;
    let half = bytes.slice(..bytes.len() / 2);
    match fault {
        Fault::TruncatedBody => {
            headers.insert(CONTENT_LENGTH, bytes.len().into());
            Some(cut_after(half))
        }
        Fault::CutCloseDelimited => {
            headers.remove(CONTENT_LENGTH);
            // A response of HTTP/1.0 has no chunks: the end of the connection is its end.
            parts.version = Version::HTTP_10;
            Some(without_length(half))
        }
        Fault::CutChunked => {
            headers.remove(CONTENT_LENGTH);
            Some(cut_after(half))
        }
        Fault::ShortChunked => {
            headers.remove(CONTENT_LENGTH);
            Some(without_length(half))
        }
        Fault::ShortLength => {
            headers.insert(CONTENT_LENGTH, half.len().into());
            Some(full(half))
        }
        Fault::UnaskedPartial => {
            let last = half.len().saturating_sub(1);
            let range = format!("bytes 0-{last}/{}", bytes.len());
            headers.insert(CONTENT_LENGTH, half.len().into());
            headers.extend(HeaderValue::try_from(range).map(|range| (CONTENT_RANGE, range)));
            parts.status = StatusCode::PARTIAL_CONTENT;
            Some(full(half))
        }
        Fault::CorruptBody => {
            let mut corrupt = bytes.to_vec();
            for byte in corrupt.iter_mut().step_by(2) {
                *byte ^= 0xa5;
            }
            Some(full(corrupt))
        }
        Fault::MislabelledGzip => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Some(full(bytes.clone()))
        }
        _ => None,
    }
}

/// The response with the first byte of its body, after which the connection breaks.
pub(super) fn cut(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(CONTENT_LENGTH, 100.into());
    Response::from_parts(parts, cut_after(Bytes::from_static(b"{")))
}

/// These bytes, and then the connection breaks.
fn cut_after(bytes: Bytes) -> Body {
    let cut = stream::once(async {
        tokio::time::sleep(LEAVING).await;
        Err(io::Error::other("cut on purpose"))
    });
    respond::stream(stream::iter([Ok(Frame::data(bytes))]).chain(cut))
}

/// These bytes, whose length is not told before.
fn without_length(bytes: Bytes) -> Body {
    respond::stream(stream::iter([Ok(Frame::data(bytes))]))
}
