//! Draft: what the page's form asks for, as JSON, and the request that it describes.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use uso::{ImageSize, ImageSizePreset, OutputFormat, Reference, Request};

use crate::inputs::Inputs;
use crate::refusal::{FieldProblem, Refusal};

/// The uses of the model. Each has its own slots, so that a wrong mix cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// The content in the look of one or two styles.
    Restyle,
    /// The content in the look that the words name, layout kept.
    RestyleByText,
    /// The subject in a new scene, or the content in a new look and layout.
    Reimagine,
    /// The subject, in the look of the styles, in a new scene.
    StyledScene,
}

/// A picture in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Slot {
    /// An input picture, by its digest.
    Picture { picture: String },
    /// A URL, which is passed on and never fetched here.
    Url { url: String },
}

/// The size of the new pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Size {
    /// The name of a preset, or `keep` for that of the content.
    Named(String),
    Custom {
        width: u32,
        height: u32,
    },
}

const KEEP: &str = "keep";

/// What the form asks for. A knob that is left out has the service's default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    pub(crate) mode: Mode,
    #[serde(default)]
    pub(crate) content: Option<Slot>,
    #[serde(default)]
    pub(crate) style: Option<Slot>,
    #[serde(default)]
    pub(crate) extra_style: Option<Slot>,
    #[serde(default)]
    pub(crate) prompt: String,
    #[serde(default)]
    pub(crate) negative_prompt: String,
    #[serde(default)]
    pub(crate) size: Option<Size>,
    #[serde(default)]
    pub(crate) images: Option<u32>,
    /// As text, since a number of JavaScript is not exact beyond 2^53.
    #[serde(default)]
    pub(crate) seed: Option<String>,
    #[serde(default)]
    pub(crate) steps: Option<u32>,
    #[serde(default)]
    pub(crate) guidance: Option<f64>,
    #[serde(default)]
    pub(crate) format: Option<String>,
    #[serde(default)]
    pub(crate) safety_checker: Option<bool>,
}

/// The problems that are found while a draft becomes a request.
struct Problems(Vec<FieldProblem>);

impl Problems {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldProblem {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    /// The value of a text, where it is one.
    fn parsed<T: FromStr>(&mut self, field: &str, text: &str, message: &str) -> Option<T> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.add(field, message);
        }
        parsed
    }
}

impl Draft {
    /// The request, or everything that is wrong with the form.
    pub(crate) fn request(&self, inputs: &Inputs) -> Result<Request, Refusal> {
        let mut problems = Problems(Vec::new());
        let [content, style, extra] = [
            ("content", &self.content),
            ("style", &self.style),
            ("extra_style", &self.extra_style),
        ]
        .map(|(field, slot)| reference(inputs, field, slot.as_ref()?, &mut problems));
        if self.content.is_none() {
            problems.add("content", "add a content picture");
        }
        let is_styled = matches!(self.mode, Mode::Restyle | Mode::StyledScene);
        match (is_styled, &self.style, &self.extra_style) {
            (true, None, _) => problems.add("style", "add a style picture"),
            (false, Some(_), _) | (false, _, Some(_)) => {
                problems.add("style", "this mode takes no style picture");
            }
            _ => {}
        }
        let prompt = self.prompt.trim();
        match (self.mode, prompt.is_empty()) {
            (Mode::Restyle, false) => {
                problems.add(
                    "prompt",
                    "this mode takes no prompt; choose Styled scene for one",
                );
            }
            (Mode::Restyle, true) | (_, false) => {}
            (_, true) => problems.add("prompt", "write a prompt"),
        }
        let keeps = self.size == Some(Size::Named(KEEP.to_owned()));
        match (self.mode, keeps) {
            (Mode::RestyleByText, false) if self.size.is_some() => {
                problems.add("size", "this mode keeps the size of the content");
            }
            (Mode::Reimagine, true) => {
                problems.add("size", "this mode makes a new layout; choose a size");
            }
            _ => {}
        }
        let size = self.size(&mut problems);
        let seed = self.seed.as_deref().and_then(|seed| {
            problems.parsed::<u64>("seed", seed.trim(), "a seed is a whole number")
        });
        let format = self.format.as_deref().and_then(|format| {
            problems.parsed::<OutputFormat>("format", format, "there is no format of this name")
        });
        let negative = self.negative_prompt.trim();
        let (Some(content), true) = (content, problems.0.is_empty()) else {
            return Err(Refusal::of_fields(problems.0));
        };
        let request = match (self.mode, style) {
            (Mode::Restyle, Some(style)) => Request::restyle(content, (style, extra)),
            (Mode::StyledScene, Some(style)) => {
                Request::styled_scene(content, (style, extra), prompt)
            }
            (Mode::RestyleByText, _) => Request::restyle_by_text(content, prompt),
            _ => Request::reimagine(content, prompt),
        };
        let request = match (size, keeps) {
            (Some(size), _) => request.size(size),
            (None, true) => request.keep_size(true),
            (None, false) => request,
        };
        let request = request
            .images(self.images)
            .seed(seed)
            .steps(self.steps)
            .guidance(self.guidance)
            .format(format)
            .safety_checker(self.safety_checker)
            .negative_prompt((!negative.is_empty()).then_some(negative));
        let checked = request.input().validate();
        checked.map_err(|violations| Refusal::of_client(&uso::Error::from(violations)))?;
        Ok(request)
    }

    fn size(&self, problems: &mut Problems) -> Option<uso::types::ImageSizeChoice> {
        match self.size.as_ref()? {
            Size::Named(name) if name == KEEP => None,
            Size::Named(name) => {
                let unknown = "there is no size of this name";
                let preset = problems.parsed::<ImageSizePreset>("size", name, unknown);
                preset.map(Into::into)
            }
            Size::Custom { width, height } => Some(
                ImageSize {
                    width: Some(*width),
                    height: Some(*height),
                }
                .into(),
            ),
        }
    }

    /// The draft of a recorded purchase; `None` when it was pruned, or is none that the form can
    /// hold.
    pub(crate) fn of_recipe(recipe: &Value) -> Option<Self> {
        let input = recipe.get("input")?;
        let text = |name: &str| input.get(name).and_then(Value::as_str);
        let number = |name: &str| input.get(name).and_then(Value::as_u64);
        let count = |name: &str| number(name).and_then(|number| u32::try_from(number).ok());
        let pictures = recipe.get("pictures")?.as_array()?;
        let slot = |role: &str| pictures.iter().find_map(|picture| slot_of(picture, role));
        let keeps = input.get("keep_size").and_then(Value::as_bool) == Some(true);
        let style = slot("style");
        let prompt = text("prompt").unwrap_or_default().to_owned();
        let mode = match (&style, prompt.is_empty(), keeps) {
            (Some(_), true, _) => Mode::Restyle,
            (Some(_), false, _) => Mode::StyledScene,
            (None, _, true) => Mode::RestyleByText,
            (None, _, false) => Mode::Reimagine,
        };
        let size = match input.get("image_size") {
            _ if keeps => Some(Size::Named(KEEP.to_owned())),
            Some(size) => serde_json::from_value(size.clone()).ok(),
            None => None,
        };
        Some(Self {
            mode,
            content: slot("content"),
            style,
            extra_style: slot("extra style"),
            prompt,
            negative_prompt: text("negative_prompt").unwrap_or_default().to_owned(),
            size,
            images: count("num_images"),
            seed: number("seed").map(|seed| seed.to_string()),
            steps: count("num_inference_steps"),
            guidance: input.get("guidance_scale").and_then(Value::as_f64),
            format: text("output_format").map(str::to_owned),
            safety_checker: input.get("enable_safety_checker").and_then(Value::as_bool),
        })
    }
}

fn reference(
    inputs: &Inputs,
    field: &str,
    slot: &Slot,
    problems: &mut Problems,
) -> Option<Reference> {
    match slot {
        Slot::Picture { picture } => {
            let file = inputs.file(picture);
            if file.is_none() {
                problems.add(field, "the picture is no longer here; add it again");
            }
            file.map(Reference::path)
        }
        Slot::Url { url } => {
            let parsed = Url::parse(url.trim()).ok();
            let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
            if parsed.is_none() {
                problems.add(field, "write a URL that begins with https:// or http://");
            }
            parsed.map(Reference::from)
        }
    }
}

fn slot_of(picture: &Value, role: &str) -> Option<Slot> {
    let text = |name: &str| picture.get(name)?.as_str().map(str::to_owned);
    if picture.get("role")?.as_str()? != role {
        return None;
    }
    match text("url") {
        Some(url) => Some(Slot::Url { url }),
        None => Some(Slot::Picture {
            picture: text("sha256")?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_recorded_request_becomes_the_same_draft_again() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = Inputs::open(folder.path().to_owned()).unwrap();
        let digest = "ab".repeat(32);
        std::fs::write(folder.path().join(&digest), "x").unwrap();
        // The digest of the file's bytes, as the journal records it.
        let recorded = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        for (mode, prompt, style, size) in [
            ("restyle", "", true, json!("keep")),
            ("restyle", "", true, json!({ "width": 700, "height": 900 })),
            ("restyle_by_text", "as ink", false, json!("keep")),
            ("reimagine", "as ink", false, json!("portrait_4_3")),
            ("styled_scene", "at sea", true, json!("keep")),
        ] {
            let slot = json!({ "picture": digest });
            let url = json!({ "url": "https://example.org/a.png" });
            let draft = json!({
                "mode": mode, "prompt": prompt, "content": slot, "size": size,
                "style": style.then_some(&url), "extra_style": style.then_some(&url),
                "images": 2, "seed": "18446744073709551615", "steps": 9, "guidance": 2.5,
                "format": "jpeg", "safety_checker": false, "negative_prompt": "fog",
            });
            let draft: Draft = serde_json::from_value(draft).unwrap();
            let recipe = draft.request(&inputs).unwrap().recipe().await.unwrap();
            let mut expected = draft.clone();
            expected.content = Some(Slot::Picture {
                picture: recorded.to_owned(),
            });
            assert_eq!(Draft::of_recipe(recipe.json()), Some(expected), "{mode}");
        }
    }
}
