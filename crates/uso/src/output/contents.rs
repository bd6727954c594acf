//! Reading a result: the pictures first, everything else as far as it can be read.

use serde_json::{Map, Value};

/// A result as far as it could be read. A field that is missing or `null` is `None` without a
/// warning; a field of another shape is `None` with one.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) pictures: Vec<Entry>,
    pub(super) seed: Option<u64>,
    pub(super) prompt: Option<String>,
    pub(super) warnings: Vec<String>,
}

/// What the result says about one picture.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) url: String,
    pub(super) content_type: Option<String>,
    pub(super) file_size: Option<u64>,
    pub(super) width: Option<u64>,
    pub(super) height: Option<u64>,
    pub(super) flagged: bool,
}

impl Contents {
    /// Reads the pictures that have a URL, each on its own, and then the rest.
    pub(super) fn read(result: &Value) -> Self {
        let mut warnings = Warnings::default();
        let empty = Map::new();
        let fields = result.as_object().unwrap_or(&empty);
        let images = field(fields, "images").and_then(|images| {
            let images = images.as_array().map(Vec::as_slice);
            // One picture without its list is still a picture.
            images.or_else(|| field(fields, "images").map(std::slice::from_ref))
        });
        let flags = warnings.read(fields, "", "has_nsfw_concepts", |flags| {
            let flags = flags.as_array()?;
            flags.iter().map(Value::as_bool).collect::<Option<Vec<_>>>()
        });
        let flags = flags.unwrap_or_default();
        let mut pictures = Vec::new();
        for (position, image) in images.unwrap_or_default().iter().enumerate() {
            let path = format!("images[{position}].");
            let url = match image {
                Value::String(url) => Some(url.as_str()),
                _ => image.get("url").and_then(Value::as_str),
            };
            let Some(url) = url.filter(|url| !url.trim().is_empty()) else {
                warnings.add(format!("images[{position}] has no URL and is left out"));
                continue;
            };
            let fields = image.as_object().unwrap_or(&empty);
            pictures.push(Entry {
                url: url.to_owned(),
                content_type: warnings.read(fields, &path, "content_type", text),
                file_size: warnings.read(fields, &path, "file_size", number),
                width: warnings.read(fields, &path, "width", number),
                height: warnings.read(fields, &path, "height", number),
                flagged: flags.get(position).copied().unwrap_or(false),
            });
        }
        Self {
            pictures,
            seed: warnings.read(fields, "", "seed", number),
            prompt: warnings.read(fields, "", "prompt", text),
            warnings: warnings.0,
        }
    }
}

#[derive(Default)]
struct Warnings(Vec<String>);

impl Warnings {
    fn add(&mut self, warning: String) {
        self.0.push(warning);
    }

    fn read<T>(
        &mut self,
        fields: &Map<String, Value>,
        path: &str,
        name: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = field(fields, name)?;
        let read = read(value);
        if read.is_none() {
            // The value itself is not quoted: it may be a prompt or a whole picture.
            self.add(format!("{path}{name} cannot be read and is left out"));
        }
        read
    }
}

/// A field that is there and not `null`.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A whole number, also when it is written as `8.0` or as a string.
fn number(value: &Value) -> Option<u64> {
    /// Above this, a float does not hold every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::String(text) => text.trim().parse().ok(),
        _ => value.as_u64().or_else(|| {
            let float = value.as_f64()?;
            let is_whole = float.fract() == 0.0 && (0.0..=EXACT).contains(&float);
            // The text of a whole float has no exponent and no fraction.
            is_whole.then(|| format!("{float:.0}").parse().ok())?
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_are_read_in_every_spelling() {
        let read = [json!(8), json!(8.0), json!("8"), json!(" 8 ")];
        assert!(read.iter().all(|value| number(value) == Some(8)));
        let large = json!(15_860_307_465_884_635_512_u64);
        assert_eq!(number(&large), Some(15_860_307_465_884_635_512));
        let odd = [
            json!(-1),
            json!(1e30),
            json!(8.5),
            json!("x"),
            json!([]),
            json!(-0.5),
        ];
        assert!(odd.iter().all(|value| number(value).is_none()));
    }

    #[test]
    fn a_field_that_cannot_be_read_hides_nothing_else() {
        let contents = Contents::read(&json!({
            "images": [
                { "url": "https://a", "width": "wide", "height": 8.0 },
                { "width": 1 },
                null,
                "https://b",
                { "url": "https://c", "content_type": 7, "file_size": -1 },
            ],
            "seed": 1e30, "has_nsfw_concepts": "no", "prompt": ["x"], "timings": "NaN",
        }));
        let urls: Vec<&str> = contents.pictures.iter().map(|p| p.url.as_str()).collect();
        assert_eq!(urls, ["https://a", "https://b", "https://c"]);
        assert_eq!(contents.pictures[0].height, Some(8));
        assert_eq!((contents.seed, contents.prompt), (None, None));
        let about = |name: &str| contents.warnings.iter().any(|text| text.contains(name));
        for name in [
            "images[0].width",
            "images[1]",
            "images[2]",
            "images[4].content_type",
            "images[4].file_size",
            "seed",
            "has_nsfw_concepts",
            "prompt",
        ] {
            assert!(about(name), "{name}: {:?}", contents.warnings);
        }
        assert_eq!(contents.warnings.len(), 8);
    }
}
