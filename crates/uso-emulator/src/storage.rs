//! Upload and download handlers: presigned addresses and CDN tokens, whole and in parts.
//!
//! A file is there when its upload is whole. Parts are told apart by number, and a completion must
//! name every part with the tag that it was answered with.

mod lifecycle;
pub(crate) mod tokens;
pub(crate) mod uploads;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, ETAG};
use serde_json::{Value, json};

use self::tokens::{Tokens, bearer};
use self::uploads::{Dialect, Incomplete, Upload};
use crate::auth;
use crate::files::{Access, File, Stored};
use crate::server::address::Base;
use crate::server::query;
use crate::server::respond::{self, Response, detail, json};
use crate::server::route::Storage;
use crate::state::State;

pub(crate) use self::lifecycle::lifecycle;

/// A request for storage, read and routed.
pub(crate) struct Call<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
    pub(crate) body: &'a Bytes,
    pub(crate) base: &'a Base,
}

pub(crate) fn answer(state: &Arc<State>, route: &Storage, call: &Call<'_>) -> Response {
    let answered = match route {
        Storage::Initiate => initiate(state, call, false),
        Storage::InitiateMultipart => initiate(state, call, true),
        Storage::Token => token(state, call),
        Storage::Put { upload } => put(state, call, upload),
        Storage::Part { upload, number } => part(state, call, upload, *number),
        Storage::PartAddress { upload, number } => part_address(state, call, upload, *number),
        Storage::Complete { upload } => complete(state, call, upload),
        Storage::Direct => direct(state, call),
        Storage::DirectMultipart => direct_multipart(state, call),
        Storage::DirectPart {
            path,
            upload,
            number,
        } => direct_part(state, call, (path, upload), *number),
        Storage::DirectComplete { path, upload } => direct_complete(state, call, (path, upload)),
        Storage::Sign { path } => sign(state, call, path),
    };
    answered.unwrap_or_else(|refusal| *refusal)
}

type Answer = Result<Response, Box<Response>>;

fn refuse<T>(status: u16, text: &str) -> Result<T, Box<Response>> {
    Err(Box::new(detail(status, text)))
}

/// The presigned route, whole or in parts.
fn initiate(state: &State, call: &Call<'_>, multipart: bool) -> Answer {
    if let Err(denied) = auth::check(&state.settings, call.headers) {
        return Err(Box::new(denied.by_app("storage")));
    }
    let dialect = match query::get(call.query, "storage_type").as_deref() {
        Some("fal-cdn-v3") => Dialect::Cdn,
        Some("gcs") => Dialect::Gcs,
        _ => return refuse(400, "storage_type must be fal-cdn-v3 or gcs."),
    };
    let Ok(Value::Object(request)) = serde_json::from_slice(call.body) else {
        return refuse(400, "The request body is not a JSON object.");
    };
    let field = |name| request.get(name).and_then(Value::as_str);
    let Some(content_type) = field("content_type") else {
        return refuse(422, "content_type is required.");
    };
    let ending = field("file_name").map(ending).unwrap_or_default();
    let place = Stored::reserve(&ending);
    let upload = Upload::new(&place.path, content_type, lifecycle(call.headers)?)
        .presigned(dialect, multipart);
    let (id, signature) = (upload.id().to_owned(), upload.signature().to_owned());
    state.uploads.open(upload);
    let cdn = call.base.cdn();
    Ok(json(
        200,
        &json!({
            "upload_url": format!("{cdn}/uploads/{id}?signature={signature}"),
            "file_url": format!("{cdn}{}", place.path),
        }),
    ))
}

/// What the storage keeps of a file's name, behind its own random beginning.
fn ending(file_name: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '_',
    };
    let kept: String = file_name.chars().take(100).map(plain).collect();
    format!("_{kept}")
}

/// Works on the upload that a presigned address is for. The address speaks for itself; a key beside
/// it, which the Python client sends, is not looked at.
fn signed(
    state: &State,
    call: &Call<'_>,
    id: &str,
    work: impl FnOnce(&mut Upload) -> Answer,
) -> Answer {
    let signature = query::get(call.query, "signature").unwrap_or_default();
    let worked = state.uploads.with(id, |upload| {
        if upload.signature() == signature {
            work(upload)
        } else {
            refuse(403, "The signature does not match.")
        }
    });
    worked.unwrap_or_else(|| refuse(404, "Upload not found"))
}

fn put(state: &State, call: &Call<'_>, id: &str) -> Answer {
    let declared = respond::text(call.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    signed(state, call, id, |upload| {
        if upload.is_multipart() {
            return refuse(400, "This upload takes parts.");
        }
        if declared != upload.content_type() {
            return refuse(403, "The content type is not the declared one.");
        }
        let file = upload.file([call.body.clone()], state.clock.now());
        state.files.store(upload.path(), file);
        Ok(respond::response(200, "text/plain", respond::full("")))
    })
}

fn part(state: &State, call: &Call<'_>, id: &str, number: u32) -> Answer {
    signed(state, call, id, |upload| keep_part(upload, call, number))
}

fn keep_part(upload: &mut Upload, call: &Call<'_>, number: u32) -> Answer {
    if !upload.is_multipart() {
        return refuse(400, "This upload takes no parts.");
    }
    let etag = upload.keep(number, call.body.clone());
    // One of fal's clients reads the body, another the header.
    let mut response = json(200, &json!({ "partNumber": number, "etag": etag }));
    respond::set(&mut response, ETAG.as_str(), &etag);
    Ok(response)
}

/// The other storage gives an address for each part, against the key.
fn part_address(state: &State, call: &Call<'_>, id: &str, number: u32) -> Answer {
    if let Err(denied) = auth::check(&state.settings, call.headers) {
        return Err(Box::new(denied.by_app("storage")));
    }
    signed(state, call, id, |upload| {
        if upload.dialect() != Dialect::Gcs {
            return refuse(405, "Method Not Allowed");
        }
        let (cdn, signature) = (call.base.cdn(), upload.signature());
        let address = format!("{cdn}/uploads/{id}/{number}?signature={signature}");
        Ok(json(200, &json!({ "upload_url": address })))
    })
}

fn complete(state: &State, call: &Call<'_>, id: &str) -> Answer {
    let finished = signed(state, call, id, |upload| {
        let dialect = upload.dialect();
        finish(state, call, upload, dialect)
    })?;
    state.uploads.close(id);
    Ok(finished)
}

/// Puts the parts together, if the caller names them all.
fn finish(state: &State, call: &Call<'_>, upload: &Upload, dialect: Dialect) -> Answer {
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let Some(parts) = body.get("parts").and_then(Value::as_array) else {
        return refuse(400, "parts is required.");
    };
    let mut named = Vec::new();
    for part in parts {
        let number = match dialect {
            Dialect::Cdn => part.get("partNumber"),
            Dialect::Gcs => part.get("part_number"),
        };
        let number = number.and_then(Value::as_u64);
        let number = number.and_then(|number| u32::try_from(number).ok());
        let etag = part.get("etag").and_then(Value::as_str);
        let (Some(number), Some(etag)) = (number, etag) else {
            return refuse(400, "Every part has a number and an etag.");
        };
        named.push((
            number,
            match dialect {
                Dialect::Cdn => etag.to_owned(),
                Dialect::Gcs => format!("\"{}\"", etag.trim_matches('"')),
            },
        ));
    }
    let pieces = match upload.assemble(named) {
        Ok(pieces) => pieces,
        Err(Incomplete::Unknown(number)) => {
            return refuse(400, &format!("Part {number} is not among those that came."));
        }
        Err(Incomplete::Missing(number)) => {
            return refuse(400, &format!("Part {number} is missing."));
        }
    };
    let file = upload.file(pieces, state.clock.now());
    state.files.store(upload.path(), file);
    let url = format!("{}{}", call.base.cdn(), upload.path());
    Ok(json(200, &json!({ "access_url": url })))
}

fn token(state: &State, call: &Call<'_>) -> Answer {
    if let Err(denied) = auth::check(&state.settings, call.headers) {
        return Err(Box::new(denied.by_app("storage")));
    }
    if query::get(call.query, "storage_type").as_deref() != Some("fal-cdn-v3") {
        return refuse(400, "storage_type must be fal-cdn-v3.");
    }
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let wanted = body.get("expiration_seconds").and_then(Value::as_u64);
    let lifetime = wanted.map_or(Tokens::LIFETIME, Duration::from_secs);
    let expires = state
        .clock
        .now()
        .saturating_add(lifetime.min(Tokens::LIFETIME));
    let expires_at = format!("{:.0}", state.clock.timestamp(expires)).replace('Z', "+00:00");
    Ok(json(
        200,
        &json!({
            "token": state.tokens.issue(expires),
            "token_type": "Bearer",
            "base_url": call.base.upload(),
            "expires_at": expires_at,
        }),
    ))
}

/// The holder of a token that has not expired is the owner.
fn owner(state: &State, call: &Call<'_>) -> Result<(), Box<Response>> {
    if is_owner(state, call.headers) {
        Ok(())
    } else {
        refuse(401, "The token is missing, unknown or expired.")
    }
}

fn is_owner(state: &State, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|token| state.tokens.knows(token, state.clock.now()))
}

fn direct_place(call: &Call<'_>) -> (Stored, String) {
    let name = respond::text(call.headers, "x-fal-file-name");
    let content_type = respond::text(call.headers, CONTENT_TYPE.as_str());
    (
        Stored::reserve(&name.map(ending).unwrap_or_default()),
        content_type
            .unwrap_or("application/octet-stream")
            .to_owned(),
    )
}

fn direct(state: &State, call: &Call<'_>) -> Answer {
    owner(state, call)?;
    let (place, content_type) = direct_place(call);
    let lifecycle = lifecycle(call.headers)?;
    let pieces = [call.body.clone()];
    let file = File::new(pieces, &content_type, lifecycle, state.clock.now());
    state.files.store(&place.path, file);
    let url = format!("{}{}", call.base.cdn(), place.path);
    Ok(json(200, &json!({ "access_url": url })))
}

fn direct_multipart(state: &State, call: &Call<'_>) -> Answer {
    owner(state, call)?;
    let (place, content_type) = direct_place(call);
    let upload = Upload::new(&place.path, &content_type, lifecycle(call.headers)?);
    let id = upload.id().to_owned();
    state.uploads.open(upload);
    let url = format!("{}{}", call.base.cdn(), place.path);
    Ok(json(200, &json!({ "access_url": url, "uploadId": id })))
}

/// Works on the upload of this id, if it is for the file at this path.
fn held(
    state: &State,
    (path, id): (&str, &str),
    work: impl FnOnce(&mut Upload) -> Answer,
) -> Answer {
    let worked = state
        .uploads
        .with(id, |upload| (upload.path() == path).then(|| work(upload)));
    worked
        .flatten()
        .unwrap_or_else(|| refuse(404, "Upload not found"))
}

fn direct_part(state: &State, call: &Call<'_>, which: (&str, &str), number: u32) -> Answer {
    owner(state, call)?;
    held(state, which, |upload| keep_part(upload, call, number))
}

fn direct_complete(state: &State, call: &Call<'_>, which: (&str, &str)) -> Answer {
    owner(state, call)?;
    let finished = held(state, which, |upload| {
        finish(state, call, upload, Dialect::Cdn)
    })?;
    state.uploads.close(which.1);
    Ok(finished)
}

/// A link that opens one protected file until it expires.
fn sign(state: &State, call: &Call<'_>, path: &str) -> Answer {
    const DAY: u64 = 86_400;
    owner(state, call)?;
    if state.files.get(path, state.clock.now()).is_none() {
        return refuse(404, "File not found");
    }
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let duration = body.get("duration").and_then(Value::as_u64);
    let duration = Duration::from_secs(duration.unwrap_or(DAY).min(7 * DAY));
    let link = state
        .tokens
        .sign(path, state.clock.now().saturating_add(duration));
    let url = format!("{}{path}?link={link}", call.base.cdn());
    Ok(respond::response(200, "text/plain", respond::full(url)))
}

/// A file, for those who may have it.
pub(crate) fn file(state: &State, path: &str, headers: &HeaderMap, query: &str) -> Response {
    let now = state.clock.now();
    let Some(file) = state.files.get(path, now) else {
        return detail(404, "File not found");
    };
    let link = query::get(query, "link").unwrap_or_default();
    let may = is_owner(state, headers) || state.tokens.opens(&link, path, now);
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
