//! Files that the result of another endpoint names, wherever in the result they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use uso_transport::{Ticket, Transport};
use uso_types::Image;

use super::picture::{JSON, Picture};

/// Every file of a result, once each, in the order of the result.
pub(super) fn files(result: &Value) -> Vec<Image> {
    let mut found = Vec::new();
    collect(result, &mut found);
    found
}

/// A result as a file.
pub(super) fn document(transport: Transport, ticket: Ticket, result: &[u8]) -> Picture {
    let uri = format!("data:{JSON};base64,{}", STANDARD.encode(result));
    Picture::stored(transport, Some(ticket), uri, Some(JSON.to_owned()))
}

/// fal's files are objects with a `url`; some endpoints give the bare URL, as `video_url`.
fn collect(value: &Value, found: &mut Vec<Image>) {
    match value {
        Value::Array(items) => {
            for item in items {
                collect(item, found);
            }
        }
        Value::Object(fields) => {
            if let Some(url) = fields.get("url").and_then(address) {
                add(described(url, fields), found);
            }
            for (name, value) in fields {
                match address(value).filter(|_| name.ends_with("_url")) {
                    Some(url) => add(Image::new(url), found),
                    None => collect(value, found),
                }
            }
        }
        _ => {}
    }
}

fn add(file: Image, found: &mut Vec<Image>) {
    if found.iter().all(|known| known.url != file.url) {
        found.push(file);
    }
}

fn address(value: &Value) -> Option<&str> {
    let schemes = ["https://", "http://", "data:"];
    let text = value.as_str()?;
    schemes
        .iter()
        .any(|scheme| text.starts_with(scheme))
        .then_some(text)
}

fn described(url: &str, fields: &Map<String, Value>) -> Image {
    let number = |name| fields.get(name).and_then(Value::as_u64);
    let mut file = Image::new(url);
    let kind = fields.get("content_type").and_then(Value::as_str);
    file.content_type = kind.map(str::to_owned);
    file.file_size = number("file_size");
    file.width = number("width");
    file.height = number("height");
    file
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_found_wherever_it_is_and_once() {
        let result = json!({
            "video": { "url": "https://a.example/1.mp4", "content_type": "video/mp4", "file_size": 9 },
            "frames": [{ "image": { "url": "data:image/png;base64,AA", "width": 4 } }],
            "thumbnail_url": "https://a.example/2.jpg",
            "again": { "url": "https://a.example/1.mp4" },
            "url": "not one",
            "note": "https://a.example/no-file",
        });
        let found = files(&result);
        let mut urls: Vec<&str> = found.iter().map(|file| file.url.as_str()).collect();
        urls.sort_unstable();
        let wanted = [
            "data:image/png;base64,AA",
            "https://a.example/1.mp4",
            "https://a.example/2.jpg",
        ];
        assert_eq!(urls, wanted);
        let sized = found.iter().find(|file| file.file_size.is_some());
        assert_eq!(
            sized.and_then(|file| file.content_type.as_deref()),
            Some("video/mp4")
        );
    }
}
