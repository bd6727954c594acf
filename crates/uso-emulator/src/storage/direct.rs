//! Direct uploads: the CDN itself takes files from the holder of a token, and links to them.

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::call::{Answer, Call, ending, refuse};
use super::lifecycle::lifecycle;
use super::parts::{finish, keep_part};
use super::tokens::{Tokens, bearer};
use super::uploads::{Dialect, Upload};
use crate::auth;
use crate::files::{File, Stored};
use crate::server::query;
use crate::server::respond::{self, Response, json};
use crate::state::State;

pub(super) fn token(state: &State, call: &Call<'_>) -> Answer {
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

pub(super) fn is_owner(state: &State, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|token| state.tokens.knows(token, state.clock.now()))
}

fn place(call: &Call<'_>) -> (Stored, String) {
    let name = respond::text(call.headers, "x-fal-file-name");
    let content_type = respond::text(call.headers, CONTENT_TYPE.as_str());
    (
        Stored::reserve(&name.map(ending).unwrap_or_default()),
        content_type
            .unwrap_or("application/octet-stream")
            .to_owned(),
    )
}

pub(super) fn whole(state: &State, call: &Call<'_>) -> Answer {
    owner(state, call)?;
    let (place, content_type) = place(call);
    let lifecycle = lifecycle(call.headers)?;
    let pieces = [call.body.clone()];
    let file = File::new(pieces, &content_type, lifecycle, state.clock.now());
    state.files.store(&place.path, file);
    let url = format!("{}{}", call.base.cdn(), place.path);
    Ok(json(200, &json!({ "access_url": url })))
}

pub(super) fn multipart(state: &State, call: &Call<'_>) -> Answer {
    owner(state, call)?;
    let (place, content_type) = place(call);
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

pub(super) fn part(state: &State, call: &Call<'_>, which: (&str, &str), number: u32) -> Answer {
    owner(state, call)?;
    held(state, which, |upload| keep_part(upload, call, number))
}

pub(super) fn complete(state: &State, call: &Call<'_>, which: (&str, &str)) -> Answer {
    owner(state, call)?;
    let finished = held(state, which, |upload| {
        finish(state, call, upload, Dialect::Cdn)
    })?;
    state.uploads.close(which.1);
    Ok(finished)
}

/// A link that opens one protected file until it expires.
pub(super) fn sign(state: &State, call: &Call<'_>, path: &str) -> Answer {
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
