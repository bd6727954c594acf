//! Picture files: those of jobs, and those that go in.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::Value;
use uso_journal::{Purchase, SavedPicture};

use crate::body;
use crate::inputs::{LARGEST, picture_format, read, within};
use crate::json;
use crate::refusal::Refusal;
use crate::shared::Shared;

/// Bytes of a picture that is shown; a result may be larger than an input.
const SHOWN: usize = 2 * LARGEST;

/// `POST /api/pictures`: takes a picture in, as raw bytes.
pub(crate) async fn take(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let kind = body::media_type(&parts.headers).unwrap_or_default();
    if kind != "application/octet-stream" && !kind.starts_with("image/") {
        let message = "send the picture's bytes as application/octet-stream";
        return Err(Refusal::of_type(message));
    }
    let taken = shared.inputs.take(&shared.client, body).await?;
    Ok(json::response(StatusCode::CREATED, &taken))
}

/// `GET /api/pictures/DIGEST`
pub(crate) async fn input(
    State(shared): State<Arc<Shared>>,
    Path(digest): Path<String>,
) -> Result<Response, Refusal> {
    let file = shared.inputs.file(&digest).ok_or_else(no_picture)?;
    shown(read(&file, SHOWN).await?, None)
}

/// `GET /api/jobs/ID/pictures/NUMBER`, with `?download` as a file.
pub(crate) async fn result(
    State(shared): State<Arc<Shared>>,
    Path((id, number)): Path<(String, u32)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let job = shared.job(&id).await?;
    let name = (query.as_deref() == Some("download")).then(|| format!("{}-{number}", job.id));
    let bytes = bytes_of(saved(&job, number)?).await?;
    shown(bytes, name)
}

/// `GET /api/jobs/ID/thumbnails/NUMBER`: a small JPEG of a result, or the result where none can be
/// made.
pub(crate) async fn thumbnail(
    State(shared): State<Arc<Shared>>,
    Path((id, number)): Path<(String, u32)>,
) -> Result<Response, Refusal> {
    let job = shared.job(&id).await?;
    let picture = saved(&job, number)?;
    match shared.thumbnails.of(picture).await {
        Some(bytes) => Ok(picture_response(bytes, "image/jpeg")),
        None => shown(bytes_of(picture).await?, None),
    }
}

/// `POST /api/jobs/ID/pictures/NUMBER`: takes a result in as an input.
pub(crate) async fn take_result(
    State(shared): State<Arc<Shared>>,
    Path((id, number)): Path<(String, u32)>,
    request: Request,
) -> Result<Response, Refusal> {
    let _: Value = body::json(request).await?;
    let job = shared.job(&id).await?;
    let picture = saved(&job, number)?;
    let digest = &picture.sha256;
    let taken = shared.inputs.copy(&shared.client, &picture.path, digest);
    Ok(json::response(StatusCode::CREATED, &taken.await?))
}

/// `POST /api/jobs/ID/inputs`: takes the local pictures of a job in again, where they are not here.
pub(crate) async fn take_inputs(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let _: Value = body::json(request).await?;
    let job = shared.job(&id).await?;
    let mut taken = Vec::new();
    for (digest, file) in local_pictures(&job) {
        let picture = match (shared.inputs.file(&digest), file) {
            (None, Some(file)) => {
                let copy = shared.inputs.copy(&shared.client, &file, &digest);
                copy.await
            }
            _ => shared.inputs.describe(&shared.client, &digest).await,
        };
        // A picture that is gone is an empty slot in the form.
        taken.extend(picture.ok());
    }
    Ok(json::ok(&taken))
}

/// `GET /api/jobs/ID/content`: the content picture, to compare the results with.
pub(crate) async fn content(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let job = shared.job(&id).await?;
    let (digest, file) = local_pictures(&job)
        .into_iter()
        .next()
        .ok_or_else(no_picture)?;
    let file = shared
        .inputs
        .file(&digest)
        .or(file)
        .ok_or_else(no_picture)?;
    shown(read(&file, SHOWN).await?, None)
}

/// Digest and path of the local pictures of a job, content first; empty where the content is a URL.
fn local_pictures(job: &Purchase) -> Vec<(String, Option<PathBuf>)> {
    let pictures = job.input.as_ref().and_then(|recipe| recipe.get("pictures"));
    let pictures = pictures.and_then(Value::as_array).into_iter().flatten();
    let local = pictures.map_while(|picture| {
        let text = |name: &str| picture.get(name).and_then(Value::as_str);
        Some((text("sha256")?.to_owned(), text("file").map(PathBuf::from)))
    });
    local.collect()
}

fn saved(job: &Purchase, number: u32) -> Result<&SavedPicture, Refusal> {
    let mut pictures = job.pictures.iter();
    pictures
        .find(|picture| picture.number == number)
        .ok_or_else(no_picture)
}

fn no_picture() -> Refusal {
    Refusal::not_found("such picture")
}

/// The bytes of a saved picture, while its file is the one that was saved.
async fn bytes_of(picture: &SavedPicture) -> Result<Vec<u8>, Refusal> {
    within(picture.bytes, SHOWN)?;
    let picture = picture.clone();
    let read = tokio::task::spawn_blocking(move || picture.read()).await;
    let read = read.map_err(|error| Refusal::internal(&error))?;
    read.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => Refusal::changed(),
        _ => no_picture(),
    })
}

/// Bytes, if they are a picture; with a name the response is a download.
fn shown(bytes: Vec<u8>, name: Option<String>) -> Result<Response, Refusal> {
    let format = picture_format(&bytes).ok_or_else(no_picture)?;
    let response = picture_response(bytes, format.to_mime_type());
    let Some(name) = name else {
        return Ok(response);
    };
    let extension = format.extensions_str().first().unwrap_or(&"png");
    let disposition = format!("attachment; filename=\"uso-{name}.{extension}\"");
    Ok(([(CONTENT_DISPOSITION, disposition)], response).into_response())
}

fn picture_response(bytes: impl Into<Body>, mime: &'static str) -> Response {
    // The URLs name the content: a digest, or a job with the version of its picture.
    let headers = [
        (CONTENT_TYPE, mime),
        (CACHE_CONTROL, "private, max-age=3600"),
    ];
    (headers, bytes.into()).into_response()
}
