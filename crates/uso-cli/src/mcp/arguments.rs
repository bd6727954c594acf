//! Arguments of the tools. The definitions are the input schemas too.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uso::{MicroDollars, OutputFormat, Request};
use uso_journal::LocalId;

use super::refusal::Refusal;
use super::root::Root;
use crate::args::values;

/// Characters of a label at most.
const LONGEST_LABEL: usize = 64;

/// Arguments that `buy` has beside those of the picture.
const OF_BUY: [&str; 2] = ["label", "max_cost_usd"];

/// The picture that is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PictureInput {
    /// Content picture: path or URL
    content: String,
    /// One or two style pictures
    #[serde(default)]
    #[schemars(length(max = 2))]
    styles: Vec<String>,
    /// Without a prompt, styles restyle the content and keep its layout
    prompt: Option<String>,
    negative_prompt: Option<String>,
    /// Such as square_hd or 1024x768
    size: Option<String>,
    /// Keep size and layout of the content
    keep_size: Option<bool>,
    /// 1 to 4; each is billed
    images: Option<u32>,
    steps: Option<u32>,
    guidance: Option<f64>,
    seed: Option<u64>,
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Png,
    Jpeg,
}

/// What `buy` asks for beside the picture.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PurchaseInput {
    /// Name of the picture. It keeps its label in every call, also after a failed one; never take
    /// a new label because a call failed
    label: String,
    /// See at_most_usd of estimate
    max_cost_usd: f64,
}

/// Arguments of `wait`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitInput {
    /// Labels or ids
    #[schemars(length(min = 1, max = 8))]
    pub(crate) ids: Vec<String>,
    /// 8 unless given, 25 at most
    pub(crate) seconds: Option<f64>,
}

/// Arguments of `result`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultInput {
    /// Label or id
    pub(crate) id: String,
    /// Adds small JPEGs; costs context
    #[serde(default)]
    pub(crate) preview: bool,
}

/// Arguments of `list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListInput {
    /// Only purchases that have not ended
    #[serde(default)]
    pub(crate) unfinished: bool,
    /// Only purchases older than this id
    pub(crate) before: Option<String>,
}

/// Arguments of `cancel`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelInput {
    /// Label or id
    pub(crate) id: String,
}

/// Reads the arguments of a tool.
pub(crate) fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Refusal> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        let next = "correct the arguments and call again with the same label";
        Refusal::new("argument", error.to_string(), next)
    })
}

/// Reads the arguments of `buy`.
pub(crate) fn parse_buy(arguments: JsonObject) -> Result<(PurchaseInput, PictureInput), Refusal> {
    let (own, picture) = arguments
        .into_iter()
        .partition(|(name, _)| OF_BUY.contains(&name.as_str()));
    Ok((parse(own)?, parse(picture)?))
}

impl PurchaseInput {
    /// The label, which is a part of file names.
    pub(crate) fn label(&self) -> Result<&str, Refusal> {
        let label = self.label.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = label
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins || !label.bytes().all(is_plain) || label.len() > LONGEST_LABEL {
            let why = format!(
                "1 to {LONGEST_LABEL} letters, digits, dots, dashes and underscores, the first a letter or a digit"
            );
            return Err(Refusal::argument("label", why));
        }
        match label.parse::<LocalId>() {
            Ok(_) => Err(Refusal::argument("label", "it reads as an id such as j17")),
            Err(_) => Ok(label),
        }
    }

    pub(crate) fn max_cost(&self) -> Result<MicroDollars, Refusal> {
        let micro = (self.max_cost_usd * 1e6).round();
        // 2^53 micro-dollars are more than any picture costs.
        match (1.0..=9_007_199_254_740_992.0).contains(&micro) {
            true => Ok(MicroDollars::new(micro as u64)),
            false => Err(Refusal::argument("max_cost_usd", "an amount above 0")),
        }
    }
}

impl PictureInput {
    pub(crate) async fn request(&self, root: &Root) -> Result<Request, Refusal> {
        if self.styles.len() > 2 {
            let why = format!(
                "{} are given, and the service takes one or two",
                self.styles.len()
            );
            return Err(Refusal::argument("styles", why));
        }
        let content = root.picture("content", &self.content).await?;
        let mut styles = Vec::new();
        for style in &self.styles {
            styles.push(root.picture("styles", style).await?);
        }
        let mut styles = styles.into_iter();
        let prompt = self.prompt.as_deref().unwrap_or_default();
        let mut request = match (styles.next(), prompt.trim().is_empty()) {
            (None, true) => {
                let why = "give a prompt, styles, or both: a picture without either is billed too";
                return Err(Refusal::argument("prompt", why));
            }
            (None, false) => Request::subject(content, prompt),
            (Some(style), true) => Request::restyle(content, (style, styles.next())),
            (Some(style), false) => Request::styled_scene(content, (style, styles.next()), prompt),
        };
        if let Some(size) = &self.size {
            let size = values::size(size).map_err(|why| Refusal::argument("size", why))?;
            request = request.size(size);
        }
        if let Some(keep) = self.keep_size {
            request = request.keep_size(keep);
        }
        Ok(request
            .negative_prompt(self.negative_prompt.as_deref())
            .images(self.images)
            .steps(self.steps)
            .guidance(self.guidance)
            .seed(self.seed)
            .format(self.format.map(|format| match format {
                Format::Png => OutputFormat::Png,
                Format::Jpeg => OutputFormat::Jpeg,
            })))
    }
}
