//! A subset of the Platform API, and the endpoint's OpenAPI document.

mod listing;

use std::sync::Arc;

use http::HeaderMap;
use serde_json::{Value, json};

use crate::auth;
use crate::server::address::Base;
use crate::server::query;
use crate::server::respond::{self, Response};
use crate::server::route::Platform;
use crate::state::State;

/// Dollars for a megapixel, as published on the model's page.
const UNIT_PRICE: f64 = 0.1;

/// Where fal's webhooks come from, as in the published snapshot.
const WEBHOOK_ADDRESSES: [&str; 15] = [
    "34.123.59.101/32",
    "34.135.41.243/32",
    "35.239.83.87/32",
    "104.198.204.37/32",
    "34.56.20.205/32",
    "34.170.94.127/32",
    "35.224.184.236/32",
    "136.114.56.197/32",
    "34.29.37.237/32",
    "35.225.160.28/32",
    "34.56.205.145/32",
    "34.59.170.72/32",
    "34.10.147.45/32",
    "104.198.64.245/32",
    "34.9.1.255/32",
];

pub(crate) fn answer(
    state: &Arc<State>,
    operation: Platform,
    headers: &HeaderMap,
    query: &str,
    body: &[u8],
    base: &Base,
) -> Response {
    let open = matches!(operation, Platform::Models | Platform::Meta);
    if !open && let Err(denied) = auth::check(state, headers) {
        return denied.by_platform();
    }
    match operation {
        Platform::Models => models(state, query),
        Platform::Pricing => pricing(state, query),
        Platform::Estimate => estimate(state, body),
        Platform::Listing => listing::answer(state, query, base),
        Platform::Meta => respond::json(200, &json!({ "webhook_ip_ranges": WEBHOOK_ADDRESSES })),
    }
}

/// The per-endpoint document at its public address. Unknown ids get 404 and `null`.
pub(crate) fn document(state: &State, query: &str) -> Response {
    if query::get(query, "endpoint_id").as_deref() == Some(state.schema.endpoint_id()) {
        respond::json(200, state.schema.document())
    } else {
        respond::json(404, &Value::Null)
    }
}

/// The error envelope of this API, unlike that of the queue.
fn error(status: u16, kind: &str, message: &str) -> Response {
    respond::json(
        status,
        &json!({ "error": { "type": kind, "message": message } }),
    )
}

fn models(state: &State, query: &str) -> Response {
    let endpoint_id = state.schema.endpoint_id();
    let wanted = query::list(query, "endpoint_id");
    let mut models = Vec::new();
    if wanted.is_empty() || wanted.iter().any(|wanted| wanted == endpoint_id) {
        let metadata = |name: &str| {
            state
                .schema
                .document()
                .pointer("/info/x-fal-metadata")
                .and_then(|all| all.get(name))
        };
        let mut model = json!({
            "endpoint_id": endpoint_id,
            "metadata": {
                "display_name": endpoint_id.rsplit('/').next().unwrap_or(endpoint_id),
                "category": metadata("category"),
                "description": "Emulated.",
                "status": "active",
                "tags": [],
                "thumbnail_url": metadata("thumbnailUrl"),
                "model_url": metadata("playgroundUrl"),
            },
        });
        if let Some(model) = model.as_object_mut()
            && query::list(query, "expand")
                .iter()
                .any(|word| word == "openapi-3.0")
        {
            model.insert("openapi".to_owned(), state.schema.document().clone());
        }
        models.push(model);
    }
    respond::json(
        200,
        &json!({ "models": models, "next_cursor": null, "has_more": false }),
    )
}

fn pricing(state: &State, query: &str) -> Response {
    let wanted = query::list(query, "endpoint_id");
    let endpoint_id = state.schema.endpoint_id();
    if wanted.is_empty() {
        return error(400, "validation_error", "endpoint_id is required");
    }
    if !wanted.iter().any(|wanted| wanted == endpoint_id) {
        return error(404, "not_found", "No pricing for these endpoints");
    }
    respond::json(
        200,
        &json!({
            "prices": [{
                "endpoint_id": endpoint_id,
                "unit_price": UNIT_PRICE,
                "unit": "megapixels",
                "currency": "USD",
            }],
            "next_cursor": null,
            "has_more": false,
        }),
    )
}

fn estimate(state: &State, body: &[u8]) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return error(400, "validation_error", "The body is not valid JSON");
    };
    let kind = request
        .get("estimate_type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let entry = request
        .get("endpoints")
        .and_then(|all| all.get(state.schema.endpoint_id()));
    let quantity = |name: &str| {
        entry
            .and_then(|entry| entry.get(name))
            .and_then(Value::as_f64)
    };
    let cost = match kind {
        "unit_price" => quantity("unit_quantity").filter(|units| *units >= 0.000_001),
        // Nobody has a history here: a call is taken for one square picture of 1024 pixels.
        "historical_api_price" => quantity("call_quantity")
            .filter(|calls| *calls >= 1.0)
            .map(|calls| calls * 1.048_576),
        _ => None,
    };
    match cost {
        Some(units) => respond::json(
            200,
            &json!({
                "estimate_type": kind,
                // Cut to the billing precision, so that floats do not show their tails.
                "total_cost": (units * UNIT_PRICE * 1e9).round() / 1e9,
                "currency": "USD",
            }),
        ),
        None => error(400, "validation_error", "Invalid request parameters"),
    }
}
