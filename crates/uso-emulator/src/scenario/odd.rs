//! Faults of fields: results and listings that strict parsers refuse.
//!
//! JSON libraries refuse to write some of them (NaN, half of a UTF-16 pair), so marks stand for
//! these values until the text is made.

use serde::Deserialize;
use serde_json::{Value, json};
use strum::VariantArray;

use super::variants::all;

/// Irregularity of a result whose pictures are still readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OddResult {
    /// The seed is -1.
    NegativeSeed,
    /// The seed is 1e30.
    FloatSeed,
    /// The seed is 2^70.
    HugeSeed,
    /// The seed is the string `123`.
    TextSeed,
    /// `timings` holds NaN and infinities.
    NanTimings,
    /// `has_nsfw_concepts` is a string.
    TextFlags,
    /// Width and height are written as 8.0.
    FloatSize,
    /// The prompt holds half of a UTF-16 pair.
    LoneSurrogate,
    /// The body begins with a byte order mark.
    ByteOrderMark,
    /// The first of at least two pictures has no URL.
    BadPicture,
    /// The first of at least two pictures is `null`.
    NullPicture,
}

impl OddResult {
    /// Each of them.
    pub const ALL: [Self; Self::VARIANTS.len()] = all();

    /// The text of a document whose value at this JSON pointer is the result.
    pub(crate) fn apply(self, document: &mut Value, place: &str) -> String {
        if let Some(output) = document.pointer_mut(place) {
            self.change(output);
        }
        let text = written(document);
        if self == Self::ByteOrderMark {
            format!("\u{feff}{text}")
        } else {
            text
        }
    }

    fn change(self, output: &mut Value) {
        match self {
            Self::NegativeSeed => set(output, "seed", json!(-1)),
            Self::FloatSeed => set(output, "seed", json!(1e30)),
            Self::HugeSeed => set(output, "seed", json!("<2^70>")),
            Self::TextSeed => set(output, "seed", json!("123")),
            Self::NanTimings => set(
                output,
                "timings",
                json!({ "inference": "<nan>", "load": "<inf>", "save": "<-inf>" }),
            ),
            Self::TextFlags => set(output, "has_nsfw_concepts", json!("false")),
            Self::FloatSize => {
                for picture in pictures(output).into_iter().flatten() {
                    set(picture, "width", json!(8.0));
                    set(picture, "height", json!(8.0));
                }
            }
            Self::LoneSurrogate => set(output, "prompt", json!("half <surrogate>")),
            Self::ByteOrderMark => {}
            Self::BadPicture => spoil_first(output, json!({ "url": null, "width": 8 })),
            Self::NullPicture => spoil_first(output, Value::Null),
        }
    }
}

/// Irregularity of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OddListing {
    /// Rows have no `json_input`.
    NoInput,
    /// `json_input` is `null`.
    NullInput,
    /// `json_input` is the JSON as a string.
    TextInput,
    /// `json_input` has the defaults of fields that the caller left out.
    DefaultsFilledIn,
    /// The seed is a string.
    TextSeed,
    /// The seed lost its last digits in a 64-bit float, as in JavaScript.
    RoundedSeed,
    /// The URLs of the pictures are rewritten, as by a service that keeps copies.
    RewrittenUrls,
    /// An empty page that has a next one, with no cursor to ask for it.
    MoreWithoutCursor,
}

impl OddListing {
    /// Each of them.
    pub const ALL: [Self; Self::VARIANTS.len()] = all();

    pub(super) fn apply(self, listing: &mut Value) -> String {
        if self == Self::MoreWithoutCursor {
            *listing = json!({ "items": [], "next_cursor": null, "has_more": true });
        }
        let rows = listing.get_mut("items").and_then(Value::as_array_mut);
        for row in rows.into_iter().flatten().filter_map(Value::as_object_mut) {
            if self == Self::NoInput {
                row.remove("json_input");
                continue;
            }
            let Some(input) = row.get_mut("json_input") else {
                continue;
            };
            match self {
                Self::NullInput => *input = Value::Null,
                Self::TextInput => *input = input.to_string().into(),
                Self::DefaultsFilledIn => fill_in(input),
                Self::TextSeed => {
                    let seed = input.get("seed").map(Value::to_string);
                    set(input, "seed", json!(seed));
                }
                Self::RoundedSeed => {
                    let seed = input.get("seed").and_then(Value::as_f64);
                    let rounded =
                        seed.and_then(|seed| serde_json::from_str(&seed.to_string()).ok());
                    set(input, "seed", rounded.unwrap_or_default());
                }
                Self::RewrittenUrls => rewrite(input),
                Self::NoInput | Self::MoreWithoutCursor => {}
            }
        }
        listing.to_string()
    }
}

/// The text of a status with a log line that holds half of a UTF-16 pair.
pub(super) fn lone_surrogate_log(status: &mut Value) -> String {
    let line = json!({
        "message": "half <surrogate>",
        "timestamp": "2026-01-05T10:00:01.250Z",
        "level": "INFO",
        "source": "USER",
    });
    set(status, "logs", json!([line]));
    written(status)
}

/// The JSON text, with the marks replaced by what they stand for.
fn written(value: &Value) -> String {
    [
        ("\"<2^70>\"", "1180591620717411303424"),
        ("\"<nan>\"", "NaN"),
        ("\"<inf>\"", "Infinity"),
        ("\"<-inf>\"", "-Infinity"),
        ("<surrogate>", "\\ud83d"),
    ]
    .iter()
    .fold(value.to_string(), |text, (mark, meaning)| {
        text.replace(mark, meaning)
    })
}

pub(super) fn set(value: &mut Value, name: &str, to: Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(name.to_owned(), to);
    }
}

fn pictures(output: &mut Value) -> Option<&mut Vec<Value>> {
    output.get_mut("images")?.as_array_mut()
}

/// The first of several pictures is replaced; a single one gets a bad one in front.
fn spoil_first(output: &mut Value, bad: Value) {
    let Some(pictures) = pictures(output) else {
        return;
    };
    match pictures.as_mut_slice() {
        [first, _, ..] => *first = bad,
        _ => pictures.insert(0, bad),
    }
}

fn fill_in(input: &mut Value) {
    let Some(fields) = input.as_object_mut() else {
        return;
    };
    let defaults = json!({
        "prompt": "",
        "image_size": "square_hd",
        "num_inference_steps": 28,
        "guidance_scale": 4,
        "num_images": 1,
        "output_format": "png",
        "negative_prompt": "",
        "keep_size": false,
        "sync_mode": false,
        "enable_safety_checker": true,
    });
    if let Value::Object(defaults) = defaults {
        for (name, value) in defaults {
            fields.entry(name).or_insert(value);
        }
    }
}

fn rewrite(input: &mut Value) {
    let urls = input.get_mut("input_image_urls");
    for url in urls.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::String(text) = url {
            text.push_str("?copy=1");
        }
    }
}
