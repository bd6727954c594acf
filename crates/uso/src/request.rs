//! What to ask the model for, in its real uses.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use uso_transport::{Error, Lifecycle, Problem, Webhook};
use uso_types::{ImageSizeChoice, OutputFormat, UsoInput};

use crate::reference::Reference;

/// A seed of ours stays below this: every client, fal's JavaScript one included, keeps it whole,
/// and no model is known to take fewer bits.
const SEED_LIMIT: u64 = 1 << 31;

/// A request that takes one more style. See [`Request::extra_style`].
#[derive(Debug)]
pub enum Styled {}

/// A request that takes no (further) style.
#[derive(Debug)]
pub enum Unstyled {}

/// What to ask the model for: a constructor for each of its uses, then the knobs.
///
/// | constructor | sends | means |
/// | --- | --- | --- |
/// | [`Request::subject`] | content | put this subject into the scene of the prompt |
/// | [`Request::restyle`] | content, style, empty prompt, `keep_size` | this picture in that look, layout kept |
/// | [`Request::restyle_by_text`] | content, `keep_size` | this picture in the look that the words name |
/// | [`Request::reimagine`] | content | style words, new layout |
/// | [`Request::styled_scene`] | content, style | this subject, that look, a new scene |
/// | [`Request::extra_style`] | one more style | where a style is already given |
/// | [`Request::raw`] | as given | the escape hatch; bounds are still checked |
///
/// A knob that is not turned stays off the wire, and the service's own default holds; only the
/// seed is always pinned, because a job whose submit got lost is found again by it.
pub struct Request<S = Unstyled> {
    content: Option<Reference>,
    styles: Vec<Reference>,
    input: UsoInput,
    start_within: Option<Duration>,
    fit: bool,
    lifecycle: Option<Lifecycle>,
    webhook: Option<String>,
    styling: PhantomData<S>,
}

impl<S> Clone for Request<S> {
    fn clone(&self) -> Self {
        Self {
            content: self.content.clone(),
            styles: self.styles.clone(),
            input: self.input.clone(),
            start_within: self.start_within,
            fit: self.fit,
            lifecycle: self.lifecycle.clone(),
            webhook: self.webhook.clone(),
            styling: PhantomData,
        }
    }
}

impl<S> fmt::Debug for Request<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The prompts are the caller's own, and references may be whole pictures.
        f.debug_struct("Request")
            .field("content", &self.content)
            .field("styles", &self.styles)
            .field("seed", &self.input.seed)
            .finish_non_exhaustive()
    }
}

impl Request<Unstyled> {
    /// Puts the subject of `content` into the scene that `prompt` describes.
    pub fn subject(content: impl Into<Reference>, prompt: impl Into<String>) -> Self {
        Self::with_content(content).prompt(prompt)
    }

    /// This picture in the look that `instruction` names, such as "transform the image into
    /// watercolour style"; the layout stays.
    pub fn restyle_by_text(content: impl Into<Reference>, instruction: impl Into<String>) -> Self {
        Self::with_content(content)
            .prompt(instruction)
            .keep_size(true)
    }

    /// This picture anew in the look that `prompt` names, with a layout of its own.
    pub fn reimagine(content: impl Into<Reference>, prompt: impl Into<String>) -> Self {
        Self::with_content(content).prompt(prompt)
    }

    /// The endpoint's input as it is, for what the other forms do not offer. Its bounds are still
    /// checked, and a seed is chosen where it has none.
    ///
    /// ```
    /// use uso::{Request, UsoInput};
    ///
    /// let request = Request::raw(UsoInput {
    ///     input_image_urls: vec!["https://example.org/photo.png".to_owned()],
    ///     sync_mode: Some(true),
    ///     ..UsoInput::default()
    /// });
    /// ```
    pub fn raw(input: UsoInput) -> Self {
        Self {
            content: None,
            styles: Vec::new(),
            input,
            start_within: None,
            fit: true,
            lifecycle: None,
            webhook: None,
            styling: PhantomData,
        }
    }
}

impl Request<Styled> {
    /// This picture in that look: the layout stays, and no prompt is needed.
    pub fn restyle(content: impl Into<Reference>, style: impl Into<Reference>) -> Self {
        Self::with_content(content)
            .with_style(style)
            .prompt("")
            .keep_size(true)
    }

    /// This subject in that look, in the new scene that `prompt` describes.
    pub fn styled_scene(
        content: impl Into<Reference>,
        style: impl Into<Reference>,
        prompt: impl Into<String>,
    ) -> Self {
        Self::with_content(content).with_style(style).prompt(prompt)
    }

    /// Mixes a second style in. The model takes two at the most.
    #[must_use]
    pub fn extra_style(self, style: impl Into<Reference>) -> Request {
        Request::from(self.with_style(style))
    }
}

impl From<Request<Styled>> for Request {
    fn from(request: Request<Styled>) -> Self {
        Self {
            content: request.content,
            styles: request.styles,
            input: request.input,
            start_within: request.start_within,
            fit: request.fit,
            lifecycle: request.lifecycle,
            webhook: request.webhook,
            styling: PhantomData,
        }
    }
}

impl<S> Request<S> {
    fn with_content(content: impl Into<Reference>) -> Self {
        Self {
            content: Some(content.into()),
            styles: Vec::new(),
            input: UsoInput::default(),
            start_within: None,
            fit: true,
            lifecycle: None,
            webhook: None,
            styling: PhantomData,
        }
    }

    fn with_style(mut self, style: impl Into<Reference>) -> Self {
        self.styles.push(style.into());
        self
    }

    /// What the picture should show.
    #[must_use]
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.input.prompt = Some(prompt.into());
        self
    }

    /// What the picture should not show.
    #[must_use]
    pub fn negative_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.input.negative_prompt = Some(prompt.into());
        self
    }

    /// The size of the new pictures: a preset, or width and height. The size of the content
    /// picture is then no longer kept.
    ///
    /// ```
    /// use uso::{ImageSize, ImageSizePreset, Request};
    ///
    /// let preset = Request::reimagine("a.png", "ink").size(ImageSizePreset::Portrait4_3);
    /// let custom = Request::reimagine("a.png", "ink")
    ///     .size(ImageSize { width: Some(1280), height: Some(720) });
    /// ```
    #[must_use]
    pub fn size(mut self, size: impl Into<ImageSizeChoice>) -> Self {
        self.input.image_size = Some(size.into());
        self.input.keep_size = None;
        self
    }

    /// Keeps layout and size of the content picture; a size that was set before is dropped, since
    /// the service would ignore it.
    #[must_use]
    pub fn keep_size(mut self, keep: bool) -> Self {
        self.input.keep_size = Some(keep);
        if keep {
            self.input.image_size = None;
        }
        self
    }

    /// Denoising steps, from [`UsoInput::NUM_INFERENCE_STEPS_MIN`] to
    /// [`UsoInput::NUM_INFERENCE_STEPS_MAX`].
    #[must_use]
    pub fn steps(mut self, steps: u32) -> Self {
        self.input.num_inference_steps = Some(steps);
        self
    }

    /// How closely to follow the prompt, from [`UsoInput::GUIDANCE_SCALE_MIN`] to
    /// [`UsoInput::GUIDANCE_SCALE_MAX`].
    #[must_use]
    pub fn guidance(mut self, scale: f64) -> Self {
        self.input.guidance_scale = Some(scale);
        self
    }

    /// The seed: the same one gives the same picture. Chosen at random when it is not given.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.input.seed = Some(seed);
        self
    }

    /// How many pictures, from [`UsoInput::NUM_IMAGES_MIN`] to [`UsoInput::NUM_IMAGES_MAX`]; each
    /// is billed.
    #[must_use]
    pub fn images(mut self, count: u32) -> Self {
        self.input.num_images = Some(count);
        self
    }

    /// The file format of the new pictures.
    #[must_use]
    pub fn format(mut self, format: OutputFormat) -> Self {
        self.input.output_format = Some(format);
        self
    }

    /// Whether the service looks for pictures that are not safe for work.
    #[must_use]
    pub fn safety_checker(mut self, on: bool) -> Self {
        self.input.enable_safety_checker = Some(on);
        self
    }

    /// The deadline for the service to start this job, in place of the client's.
    #[must_use]
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = Some(limit);
        self
    }

    /// Sends local pictures as they are. Without this they are made fit first: turned upright,
    /// shrunk to the 2048 pixels a side that the service takes, freed of metadata such as the place
    /// where a photo was taken, and brought to sRGB.
    #[must_use]
    pub fn without_fit(mut self) -> Self {
        self.fit = false;
        self
    }

    /// How long the service keeps the new pictures, and who may read them, in place of the
    /// account's settings.
    #[must_use]
    pub fn lifecycle(mut self, lifecycle: Lifecycle) -> Self {
        self.lifecycle = Some(lifecycle);
        self
    }

    /// Has the end of the job announced at this URL, `https` or `http` to this machine, to which a
    /// last segment is added that nobody can guess: the receiver must take whatever follows its
    /// path. A delivery there proves the purchase even when its answer was lost; see
    /// [`Client::adopt`](crate::Client::adopt), and [`webhook`](crate::webhook) for the receiver.
    ///
    /// ```
    /// use uso::Request;
    ///
    /// let request = Request::restyle("photo.jpg", "ink.webp").webhook("https://example.org/hook");
    /// ```
    #[must_use]
    pub fn webhook(mut self, url: impl Into<String>) -> Self {
        self.webhook = Some(url.into());
        self
    }

    pub(crate) fn webhook_url(&self) -> Option<&str> {
        self.webhook.as_deref()
    }

    pub(crate) fn start_deadline(&self) -> Option<Duration> {
        self.start_within
    }

    pub(crate) fn wants_fit(&self) -> bool {
        self.fit
    }

    pub(crate) fn output_lifecycle(&self) -> Option<&Lifecycle> {
        self.lifecycle.as_ref()
    }

    pub(crate) fn input(&self) -> &UsoInput {
        &self.input
    }

    pub(crate) fn content(&self) -> Option<&Reference> {
        self.content.as_ref()
    }

    /// The pictures with their roles, in the order in which the service takes them.
    pub(crate) fn references(&self) -> impl Iterator<Item = (&'static str, &Reference)> {
        let content = self.content.iter().map(|content| ("content", content));
        content.chain(["style", "extra style"].into_iter().zip(&self.styles))
    }

    /// The input without its pictures, with a seed, and what is wrong with it.
    pub(crate) fn checked(&self) -> (UsoInput, Vec<Problem>) {
        let mut input = self.input.clone();
        let mut problems: Vec<Problem> = Vec::new();
        if let Err(violations) = input.validate() {
            problems.extend_from_slice(Error::from(violations).problems());
        }
        if let Some(Err(error)) = self.webhook.as_deref().map(Webhook::new) {
            problems.extend_from_slice(error.problems());
        }
        if input.input_image_urls.is_empty() && self.content.is_none() {
            problems.push(Problem::new(
                "input_image_urls",
                "it is empty; the content picture is missing",
            ));
        }
        input
            .seed
            .get_or_insert_with(|| fastrand::u64(..SEED_LIMIT));
        (input, problems)
    }
}
