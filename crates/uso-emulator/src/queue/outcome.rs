//! Outcome of a job: the response that a result call relays, and its price.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::address::Base;

#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Set when the status call must report a failure.
    pub(crate) failure: Option<Failure>,
    /// Pixels to bill; zero for everything that is free.
    pub(crate) pixels: u64,
    /// Length of the body, which decides how long it is kept.
    pub(crate) size: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) error_type: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Pictures(Output),
    Json(Value),
    /// The addresses of its files are those of [`on_the_cdn`].
    MadeUp(Value),
}

/// Stands for the CDN, whose address is another for each caller.
const CDN: &str = "emulated-cdn:";

/// The address of a file in a made-up output.
pub(crate) fn on_the_cdn(path: &str) -> String {
    format!("{CDN}{path}")
}

/// The path of a file in a made-up output.
pub(crate) fn path_on_the_cdn(address: &str) -> Option<&str> {
    address.strip_prefix(CDN)
}

/// The bill for an output that is made up: one unit, as for a megapixel.
const ONE_UNIT: u64 = 1_000_000;

/// The endpoint's output, before its files have an address for a particular caller.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) images: Vec<Image>,
    /// As the caller wrote it: seeds exceed `i64`, and may exceed `u64`.
    pub(crate) seed: Value,
    pub(crate) flagged: bool,
    pub(crate) prompt: String,
    pub(crate) timings: Value,
}

#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) place: Place,
    pub(crate) content_type: &'static str,
    pub(crate) size: usize,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Path on the CDN and file name.
    File { path: String, name: String },
    /// A data URI, for `sync_mode`.
    Inline(Arc<str>),
}

impl Output {
    pub(crate) fn json(&self, base: &Base) -> Value {
        let images: Vec<Value> = self.images.iter().map(|image| image.json(base)).collect();
        json!({
            "images": images,
            "seed": self.seed,
            "has_nsfw_concepts": vec![self.flagged; self.images.len()],
            "prompt": self.prompt,
            "timings": self.timings,
        })
    }

    fn inline(&self) -> bool {
        self.images
            .iter()
            .any(|image| matches!(image.place, Place::Inline(_)))
    }
}

impl Image {
    fn json(&self, base: &Base) -> Value {
        let (url, file_name) = match &self.place {
            Place::File { path, name } => (format!("{}{path}", base.cdn()), json!(name)),
            Place::Inline(uri) => (uri.to_string(), Value::Null),
        };
        json!({
            "url": url,
            "content_type": self.content_type,
            "file_name": file_name,
            "file_size": self.size,
            "width": self.width,
            "height": self.height,
        })
    }
}

impl Outcome {
    pub(crate) fn pictures(output: Output, pixels: u64) -> Self {
        let size = output.json(&Base::fal()).to_string().len();
        Self {
            status: 200,
            content: Content::Pictures(output),
            headers: vec![("x-fal-billable-units", megapixels(pixels))],
            failure: None,
            pixels,
            size,
        }
    }

    /// An output that was made up from its schema.
    pub(crate) fn made_up(value: Value) -> Self {
        let size = addressed(&value, &Base::fal()).to_string().len();
        Self {
            status: 200,
            content: Content::MadeUp(value),
            headers: vec![("x-fal-billable-units", megapixels(ONE_UNIT))],
            failure: None,
            pixels: ONE_UNIT,
            size,
        }
    }

    /// An answer of the app itself that is not a picture: relayed as it is, not billed.
    pub(crate) fn from_app(status: u16, body: Value) -> Self {
        let mut headers = vec![("x-fal-billable-units", "0".to_owned())];
        if status >= 500 || status == 429 {
            headers.push(("x-fal-needs-retry", "0".to_owned()));
        }
        if status >= 400 {
            headers.push(("x-fal-retryable", "false".to_owned()));
        }
        let failure = (status >= 400).then(|| Failure {
            // The wording of fal's webhook for the same event.
            error: format!("Invalid status code: {status}"),
            error_type: None,
        });
        let size = body.to_string().len();
        Self {
            status,
            content: Content::Json(body),
            headers,
            failure,
            pixels: 0,
            size,
        }
    }

    /// A refusal that says it cost a unit. The ledger, which counts pictures, has none of it.
    pub(crate) fn billed_refusal(body: Value) -> Self {
        let mut refusal = Self::from_app(422, body);
        refusal
            .headers
            .retain(|(name, _)| *name != "x-fal-billable-units");
        refusal
            .headers
            .push(("x-fal-billable-units", "1".to_owned()));
        refusal
    }

    /// A failure of the platform around the app.
    pub(crate) fn from_platform(status: u16, error_type: &str, detail: &str) -> Self {
        let body = json!({ "detail": detail, "error_type": error_type });
        let mut headers = vec![("x-fal-error-type", error_type.to_owned())];
        if status >= 500 || status == 429 {
            headers.push(("x-fal-needs-retry", "0".to_owned()));
        }
        let size = body.to_string().len();
        Self {
            status,
            content: Content::Json(body),
            headers,
            failure: Some(Failure {
                error: detail.to_owned(),
                error_type: Some(error_type.to_owned()),
            }),
            pixels: 0,
            size,
        }
    }

    pub(crate) fn cancelled() -> Self {
        Self::from_platform(499, "client_cancelled", "Request cancelled by the client.")
    }

    pub(crate) fn start_deadline_missed() -> Self {
        let mut outcome = Self::from_platform(
            504,
            "startup_timeout",
            "The request did not start within the time that the caller allowed.",
        );
        outcome
            .headers
            .push(("x-fal-request-timeout-type", "user".to_owned()));
        outcome
    }

    /// `sync_mode` outputs are not kept in the request history.
    pub(crate) fn hidden_from_history(&self) -> bool {
        matches!(&self.content, Content::Pictures(output) if output.inline())
    }

    pub(crate) fn json(&self, base: &Base) -> Value {
        match &self.content {
            Content::Pictures(output) => output.json(base),
            Content::Json(value) => value.clone(),
            Content::MadeUp(value) => addressed(value, base),
        }
    }
}

/// A made-up output with the addresses that its files have for a caller.
fn addressed(value: &Value, base: &Base) -> Value {
    match value {
        Value::String(text) => match path_on_the_cdn(text) {
            Some(path) => format!("{}{path}", base.cdn()).into(),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| addressed(item, base)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, field)| (name.clone(), addressed(field, base)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// Billable units of the endpoint: exact megapixels of 10^6 pixels, as a decimal.
pub(crate) fn megapixels(pixels: u64) -> String {
    let text = format!("{}.{:06}", pixels / 1_000_000, pixels % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// $0.10 a megapixel, in millionths of a dollar, rounded up.
pub(crate) fn micro_dollars(pixels: u64) -> u64 {
    pixels.div_ceil(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_integer_and_exact() {
        for (pixels, units, price) in [
            (0, "0", 0),
            (1_048_576, "1.048576", 104_858),
            (1_000_000, "1", 100_000),
            (262_144, "0.262144", 26_215),
            (10_000_000, "10", 1_000_000),
            (1, "0.000001", 1),
        ] {
            assert_eq!(
                (megapixels(pixels).as_str(), micro_dollars(pixels)),
                (units, price)
            );
        }
    }
}
