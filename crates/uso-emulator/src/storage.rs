//! Upload and download handlers: presigned addresses and CDN tokens, whole and in parts.
//!
//! A file is there when its upload is whole. Parts are told apart by number, and a completion must
//! name every part with the tag that it was answered with.

mod call;
mod direct;
mod lifecycle;
mod parts;
mod presigned;
pub(crate) mod tokens;
pub(crate) mod uploads;

use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::files::Access;
use crate::server::query;
use crate::server::respond::{self, Response, detail};
use crate::server::route::Storage;
use crate::state::State;

pub(crate) use self::call::Call;
pub(crate) use self::lifecycle::lifecycle;

pub(crate) fn answer(state: &Arc<State>, route: &Storage, call: &Call<'_>) -> Response {
    let answered = match route {
        Storage::Initiate => presigned::initiate(state, call, false),
        Storage::InitiateMultipart => presigned::initiate(state, call, true),
        Storage::Token => direct::token(state, call),
        Storage::Put { upload } => presigned::put(state, call, upload),
        Storage::Part { upload, number } => presigned::part(state, call, upload, *number),
        Storage::PartAddress { upload, number } => {
            presigned::part_address(state, call, upload, *number)
        }
        Storage::Complete { upload } => presigned::complete(state, call, upload),
        Storage::Direct => direct::whole(state, call),
        Storage::DirectMultipart => direct::multipart(state, call),
        Storage::DirectPart {
            path,
            upload,
            number,
        } => direct::part(state, call, (path, upload), *number),
        Storage::DirectComplete { path, upload } => direct::complete(state, call, (path, upload)),
        Storage::Sign { path } => direct::sign(state, call, path),
    };
    answered.unwrap_or_else(|refusal| *refusal)
}

/// A file, for those who may have it.
pub(crate) fn file(state: &State, path: &str, headers: &HeaderMap, query: &str) -> Response {
    let now = state.clock.now();
    let Some(file) = state.files.get(path, now) else {
        return detail(404, "File not found");
    };
    let link = query::get(query, "link").unwrap_or_default();
    let may = direct::is_owner(state, headers) || state.tokens.opens(&link, path, now);
    match file.access {
        Access::Forbid if !may => detail(403, "Forbidden"),
        Access::Hide if !may => detail(404, "File not found"),
        _ => {
            let length = file.len();
            let pieces: Vec<_> = file.pieces.iter().cloned().map(Ok).collect();
            let frames = futures_util::stream::iter(pieces);
            let frames =
                futures_util::StreamExt::map(frames, |piece| piece.map(hyper::body::Frame::data));
            let mut response =
                respond::response(200, "application/octet-stream", respond::stream(frames));
            respond::set(&mut response, CONTENT_TYPE.as_str(), &file.content_type);
            respond::set(&mut response, "content-length", &length.to_string());
            response
        }
    }
}
