//! Presigned uploads: an address that is a credential by itself, for a whole file or its parts.

use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::call::{Answer, Call, ending, refuse};
use super::lifecycle::lifecycle;
use super::parts::{finish, keep_part};
use super::uploads::{Dialect, Upload};
use crate::auth;
use crate::files::Stored;
use crate::server::query;
use crate::server::respond::{self, json};
use crate::state::State;

/// The presigned route, whole or in parts.
pub(super) fn initiate(state: &State, call: &Call<'_>, multipart: bool) -> Answer {
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

pub(super) fn put(state: &State, call: &Call<'_>, id: &str) -> Answer {
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

pub(super) fn part(state: &State, call: &Call<'_>, id: &str, number: u32) -> Answer {
    signed(state, call, id, |upload| keep_part(upload, call, number))
}

/// The other storage gives an address for each part, against the key.
pub(super) fn part_address(state: &State, call: &Call<'_>, id: &str, number: u32) -> Answer {
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

pub(super) fn complete(state: &State, call: &Call<'_>, id: &str) -> Answer {
    let finished = signed(state, call, id, |upload| {
        let dialect = upload.dialect();
        finish(state, call, upload, dialect)
    })?;
    state.uploads.close(id);
    Ok(finished)
}
