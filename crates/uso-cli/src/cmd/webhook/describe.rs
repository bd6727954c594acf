//! Notifications as text and as JSON.

use serde_json::{Value, json};
use uso::webhook::Notification;

/// A line of text: the request id, and how the request ended.
pub(super) fn describe(notification: &Notification) -> String {
    let id = notification.request_id();
    let status = notification.status();
    let line = match notification.output() {
        Ok(output) => match output.images.map_or(0, |images| images.len()) {
            1 => format!("{id} {status}: 1 picture"),
            several => format!("{id} {status}: {several} pictures"),
        },
        Err(why) => format!("{id} {status}: {why}"),
    };
    // Any account can have a text of its own sent here, so control characters are dropped.
    let plain = line.chars().filter(|letter| !letter.is_control());
    plain.take(500).collect()
}

/// JSON with the addresses of the pictures, without the prompt and the pictures themselves.
pub(super) fn to_json(notification: &Notification) -> Value {
    let output = notification.output();
    let images = output
        .as_ref()
        .ok()
        .and_then(|output| output.images.as_ref());
    let images: Vec<Value> = images
        .into_iter()
        .flatten()
        .map(|image| {
            json!({
                "url": Some(&image.url).filter(|url| !url.starts_with("data:")),
                "content_type": image.content_type,
                "width": image.width,
                "height": image.height,
            })
        })
        .collect();
    json!({
        "request_id": notification.request_id(),
        "gateway_request_id": notification.gateway_request_id(),
        "user_id": notification.user_id(),
        "status": notification.status().as_str(),
        "error": notification.error(),
        "payload_error": notification.payload_error(),
        "seed": output.as_ref().ok().and_then(|output| output.seed),
        "images": images,
    })
}
