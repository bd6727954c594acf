//! Made-up outputs of endpoints that are known by their documents alone.
//!
//! An output has the shape that the schema gives it: each field, one item in each list, and a file
//! on the CDN behind each address. A field that the input has too, such as the seed, is repeated.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::files::{File, Stored};
use crate::model::Delivery;
use crate::picture::{self, Format, Order, Size};
use crate::queue::outcome::{Outcome, on_the_cdn};
use crate::schema::{Problem, Schema};
use crate::state::State;

/// Schemas that refer to themselves end here.
const DEPTH: usize = 12;

/// Runs an endpoint once.
pub(crate) fn answer(
    state: &State,
    schema: &Schema,
    input: &Value,
    delivery: &Delivery,
) -> Outcome {
    match schema.validate(input) {
        Ok(fields) => {
            let maker = Maker {
                state,
                schema,
                fields: &fields,
                delivery,
            };
            Outcome::made_up(maker.value(schema.output(), "", DEPTH))
        }
        Err(problems) => {
            let detail: Vec<Value> = problems.iter().map(Problem::json).collect();
            Outcome::from_app(422, json!({ "detail": detail }))
        }
    }
}

struct Maker<'a> {
    state: &'a State,
    schema: &'a Schema,
    fields: &'a Map<String, Value>,
    delivery: &'a Delivery,
}

impl Maker<'_> {
    fn value(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let schema = self.schema.resolve(schema);
        if depth == 0 {
            return Value::Null;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
            return first.clone();
        }
        for union in ["anyOf", "oneOf", "allOf"] {
            let branches = schema.get(union).and_then(Value::as_array);
            let is_null = |branch: &&Value| branch.get("type") != Some(&json!("null"));
            if let Some(branch) = branches.and_then(|branches| branches.iter().find(is_null)) {
                return self.value(branch, name, depth - 1);
            }
        }
        let kind = schema.get("type").and_then(Value::as_str);
        match kind.unwrap_or_default() {
            "object" => self.object(schema, depth),
            "array" => self.list(schema, name, depth),
            "integer" => self
                .repeated(name, Value::is_u64)
                .unwrap_or_else(|| least(schema, 1)),
            "number" => self
                .repeated(name, Value::is_number)
                .unwrap_or_else(|| least(schema, 0)),
            "boolean" => json!(false),
            "string" if name == "url" || name.ends_with("_url") => self.file("", name).0.into(),
            "string" => self
                .repeated(name, Value::is_string)
                .unwrap_or_else(|| text(schema, name)),
            _ => Value::Null,
        }
    }

    /// The field of the input that has the same name.
    fn repeated(&self, name: &str, fits: fn(&Value) -> bool) -> Option<Value> {
        self.fields.get(name).filter(|value| fits(value)).cloned()
    }

    fn list(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1);
        let of_each = schema.get("prefixItems").and_then(Value::as_array);
        if let Some(items) = of_each {
            return items
                .iter()
                .map(|item| self.value(item, name, depth - 1))
                .collect();
        }
        let item = schema.get("items").unwrap_or(&Value::Null);
        (0..count.clamp(1, 100))
            .map(|_| self.value(item, name, depth - 1))
            .collect()
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return json!({});
        };
        let mut object: Map<String, Value> = properties
            .iter()
            .filter(|(name, _)| *name != "url")
            .map(|(name, property)| (name.clone(), self.value(property, name, depth - 1)))
            .collect();
        if properties.contains_key("url") {
            let title = schema
                .get("title")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let (url, content_type, size, side) = self.file(title, "");
            let name = url.rsplit('/').next().unwrap_or_default().to_owned();
            let facts = [
                ("url", json!(url)),
                ("content_type", json!(content_type)),
                ("file_name", json!(name)),
                ("file_size", json!(size)),
                ("width", json!(side)),
                ("height", json!(side)),
            ];
            for (name, fact) in facts {
                if properties.contains_key(name) {
                    object.insert(name.to_owned(), fact);
                }
            }
        }
        Value::Object(object)
    }

    /// Puts a file on the CDN: address, type, length, and the side of a picture.
    fn file(&self, title: &str, name: &str) -> (String, &'static str, usize, u32) {
        let words = format!("{title} {name}").to_lowercase();
        let is = |word: &str| words.contains(word);
        let (bytes, content_type, ending, side) = if is("video") {
            (Bytes::from_static(b"emulated"), "video/mp4", ".mp4", 1)
        } else if is("audio") {
            (Bytes::from_static(b"emulated"), "audio/wav", ".wav", 1)
        } else if is("image") || is("mask") {
            let picture = self.picture();
            (picture, "image/png", ".png", 16)
        } else {
            (
                Bytes::from_static(b"emulated"),
                "application/octet-stream",
                ".bin",
                1,
            )
        };
        let size = bytes.len();
        let stored = Stored::reserve(ending);
        let now = self.state.clock.now();
        let file = File::new([bytes], content_type, self.delivery.lifecycle, now);
        self.state.files.store(&stored.path, file);
        (on_the_cdn(&stored.path), content_type, size, side)
    }

    fn picture(&self) -> Bytes {
        let order = Order {
            references: Vec::new(),
            prompt: String::new(),
            seed: self.fields.get("seed").cloned().unwrap_or_default(),
            size: Size::Exactly(16, 16),
            images: 1,
            format: Format::Png,
            flagged: false,
        };
        let (pictures, _) = picture::plain(&order);
        let first = pictures.into_iter().next();
        first.map(|picture| picture.bytes).unwrap_or_default()
    }
}

/// The least number that the schema allows, or this one.
fn least(schema: &Value, otherwise: u64) -> Value {
    let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number()).cloned();
    bound("minimum")
        .or_else(|| bound("maximum"))
        .unwrap_or_else(|| json!(otherwise))
}

/// A text of the length that the schema asks for.
fn text(schema: &Value, name: &str) -> Value {
    let bound = |name: &str| {
        let bound = schema.get(name).and_then(Value::as_u64);
        bound.and_then(|bound| usize::try_from(bound).ok())
    };
    let text = format!("emulated {name}");
    let text = text.chars().take(bound("maxLength").unwrap_or(usize::MAX));
    let text: String = text.collect();
    format!(
        "{text:x<least$}",
        least = bound("minLength").unwrap_or(0).min(1000)
    )
    .into()
}
