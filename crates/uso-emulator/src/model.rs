//! The model behind the queue: validation, pictures and refusals of `fal-ai/uso`.
//!
//! Validates against the published schema, fetches the references, makes the picture and puts it
//! on the CDN. Refusals have the shape that fal documents for models and for its app framework.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::future;
use serde_json::{Map, Value, json};

use crate::fetch::Unfetched;
use crate::files::{File, Lifecycle, Stored};
use crate::picture::{self, Format, Order, PictureMode, Size};
use crate::queue::outcome::{Image, Outcome, Output, Place};
use crate::schema::{Problem, Schema};
use crate::state::State;

/// Sides of references above this are refused: observed by a third party, not documented.
pub(crate) const MAX_SIDE: u32 = 2048;

/// How many references the roles allow: content, style, extra style.
const MAX_REFERENCES: usize = 3;

/// Sides of a picture to be made. The schema allows 14142, which no real model could; this bound
/// keeps memory within limits and is chosen here.
const MAX_OUTPUT_SIDE: u32 = 4096;

/// How the pictures of a job are put on the CDN.
pub(crate) struct Delivery {
    pub(crate) lifecycle: Lifecycle,
    /// The format is another than what is said.
    pub(crate) mistyped: bool,
}

/// Runs the app once. `path` is what follows the alias in the endpoint id.
pub(crate) async fn answer(
    state: &Arc<State>,
    schema: &Schema,
    path: &str,
    input: &Value,
    delivery: &Delivery,
) -> Outcome {
    if !path.is_empty() {
        return Outcome::from_app(404, json!({ "detail": format!("Path {path} not found") }));
    }
    let fields = match schema.validate(input) {
        Ok(fields) => fields,
        Err(problems) => {
            let detail: Vec<Value> = problems.iter().map(Problem::json).collect();
            return Outcome::from_app(422, json!({ "detail": detail }));
        }
    };
    match generate(state, &fields, delivery).await {
        Ok(outcome) => outcome,
        Err(refusal) => refusal.outcome(),
    }
}

async fn generate(
    state: &Arc<State>,
    fields: &Map<String, Value>,
    delivery: &Delivery,
) -> Result<Outcome, Refusal> {
    let urls: Vec<&str> = fields
        .get("input_image_urls")
        .and_then(Value::as_array)
        .map(|urls| urls.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let count = |kind, msg: &str, name: &str, limit: usize| {
        Err(
            Refusal::new(kind, json!(["body", "input_image_urls"]), msg, json!(urls))
                .with(json!({ name: limit })),
        )
    };
    if urls.is_empty() {
        return count(
            "sequence_too_short",
            "At least one image is needed",
            "min_length",
            1,
        );
    }
    if urls.len() > MAX_REFERENCES {
        return count(
            "sequence_too_long",
            "Too many images",
            "max_length",
            MAX_REFERENCES,
        );
    }
    let size = wanted_size(fields)?;
    let references = match state.settings.picture {
        PictureMode::Restyled => references(state, &urls).await?,
        PictureMode::Plain => Vec::new(),
    };
    let mut order = order(fields, references, size);
    let declared = order.format;
    if delivery.mistyped {
        order.format = declared.other();
    }
    let (seed, prompt, flagged) = (order.seed.clone(), order.prompt.clone(), order.flagged);
    let inline = truth(fields, "sync_mode");
    let (pictures, pixels) = make(state, order, &urls).await?;
    let images = pictures
        .into_iter()
        .map(|made| {
            let (size, width, height) = (made.bytes.len(), made.width, made.height);
            let content_type = declared.content_type();
            let place = if inline {
                let data = BASE64_STANDARD.encode(&made.bytes);
                Place::Inline(format!("data:{content_type};base64,{data}").into())
            } else {
                let stored = Stored::reserve(&format!(".{}", declared.extension()));
                let file = File::new(
                    [made.bytes],
                    content_type,
                    delivery.lifecycle,
                    state.clock.now(),
                );
                state.files.store(&stored.path, file);
                Place::File {
                    path: stored.path,
                    name: stored.name,
                }
            };
            Image {
                place,
                content_type,
                size,
                width,
                height,
            }
        })
        .collect();
    let timings = json!({ "inference": state.settings.inference_time.as_secs_f64() });
    Ok(Outcome::pictures(
        Output {
            images,
            seed,
            flagged,
            prompt,
            timings,
        },
        pixels,
    ))
}

async fn references(state: &Arc<State>, urls: &[&str]) -> Result<Vec<Bytes>, Refusal> {
    let now = state.clock.now();
    let fetched = future::join_all(urls.iter().map(|url| state.fetcher.fetch(url, now))).await;
    let mut references = Vec::with_capacity(fetched.len());
    for (index, (fetched, url)) in fetched.into_iter().zip(urls).enumerate() {
        let place = json!(["body", "input_image_urls", index]);
        let bytes = fetched.map_err(|reason| match reason {
            Unfetched::Download(why) => {
                let msg = format!("Failed to download the file: {why}");
                Refusal::new("file_download_error", place.clone(), &msg, json!(url))
            }
            Unfetched::Data(why) => {
                let msg = format!("Failed to load the image: {why}");
                Refusal::new("image_load_error", place.clone(), &msg, json!(url))
            }
        })?;
        match picture::dimensions(&bytes) {
            Some((width, height)) if width > MAX_SIDE || height > MAX_SIDE => {
                let msg = format!(
                    "Image too large: {width}x{height}, the maximum is {MAX_SIDE}x{MAX_SIDE}"
                );
                return Err(Refusal::new("image_too_large", place, &msg, json!(url))
                    .with(json!({ "max_height": MAX_SIDE, "max_width": MAX_SIDE })));
            }
            Some(_) => references.push(bytes),
            None => return Err(Refusal::unloadable(index, Some(url))),
        }
    }
    Ok(references)
}

async fn make(
    state: &State,
    order: Order,
    urls: &[&str],
) -> Result<(Vec<picture::Made>, u64), Refusal> {
    if state.settings.picture == PictureMode::Plain {
        return Ok(picture::plain(&order));
    }
    // As many at a time as there are processors: more would only hold memory.
    let _permit = state.painters.acquire().await;
    let made = tokio::task::spawn_blocking(move || picture::make(&order)).await;
    match made {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(picture::Undecodable(index))) => Err(Refusal::unloadable(index, urls.get(index))),
        Err(_) => Err(Refusal::internal()),
    }
}

fn order(fields: &Map<String, Value>, references: Vec<Bytes>, size: Size) -> Order {
    let prompt = text(fields, "prompt").to_owned();
    // The endpoint's own random seeds use all 64 bits; ours stay where JavaScript can read them.
    let seed = fields
        .get("seed")
        .cloned()
        .unwrap_or_else(|| json!(fastrand::u64(..1 << 53)));
    let lowered = prompt.to_lowercase();
    let flagged = truth(fields, "enable_safety_checker")
        && lowered
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|word| word == "nsfw");
    let images = fields
        .get("num_images")
        .and_then(Value::as_u64)
        .unwrap_or(1);
    let format = if text(fields, "output_format") == "jpeg" {
        Format::Jpeg
    } else {
        Format::Png
    };
    Order {
        references,
        prompt,
        seed,
        size,
        images: images as u32,
        format,
        flagged,
    }
}

fn wanted_size(fields: &Map<String, Value>) -> Result<Size, Refusal> {
    if truth(fields, "keep_size") {
        return Ok(Size::OfContent);
    }
    let (width, height) = match fields.get("image_size") {
        Some(Value::String(preset)) => match preset.as_str() {
            "square" => (512, 512),
            "portrait_4_3" => (768, 1024),
            "portrait_16_9" => (576, 1024),
            "landscape_4_3" => (1024, 768),
            "landscape_16_9" => (1024, 576),
            _ => (1024, 1024),
        },
        Some(size) => {
            let side = |name| {
                let side = size.get(name).and_then(Value::as_u64).unwrap_or(512);
                u32::try_from(side).unwrap_or(u32::MAX)
            };
            (side("width"), side("height"))
        }
        None => (1024, 1024),
    };
    if width > MAX_OUTPUT_SIDE || height > MAX_OUTPUT_SIDE {
        let msg = format!("The emulator makes pictures of up to {MAX_OUTPUT_SIDE} pixels a side");
        let given = fields.get("image_size").cloned().unwrap_or_default();
        return Err(Refusal::new(
            "image_too_large",
            json!(["body", "image_size"]),
            &msg,
            given,
        )
        .with(json!({ "max_height": MAX_OUTPUT_SIDE, "max_width": MAX_OUTPUT_SIDE })));
    }
    Ok(Size::Exactly(width, height))
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn truth(fields: &Map<String, Value>, name: &str) -> bool {
    fields
        .get(name)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

/// A model error as fal documents them, one entry long.
struct Refusal {
    status: u16,
    entry: Value,
}

impl Refusal {
    fn new(kind: &str, loc: Value, msg: &str, input: Value) -> Self {
        let url = format!("https://docs.fal.ai/errors/#{kind}");
        let entry = json!({ "loc": loc, "msg": msg, "type": kind, "url": url, "input": input });
        Self { status: 422, entry }
    }

    fn unloadable(index: usize, url: Option<&&str>) -> Self {
        let place = json!(["body", "input_image_urls", index]);
        let msg = "Failed to load the image: not a picture that can be decoded";
        Self::new("image_load_error", place, msg, json!(url))
    }

    fn internal() -> Self {
        let mut refusal = Self::new(
            "internal_server_error",
            json!(["body"]),
            "Internal server error",
            json!({}),
        );
        refusal.status = 500;
        refusal
    }

    fn with(mut self, ctx: Value) -> Self {
        if let Some(entry) = self.entry.as_object_mut() {
            entry.insert("ctx".to_owned(), ctx);
        }
        self
    }

    fn outcome(self) -> Outcome {
        Outcome::from_app(self.status, json!({ "detail": [self.entry] }))
    }
}
