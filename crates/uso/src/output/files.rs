//! Files that the result of another endpoint names, wherever in the result they are.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use url::Url;
use uso_transport::{BaseUrls, Ticket, Transport};
use uso_types::Image;

use super::picture::{JSON, Picture, UNKNOWN};

/// Fields of which fal's description of a file has at least one, beside the URL.
const DESCRIPTION: [&str; 3] = ["content_type", "file_name", "file_size"];

/// A file of a result.
pub(super) struct Found {
    pub(super) file: Image,
    /// Whether the safety checker flagged it.
    pub(super) is_flagged: bool,
}

/// Every file of a result, once each: what the result describes as a file, and every URL on the
/// service's CDN. Any other URL is a text of the result.
pub(super) fn files(result: &Value, base_urls: &BaseUrls) -> Vec<Found> {
    let mut files = Files {
        base_urls,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    files.collect(result);
    let flags = result.get("has_nsfw_concepts").and_then(Value::as_array);
    let pictures = result.get("images").and_then(Value::as_array);
    for (picture, flag) in pictures
        .into_iter()
        .flatten()
        .zip(flags.into_iter().flatten())
    {
        let url = picture.get("url").unwrap_or(picture).as_str();
        let found = files
            .found
            .iter_mut()
            .find(|found| Some(found.file.url.as_str()) == url);
        if let Some(found) = found {
            found.is_flagged = flag.as_bool() == Some(true);
        }
    }
    files.found
}

/// A result as a file.
pub(super) fn document(transport: Transport, ticket: Ticket, result: &[u8]) -> Picture {
    let is_json = serde_json::from_slice::<Value>(result).is_ok();
    let kind = if is_json { JSON } else { UNKNOWN };
    let uri = format!("data:{kind};base64,{}", STANDARD.encode(result));
    Picture::stored(transport, Some(ticket), uri, Some(kind.to_owned()))
}

struct Files<'a> {
    base_urls: &'a BaseUrls,
    seen: HashSet<String>,
    found: Vec<Found>,
}

impl Files<'_> {
    fn collect(&mut self, value: &Value) {
        match value {
            Value::String(text) if self.is_on_cdn(text) => self.add(Image::new(text)),
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(fields) => {
                if let Some(file) = described(fields) {
                    self.add(file);
                }
                fields.values().for_each(|value| self.collect(value));
            }
            _ => {}
        }
    }

    fn is_on_cdn(&self, text: &str) -> bool {
        let is_whole = text.starts_with("http") && !text.contains(char::is_whitespace);
        is_whole && Url::parse(text).is_ok_and(|url| self.base_urls.is_on_cdn(&url))
    }

    fn add(&mut self, file: Image) {
        if self.seen.insert(file.url.clone()) {
            let is_flagged = false;
            self.found.push(Found { file, is_flagged });
        }
    }
}

/// The file that an object describes.
fn described(fields: &Map<String, Value>) -> Option<Image> {
    let url = fields.get("url")?.as_str()?;
    let is_address = ["https://", "http://", "data:"]
        .iter()
        .any(|it| url.starts_with(it));
    let is_file = DESCRIPTION.iter().any(|name| fields.contains_key(*name));
    if !is_address || !is_file {
        return None;
    }
    let number = |name| fields.get(name).and_then(Value::as_u64);
    let mut file = Image::new(url);
    let kind = fields.get("content_type").and_then(Value::as_str);
    file.content_type = kind.map(str::to_owned);
    file.file_size = number("file_size");
    file.width = number("width");
    file.height = number("height");
    Some(file)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_found_wherever_it_is_and_once_and_another_url_is_none() {
        let result = json!({
            "video": { "url": "https://a.example/1.mp4", "content_type": "video/mp4", "file_size": 9 },
            "frames": [{ "image": { "url": "data:image/png;base64,AA", "content_type": null } }],
            "images": ["https://v3.fal.media/files/a/2.jpg", "https://v3b.fal.media/files/b/3.jpg"],
            "has_nsfw_concepts": [false, true],
            "video_again": { "url": "https://a.example/1.mp4", "file_name": "1.mp4" },
            "source": { "url": "https://news.example/story", "title": "a story" },
            "note": "see https://v3.fal.media/files/a/4.jpg",
        });
        let found = files(&result, &BaseUrls::fal().unwrap());
        let mut named: Vec<(&str, bool)> = found
            .iter()
            .map(|found| (found.file.url.as_str(), found.is_flagged))
            .collect();
        named.sort_unstable();
        let wanted = [
            ("data:image/png;base64,AA", false),
            ("https://a.example/1.mp4", false),
            ("https://v3.fal.media/files/a/2.jpg", false),
            ("https://v3b.fal.media/files/b/3.jpg", true),
        ];
        assert_eq!(named, wanted);
        let sized = found.iter().find(|found| found.file.file_size == Some(9));
        assert_eq!(
            sized.and_then(|found| found.file.content_type.as_deref()),
            Some("video/mp4")
        );
    }
}
