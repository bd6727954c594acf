//! Parts of an upload, as both ways keep them and put them together.

use http::header::ETAG;
use serde_json::{Value, json};

use super::call::{Answer, Call, refuse};
use super::uploads::{Dialect, Incomplete, Upload};
use crate::server::respond::{self, json};
use crate::state::State;

pub(super) fn keep_part(upload: &mut Upload, call: &Call<'_>, number: u32) -> Answer {
    if !upload.is_multipart() {
        return refuse(400, "This upload takes no parts.");
    }
    let etag = upload.keep(number, call.body.clone());
    // One of fal's clients reads the body, another the header.
    let mut response = json(200, &json!({ "partNumber": number, "etag": etag }));
    respond::set(&mut response, ETAG.as_str(), &etag);
    Ok(response)
}

/// Puts the parts together, if the caller names them all.
pub(super) fn finish(state: &State, call: &Call<'_>, upload: &Upload, dialect: Dialect) -> Answer {
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
