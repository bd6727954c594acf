//! Start of the page: the exchange of its token, and the bounds and defaults of the endpoint.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderValue;
use http::header::SET_COOKIE;
use serde_json::{Value, json};
use uso::{BaseUrls, ImageSize, ImageSizePreset, OutputFormat, UsoInput};

use crate::body;
use crate::hosts;
use crate::jobs::budget;
use crate::json;
use crate::refusal::Refusal;
use crate::shared::Shared;

/// `POST /api/session`: exchanges the token for the cookie and for the value that changes carry. The
/// guard has checked the token. No other response has the value: a browser sends the cookie to the
/// servers of every port of this host, and a server that has read the cookie must not be able to spend.
pub(crate) async fn session(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    // The guard has compared the origin with those of the studio.
    let is_by_tls = hosts::is_by_tls(request.headers());
    let _: Value = body::json(request).await?;
    let change = json!({ "change_token": shared.access().change_token() });
    let mut response = json::ok(&change);
    let cookie = HeaderValue::try_from(shared.access().set_cookie(is_by_tls));
    let mut cookie = cookie.map_err(|error| Refusal::internal(&error))?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// `GET /api/options`
pub(crate) async fn options(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let sizes = ImageSizePreset::ALL.iter().filter_map(|preset| {
        let (width, height) = preset.dimensions()?;
        Some(json!({ "name": preset.as_str(), "width": width, "height": height }))
    });
    let sizes: Vec<Value> = sizes.collect();
    let formats: Vec<&str> = OutputFormat::ALL
        .iter()
        .map(|format| format.as_str())
        .collect();
    let urls = shared.client.config().base_urls();
    let is_fal = BaseUrls::fal().is_ok_and(|fal| *urls == fal);
    let service = match (shared.settings.is_emulated, is_fal) {
        (true, _) => "emulator",
        (false, true) => "fal",
        (false, false) => "other",
    };
    Ok(json::ok(&json!({
        "service": service,
        "origin": urls.queue().origin().ascii_serialization(),
        "session": shared.session,
        "budget": budget(shared.settings.budget, shared.committed().await?),
        "sizes": sizes,
        "default_size": UsoInput::IMAGE_SIZE_DEFAULT,
        "side": { "min": ImageSize::WIDTH_MIN, "max": ImageSize::WIDTH_MAX },
        "images": {
            "min": UsoInput::NUM_IMAGES_MIN,
            "max": UsoInput::NUM_IMAGES_MAX,
            "default": UsoInput::NUM_IMAGES_DEFAULT,
        },
        "steps": {
            "min": UsoInput::NUM_INFERENCE_STEPS_MIN,
            "max": UsoInput::NUM_INFERENCE_STEPS_MAX,
            "default": UsoInput::NUM_INFERENCE_STEPS_DEFAULT,
        },
        "guidance": {
            "min": UsoInput::GUIDANCE_SCALE_MIN,
            "max": UsoInput::GUIDANCE_SCALE_MAX,
            "default": UsoInput::GUIDANCE_SCALE_DEFAULT,
        },
        "formats": formats,
        "default_format": UsoInput::OUTPUT_FORMAT_DEFAULT.as_str(),
        "safety_checker": UsoInput::ENABLE_SAFETY_CHECKER_DEFAULT,
    })))
}
